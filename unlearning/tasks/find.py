"""A task by its bundled name, or from a file."""

from pathlib import Path

from .bundled import FORGET_NAMES, LEARN, forgetting, joined, learning
from .read import read_task_file
from .task import Task, UnknownTask


def find_learning(name: str, seed: int = 0) -> Task:
    """A bundled learning task or a file's. Raises `UnknownTask`, `BadTask`."""
    if name not in LEARN and Path(name).is_file():
        return read_task_file(Path(name), seed)
    return learning(name)


def find_forgetting(names: str, seed: int = 0) -> Task:
    """Bundled forgetting tasks and files, with commas between, as one. Raises `UnknownTask`, `BadTask`."""
    if Path(names).is_file():
        return read_task_file(Path(names), seed)
    found = []
    for name in dict.fromkeys(n.strip() for n in names.split(",") if n.strip()):
        of_file = name not in FORGET_NAMES and Path(name).is_file()
        found.append(read_task_file(Path(name), seed) if of_file else forgetting(name))
    if not found:
        raise UnknownTask(f"no forgetting task is named: bundled are {', '.join(FORGET_NAMES)}")
    return found[0] if len(found) == 1 else joined(found)
