"""Fine-tuning with forgetting as a run: the engine's events pass through, and what is to be kept is written.

What a finished seed left is kept too, until the run is done: one that was cut off goes on after it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..events import Done, Event, Figure
from .kept import Kept
from .memory import NoRoom, give_back, is_shortage, watch
from .record import versions, write_answers, write_json
from .wash import save_delta

if TYPE_CHECKING:
    from ..lwf.experiment import Sizes
    from ..lwf.settings import Settings
    from ..models.loading import LM
    from ..tasks.task import Task

CONFIDENCE, ANSWERS, RECORD = "confidence.csv", "answers.csv", "run.json"
DELTAS = {"vanilla": "delta-vanilla.safetensors", "lwf": "delta-lwf.safetensors"}
FILES = (CONFIDENCE, ANSWERS, RECORD, *DELTAS.values())


def learn_job(
    lm: "LM",
    task: "Task",
    forget: "Task",
    settings: "Settings",
    seeds: Sequence[int],
    folder: Path,
    sizes: "Sizes | None" = None,
    frontier: bool = True,
) -> Iterator[Event]:
    """The events of `learn_and_probe`; `folder` gets FILES, all of them before `Done` is yielded.

    Seeds that an earlier run with the very same settings finished in this folder are not run again.
    Raises as `learn_and_probe`, `NoRoom` where memory runs out, `OSError` where the folder cannot be written.
    """
    from ..law.statistics import statistics
    from ..lwf.experiment import learn_and_probe

    folder = Path(folder)
    kept = Kept(folder, "seed", lambda: _key(lm, task, forget, settings, sizes, frontier))
    watch(lm)
    try:
        known = statistics(lm).known
        events = learn_and_probe(lm, task, forget, settings, seeds, sizes, frontier, known, kept)
        with closing(events):
            for event in events:
                if isinstance(event, Figure) and event.name == "confidence":
                    write_answers(folder / CONFIDENCE, event.value)
                if isinstance(event, Figure) and event.name == "answers":
                    write_answers(folder / ANSWERS, event.value)
                if isinstance(event, Done):
                    for arm, name in DELTAS.items():
                        save_delta(event.result[arm], folder / name)
                    write_json(folder / RECORD, {"versions": versions(), **event.summary})
                    kept.clear()
                yield event
        return
    except Exception as error:
        if not is_shortage(error):
            raise
    give_back()  # here, where nothing holds the failed step's tensors any more
    raise NoRoom(
        "There was not enough memory to train copies of this model. What may fit: a smaller batch, only the "
        "last layers or LoRA, or a smaller model."
    )


def _key(lm, task, forget, settings, sizes, frontier) -> str:
    """What a seed's result depends on, besides the seed."""
    about = asdict(settings) | {"seed": None}
    what = [lm.identity, repr(task), repr(forget), repr(sizes), frontier, about]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
