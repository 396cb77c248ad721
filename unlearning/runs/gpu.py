"""ZeroGPU: a Hugging Face Space whose GPU is lent for one call at a time, by the package `spaces`.

There the process that serves the page has no GPU. What is quick (reading a list, asking both, the lens,
another strength) runs in it, on a copy of the model on the CPU: nobody waits for a GPU or pays for one.
A wash with all its probes is one lent call: a forked worker runs it, on a model that it loads for itself.
Facts, settings, paths and the deltas below go in and events come out, pickled; the change itself goes
through the run's folder, so no tensor of a GPU crosses. Everywhere else none of this is used, and `spaces`
is not imported.

This has not met the real ZeroGPU yet: tests/runs/test_gpu.py runs it with a stand-in for `spaces`.
"""

import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..events import Done, Event
from ..facts.fact import Fact
from .job import explain, for_people
from .log import where
from .wash import wash_job

if TYPE_CHECKING:
    from ..law.experiment import Sizes
    from ..law.settings import Settings
    from ..models.delta import Delta
    from ..models.loading import LM

# seconds of a lent GPU: where nothing is known, at least, at most, and for a second of a forecast
UNKNOWN, SHORTEST, LONGEST, MARGIN = 120, 30, 300, 2.0

logger = logging.getLogger(__name__)


class NotLent(RuntimeError):
    """There was no GPU for this run, or it was taken away; the message is ZeroGPU's own."""


class FailedThere(RuntimeError):
    """The run failed in the worker; the message is what `explain` said of it."""


@dataclass(frozen=True)
class Failed:
    """Told in place of an exception, of which no more than its class's name would come back."""

    text: str


def on_zero_gpu() -> bool:
    """Does the environment say that this is a ZeroGPU Space, and is `spaces` there?"""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and bool(find_spec("spaces"))


def on_gpu(task: Callable) -> Callable:
    """`task`, or on ZeroGPU what runs it where the GPU is. To be called before the page is served."""
    if not on_zero_gpu():
        return task
    import spaces  # before anything touches CUDA

    return spaces.GPU(task, duration=duration)


def duration(*args: Any) -> int:
    """Seconds for which `there`, called with these arguments, gets its GPU: `lent_for` the last of them."""
    return lent_for(args[-1])


def lent_for(seconds: float | None) -> int:
    """How long a GPU to ask for, for a run that is forecast to take so long; None where none could be.

    Whoever has fewer seconds left than asked for is refused, and a run that takes longer is cut off.
    """
    return UNKNOWN if seconds is None else min(LONGEST, SHORTEST + ceil(MARGIN * seconds))


def caller() -> Any:
    """The request that is being answered, or None: ZeroGPU charges its GPU time to whoever sent it."""
    from gradio.context import LocalContext

    return LocalContext.request.get(None)


def there(
    name: str,
    facts: Sequence[Fact],
    settings: "Settings",
    folder: Path,
    sizes: "Sizes | None",
    on: Sequence["Delta"],
    seconds: float | None,
) -> Iterator[Event | Failed]:
    """What the worker does: `wash_job` on its own model. `Done` comes without its result, see `folder`.

    `seconds`: how long that is forecast to take, for `duration`.
    """
    try:
        with closing(wash_job(_loaded(name), facts, settings, folder, sizes, on)) as events:
            for event in events:
                yield Done(None, event.summary) if isinstance(event, Done) else event
        return
    except Exception as error:
        if not for_people(error):
            logger.error("a run failed in the worker\n%s", where(error))
        failed = Failed(explain(error))
    gc.collect()  # the worker may be used again: nothing of this run may keep memory
    yield failed


@lru_cache(1)
def _loaded(name: str) -> "LM":
    """The worker's model, in float32 as the page's copy is, so that both answer alike."""
    import torch

    from ..models.loading import load

    return load(name, dtype=torch.float32)


_there = on_gpu(there)


def wash_on_gpu(
    asker: Any,
    name: str,
    facts: Sequence[Fact],
    settings: "Settings",
    folder: Path,
    sizes: "Sizes | None" = None,
    on: Sequence["Delta"] = (),
    seconds: float | None = None,
) -> Iterator[Event]:
    """`wash_job` in a lent call, charged to `asker`, see `caller`. Closing it ends it at its next event.

    `seconds`: how long it is forecast to take.

    Raises `NotLent`, `FailedThere`.
    """
    from gradio import Error  # `spaces` tells in it what goes wrong
    from gradio.context import LocalContext

    LocalContext.request.set(asker)  # of this thread alone, which runs one wash at a time
    try:
        call = _there(name, list(facts), settings, Path(folder), sizes, list(on), seconds)
        with closing(call) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise FailedThere(event.text)
                yield event
    except Error as error:
        raise NotLent(f"{getattr(error, 'title', '')}: {error.message}".removeprefix(": ")) from error
    finally:
        LocalContext.request.set(None)
