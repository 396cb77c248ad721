"""Long work deep inside an engine: where a run can be stopped, and how far it is.

An engine yields events. What it calls, such as a pass over ordinary text or a thousand prompts asked, yields
none; it takes a `step` at every batch instead, which whoever drives the engine may watch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .events import Progress

Watcher = Callable[[Progress | None], None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


class Stopped(BaseException):
    """A watcher's way to end the work at a step; no `Exception`, since nothing went wrong."""


def step(progress: Progress | None = None) -> None:
    """A step of work begins, so far done if it can be told. Raises what the watcher raises."""
    if watcher := _watcher.get():
        watcher(progress)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Every `step` of this thread within is told to the watcher."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)
