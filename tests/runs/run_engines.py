"""Small engines, and ways to read what became of them."""

import threading

from unlearning.events import Done, Figure, Phase, Warn
from unlearning.runs.job import Runner

PLAIN = [Phase("washing", "Washing"), Figure("gone", 3), Warn("careful"), Done("weights", {"gone": 3})]


class Gate:
    """An engine that says when it has come to its gate, waits there, and says when it has been put back."""

    made: list["Gate"] = []

    def __init__(self, before=(), after=()):
        self.made.append(self)
        self.before, self.after = before, after
        self.reached, self.opened, self.restored = threading.Event(), threading.Event(), threading.Event()

    def __call__(self):
        try:
            yield from self.before
            self.reached.set()
            assert self.opened.wait(60)
            yield from self.after
        finally:
            self.restored.set()


def plain(events=PLAIN):
    """An engine that yields these events."""
    return lambda: (event for event in events)


def end(runner: Runner, id: str) -> list[dict]:
    """All events of the run, once it has ended."""
    return list(runner.follow(id, poll=0.005))


def bare(events: list[dict]) -> list[dict]:
    """Events without number and time."""
    return [{k: v for k, v in event.items() if k not in ("n", "t")} for event in events]


class Big:
    """Stands for a tensor: something whose going can be seen."""
