"""What an engine tells while it runs. Page, command line, event log and tests read the same events."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A new stage begins. `text` is for people."""

    name: str
    text: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of the current phase."""

    done: int
    total: int
    text: str = ""


@dataclass(frozen=True)
class Figure:
    """A measured value: plain numbers, lists and dicts only, so that it can be written as JSON."""

    name: str
    value: Any


@dataclass(frozen=True)
class Warn:
    """Something the person should know before trusting the result."""

    text: str


@dataclass(frozen=True)
class Done:
    """The engine is through. `result` stays in the process; `summary` can be written as JSON."""

    result: Any = None
    summary: dict = field(default_factory=dict)


Event = Phase | Progress | Figure | Warn | Done


def to_json(event: Event) -> dict:
    """The event as a dict with its type's name; a `Done` leaves its in-process result behind."""
    if isinstance(event, Done):
        return {"type": "Done", "summary": event.summary}
    return {"type": type(event).__name__, **asdict(event)}
