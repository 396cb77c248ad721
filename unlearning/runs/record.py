"""What a wash leaves behind: answers as a table, numbers as JSON, versions; and reading a run again."""

import csv
import io
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..files import write_json, write_whole
from .log import RunLog

__all__ = ["read_run", "versions", "write_answers", "write_json"]


def write_answers(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows (column name -> text, number or None) as CSV, in one step.

    Columns come in the order in which they first appear; a row may lack some. The file is UTF-8 with a byte
    order mark, so that spreadsheets read it as such. Text that a spreadsheet would take for a formula gets
    a ' in front (https://owasp.org/www-community/attacks/CSV_Injection); numbers stay numbers.
    Raises `OSError`.
    """
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = io.StringIO(newline="")
    out = csv.writer(table)
    out.writerow([_harmless(name) for name in columns])
    out.writerows([_harmless(row.get(name)) for name in columns] for row in rows)
    write_whole(path, table.getvalue().encode("utf-8-sig", errors="replace"))


def _harmless(cell: Any) -> Any:
    """Text that would begin a formula, white space aside, with a ' in front; the rest as it is."""
    return "'" + cell if isinstance(cell, str) and cell.lstrip().startswith(("=", "+", "-", "@")) else cell


def versions() -> dict[str, str | None]:
    """Versions of python, torch, transformers and lethe, without importing them; None if not installed."""
    return {
        "python": platform.python_version(),
        "torch": _installed("torch"),
        "transformers": _installed("transformers"),
        "lethe": __version__,
    }


def _installed(package: str) -> str | None:
    from importlib import metadata  # as slow to import as all the rest here

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def read_run(folder: Path) -> dict[str, Any]:
    """All that a run's folder tells, whether it has ended or not.

    "id" (the folder's name), "config", "state", "events"; and out of the events "figures" (name -> value,
    the last of each name) and "summary" (of `Done`; None without one).
    Raises `FileNotFoundError` when no run is there, `ValueError` when its config is damaged.
    """
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_bytes())
    log = RunLog(folder)
    state = log.state()  # before the events: an ended run then comes with all of them
    events = log.read()
    return {
        "id": folder.name,
        "config": config,
        "state": state,
        "events": events,
        "figures": {e["name"]: e["value"] for e in events if e["type"] == "Figure"},
        "summary": next((e["summary"] for e in reversed(events) if e["type"] == "Done"), None),
    }
