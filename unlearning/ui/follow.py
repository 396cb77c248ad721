"""A run as the page sees it: its event log, folded into one value that is looked at again and again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..runs.job import Runner
from ..runs.log import ENDED, RunLog

SERIES = ("point",)  # figures that come again and again: all of them are kept, as a list
POLL, SELDOM = 0.15, 1.0  # seconds between two looks: at a run that is next or running, at most


@dataclass(frozen=True)
class View:
    """What a run has told so far. `n`: number of the last event read; `place`: runs before this one."""

    n: int = -1
    state: str = "queued"
    place: int | None = None
    phase: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    seconds: float = 0.0
    failed: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    summary: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def fold(view: View, event: dict) -> View:
    """The view after one more logged event."""
    view = replace(view, n=event["n"], seconds=event["t"])
    match event["type"]:
        case "Phase":
            return replace(view, phase=event["text"], done=0, total=0, text="")
        case "Progress":
            return replace(view, done=event["done"], total=event["total"], text=event["text"])
        case "Figure" if event["name"] in SERIES:
            series = [*view.figures.get(event["name"], ()), event["value"]]
            return replace(view, figures={**view.figures, event["name"]: series})
        case "Figure":
            return replace(view, figures={**view.figures, event["name"]: event["value"]})
        case "Warn":
            return replace(view, warnings=(*view.warnings, event["text"]))
        case "Done":
            return replace(view, summary=event["summary"])
        case "Failed":
            return replace(view, failed=event["text"])
    return view


def look(runner: Runner, id: str, view: View | None = None) -> View:
    """The view now. Raises `UnknownRun`."""
    view = view or View()
    state, place = runner.state(id), runner.place(id)  # before the events: an ended run then has them all
    for event in RunLog(runner.folder(id)).read(view.n):
        view = fold(view, event)
    return replace(view, state=state, place=place)


def pause(view: View) -> float:
    """Seconds until the next look: the longer the queue before a run, the more seldom it is looked at."""
    return min(SELDOM, POLL * max(1, view.place or 0))


async def follow(runner: Runner, id: str) -> AsyncIterator[View]:
    """Every view that differs from the one before, until the run has ended; it holds no thread meanwhile.

    Raises `UnknownRun`.
    """
    view = None
    while True:
        now = look(runner, id, view)
        if now != view:
            yield now
        view = now
        if view.ended:
            return
        await asyncio.sleep(pause(view))
