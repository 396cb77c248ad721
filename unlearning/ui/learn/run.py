"""A run of LWF for the page: put into the queue that washes wait in, with its files in the run's folder."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path

from ...events import Done, Event
from ...runs.learn import ANSWERS, CONFIDENCE, DELTAS, RECORD, learn_job
from ...runs.wash import _our_words
from ..state import Shared
from .setup import SETTINGS, Asked

FILES = {**DELTAS, "answers": ANSWERS, "confidence": CONFIDENCE, "record": RECORD}


class Unlearnable(ValueError):
    """What was asked cannot be run; the message says why, in plain words."""


def begin(shared: Shared, asked: Asked, task: str, text: str, forget: list[str], forget_text: str) -> str:
    """Queue the run and return its id. Raises `QueueFull`.

    `task`, `text`, `forget`, `forget_text`: as they were chosen, so that the page can show them again.
    """
    plain = asdict(asked.settings)
    config = {"kind": "learn", "model": asked.model, "task": task, "text": text, "forget": forget}
    config |= {"forget_text": forget_text, "seeds": asked.seeds, "frontier": asked.frontier}
    config |= {"settings": {name: plain[name] for name in SETTINGS}}
    known: Future[str] = Future()  # the worker may begin before `submit` has returned
    id = shared.runner.submit(config, lambda: job(shared, asked, shared.runner.folder(known.result())))
    known.set_result(id)
    return id


def job(shared: Shared, asked: Asked, folder: Path) -> Iterator[Event]:
    """The events of `learn_job`. Both changes are in the folder, and not kept in memory: they are large."""
    lm = shared.lm(asked.model)
    sizes, seeds = shared.learn_sizes, range(asked.seeds)
    events = learn_job(lm, asked.task, asked.forget, asked.settings, seeds, folder, sizes, asked.frontier)
    try:
        for event in events:
            yield Done(None, event.summary) if isinstance(event, Done) else event
    except ValueError as error:
        if not _our_words(error):
            raise
        raise Unlearnable(str(error)) from error
    finally:
        events.close()


def config_of(shared: Shared, id: str) -> dict:
    """What a run of this page was asked. Raises `UnknownRun`, `OSError`, ValueError, KeyError."""
    config = json.loads((shared.runner.folder(id) / "config.json").read_bytes())
    if config.get("kind") != "learn":
        raise ValueError("a run of the other page")
    return config
