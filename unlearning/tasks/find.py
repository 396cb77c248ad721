"""A task by its name, from a file, or from the hub."""

from pathlib import Path

from ..facts.formats import Columns, renamed
from ..facts.hub import NoSet, hub_rows, is_source, parquet_rows, source
from ..facts.sources import PARQUET
from .bundled import FORGET_NAMES, LEARN, forgetting, joined, learning
from .known import KNOWN
from .read import BadTask, TaskReading, made, only, read_rows, reading_of_file
from .task import Task, UnknownTask

ALSO = f"; or a file, hub:owner/name, or {', '.join(KNOWN)} (from the hub, or as NAME=FILE)"


def find_learning(name: str, seed: int = 0, columns: Columns | None = None) -> Task:
    """A bundled learning task, or one of `outside`. Raises `UnknownTask`, `BadTask`."""
    if name in LEARN:
        return learning(name)
    found = outside(name, seed, columns)
    if found is None:
        raise UnknownTask(f"no learning task {name!r}: bundled are {', '.join(LEARN)}{ALSO}")
    return found


def find_forgetting(names: str, seed: int = 0, columns: Columns | None = None) -> Task:
    """Bundled forgetting tasks and those of `outside`, with commas between, as one.

    `columns`: of all files and data sets; those of KNOWN have their own. Raises `UnknownTask`, `BadTask`.
    """
    if Path(names).is_file():
        return outside(names, seed, columns)
    found = []
    for name in dict.fromkeys(n.strip() for n in names.split(",") if n.strip()):
        task = None if name in FORGET_NAMES else outside(name, seed, columns)
        try:
            found.append(task or forgetting(name))
        except UnknownTask as error:
            raise UnknownTask(f"{error}{ALSO}") from None
    if not found:
        raise UnknownTask(f"no forgetting task is named: bundled are {', '.join(FORGET_NAMES)}{ALSO}")
    return found[0] if len(found) == 1 else joined(found)


def outside(name: str, seed: int = 0, columns: Columns | None = None) -> Task | None:
    """The task in a file or a data set, or of KNOWN, whose own splits are kept; None for no such name.

    Raises `BadTask`.
    """
    known, _, path = name.partition("=")
    try:
        if name in KNOWN:
            train, test = (_of_kind(_hub(str(s), None), known) for s in (KNOWN[name].train, KNOWN[name].test))
            return made(train, name, seed, test)
        if known in KNOWN and path:
            return made(_of_kind(read_source(path, columns), known), known, seed)
        if is_source(name):
            return made(_hub(name, columns), name, seed)
        return made(read_source(name, columns), Path(name).stem, seed) if Path(name).is_file() else None
    except NoSet as error:
        raise BadTask(str(error)) from error


def read_source(where: str, columns: Columns | None = None) -> TaskReading:
    """How the rows of a file, of NAME=FILE or of hub:owner/name are read. Raises `BadTask`, `NoSet`."""
    known, _, path = where.partition("=")
    if where in KNOWN:
        return _of_kind(_hub(str(KNOWN[where].train), None), where)
    if known in KNOWN and path:
        return _of_kind(read_source(path, columns), known)
    if is_source(where):
        return _hub(where, columns)
    if Path(where).suffix.lower() == PARQUET:
        return read_rows(renamed(parquet_rows(Path(where)), columns), None)
    return reading_of_file(Path(where), columns)


def _hub(where: str, columns: Columns | None) -> TaskReading:
    return read_rows(renamed(hub_rows(source(where)), columns), None)


def _of_kind(found: TaskReading, name: str) -> TaskReading:
    """Of a set with several subjects the one that KNOWN means. Raises `BadTask` where it has none."""
    kind = KNOWN[name].kind
    if not kind:
        return found
    some = only(found, kind)
    if found.samples and not some.samples:
        kinds = ", ".join(sorted({s.sample.kind for s in found.samples if s.sample.kind})[:10])
        raise BadTask(f"no row has the subject_name {kind!r}: there are {kinds or 'none'}")
    return some
