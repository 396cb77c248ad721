"""A wash as a run: the engine's events pass through, and the run's folder gets what is to be kept."""

import hashlib
import json
import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..events import Done, Event, Figure, Phase
from ..facts.fact import Fact
from ..files import replacing
from .kept import Kept
from .memory import NoRoom, advice, asked_for, give_back, is_shortage, use, watch
from .record import versions, write_answers, write_json

if TYPE_CHECKING:
    from ..law.experiment import Sizes
    from ..law.settings import Settings
    from ..law.statistics import Statistics
    from ..law.team import Team
    from ..models.delta import Delta
    from ..models.loading import LM

ANSWERS, QUESTIONS, FIGURES, RECORD = "answers.csv", "questions.csv", "figures.csv", "run.json"
DELTA = "delta.safetensors"
OWN = "own.safetensors"  # of a wash on top of others, its own part of the delta
FILES = (ANSWERS, QUESTIONS, FIGURES, RECORD, DELTA, OWN)
PACKAGE = Path(__file__).resolve().parents[1]

logger = logging.getLogger(__name__)


class Unwashable(ValueError):
    """What was asked cannot be washed; the message says why, in plain words."""


def wash_job(
    lm: "LM",
    facts: Sequence[Fact],
    settings: "Settings",
    folder: Path,
    sizes: "Sizes | None" = None,
    on: Sequence["Delta"] = (),
    resumable: bool = False,
    team: "Team | None" = None,
) -> Iterator[Event]:
    """The events of `wash_and_probe`; `folder` gets answers.csv, questions.csv, figures.csv,
    delta.safetensors and run.json. The figure "questions" is in its file alone.

    `on`: deltas of earlier washes that this one is done on top of; "before" is then the model with them on.
    `Done` brings what this wash adds to them, own.safetensors holds the same, and delta.safetensors the sum:
    the whole change of the base model. They and the record are there before `Done` is yielded.
    `resumable`: what was summed until then is kept in the folder on the way, and a run with the very same
    arguments goes on from it; it is gone when the run is done. `team`: the processes that share the facts;
    all call this alike, and those but the first are done, with nothing written, at the phase "after".
    Raises `Unwashable` with the engine's own words where it refuses its input, `NoRoom` with what would fit
    where memory runs out, `OSError` where the folder cannot be written.
    """
    from ..law.experiment import wash_and_probe
    from ..law.statistics import AfterWash, statistics
    from ..law.team import ALONE
    from ..models.delta import Delta, edited, total

    folder, phase, n, team = Path(folder), "known", len(facts), team or ALONE
    watch(lm)
    stats = statistics(lm, settings.moment_tokens)
    if on:
        names = {name for delta in on for name in delta.changes}
        layers = [i for i in range(lm.adapter.n_layers(lm.model)) if lm.adapter.weight_name(i) in names]
        stats = AfterWash(edited(lm, on), stats, layers)
    kept = Kept(folder, "wash", lambda: _key(stats, facts, settings)) if resumable and team.first else None
    try:
        with closing(wash_and_probe(stats.lm, facts, settings, sizes, stats, kept, team)) as events:
            for event in events:
                if isinstance(event, Phase):
                    phase = event.name
                if phase == "after" and not team.first:
                    return
                if isinstance(event, Figure) and event.name == "known":
                    n = event.value["known"]
                if isinstance(event, Figure) and event.name == "answers":
                    save_answers(event.value, folder / ANSWERS)
                if isinstance(event, Figure) and event.name == "questions":
                    write_answers(folder / QUESTIONS, event.value)
                    continue
                if isinstance(event, Done):
                    about = event.result.about | {"model_hash": lm.hash, "on": [d.digest for d in on]}
                    result = Delta(event.result.changes, lm.hash, about)
                    event = Done(result, event.summary | {"config": about})
                    if on:
                        save_delta(result, folder / OWN)
                    save_delta(total([*on, result], about), folder / DELTA)
                    write_answers(folder / FIGURES, figure_rows(event.summary))
                    write_json(folder / RECORD, {"versions": versions(), **event.summary})
                    if kept is not None:
                        kept.clear()
                yield event
        return
    except ValueError as error:
        if not _our_words(error):
            raise
        raise Unwashable(str(error)) from error
    except Exception as error:
        if not is_shortage(error):
            raise
        logger.error("no room in phase %s\n%s", phase, traceback.format_exc())
        asked = asked_for(str(error))
    give_back()  # here, where nothing holds the failed step's tensors any more
    raise NoRoom(advice(n, facts_at_once(phase, n, settings, lm.model.config.hidden_size), use(lm), asked))


def placed(lm: "LM", facts: Sequence[Fact], layers: object = None) -> Iterator[Event]:
    """The events of `find_place`, where it is not known where the model recalls facts, nor `layers` given."""
    from ..law.settings import untraced
    from ..law.statistics import statistics
    from ..law.trace import find_place

    if not layers and untraced(lm):
        yield from find_place(lm, facts, statistics(lm).known)


def _key(stats: "Statistics", facts: Sequence[Fact], settings: "Settings") -> str:
    """What the sums of a wash depend on: the model with its earlier washes, ordinary text, what is known, and
    its blocks included. Its strength and method come after them.
    """
    from ..law.contexts import groups_at_once

    lm, about = stats.lm, asdict(settings) | {"strength": None, "method": None}
    block = groups_at_once(lm.model.config.hidden_size)
    what = [lm.identity, str(lm.model.dtype), [repr(f) for f in facts], about, block]
    what += [stats.texts, [repr(f) for f in stats.known]]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def facts_at_once(phase: str, n: int, settings: "Settings", d: int) -> int:
    """Of `n` facts, those whose tensors a step of the phase holds together; 0 where it is not about them.

    d   the model's width
    """
    from ..law.contexts import groups_at_once
    from ..models.text import CHUNK

    groups = settings.phrasings if settings.position == "prompt" else 1
    block = max(1, groups_at_once(d) // groups)
    together = {"known": CHUNK, "targets": block, "initial": block, "law": block}
    return min(n, together.get(phase, 0))


def figure_rows(record: dict) -> Iterator[dict]:
    """Every figure of a run's record as a row: before, after, each weight's change, the curve's points."""
    made = record["config"]["method"], record["config"]["strength"]
    for when, method, strength in (("before", "base", 0.0), ("after", *made)):
        found = record[when]
        rates = {k: v for k, v in found.items() if k not in ("families", "perplexity")}
        rates |= {f"reasoning: {family}": r for family, r in found["families"].items()}
        rates["perplexity"] = {"value": found["perplexity"]}
        for name, r in rates.items():
            yield _figure_row(when, method, strength, name, r)
    for name, norm in record["norms"].items():
        yield _figure_row("change", *made, f"‖ΔW‖ / ‖W‖ of {name}", {"value": norm})
    for point in record["curve"]:
        for name in ("washed", "retained", "reasoning"):
            yield _figure_row("curve", point["method"], point["strength"], name, point[name])


def _figure_row(when: str, method: str, strength: float, measure: str, r: dict) -> dict:
    place = {"when": when, "method": method, "strength": strength, "measure": measure}
    return place | {"value": r.get("accuracy", r.get("value"))} | {k: r.get(k) for k in ("low", "high", "n")}


def save_delta(delta: "Delta", path: Path) -> None:
    """Write a delta in one step: what is there is whole. Raises `OSError`."""
    from safetensors import SafetensorError

    with replacing(path) as part:
        try:
            delta.save(part)
        except SafetensorError as error:  # a full disk, among others
            raise OSError(str(error)) from error


def save_answers(rows: Sequence[dict], path: Path) -> None:
    """Write rows of an "answers" figure as CSV, in one step. Raises `OSError`."""
    write_answers(path, [{k: v for k, v in row.items() if k != "objects"} for row in rows])


def _our_words(error: ValueError) -> bool:
    """Was it raised by this package itself, and not somewhere inside a library it calls?"""
    return PACKAGE in Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve().parents
