"""Every bundled learning task with every forgetting task: where forgetting helps, and where it does not.

    python -m unlearning bench forgetting --model lethe-llama --out assets/models/lethe-llama/forgetting.json

All arms of a learning task and a seed train on the same samples in the same order; settings are those kept
with the model, which were chosen on other seeds (from 100 on). Of reroutings more is run: on the mixed pool
every way of selecting what to unlearn, and the controls, all forgetting ahead of learning, and learning the
samples instead; against the cue's own relation, vanilla and LWF at other learning rates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from threading import RLock

from ..events import Event, Phase
from ..law.statistics import statistics
from ..models.loading import LM
from ..tasks.bundled import FORGET_NAMES, LEARN, MIXED, REROUTED, forgetting, learning
from ..tasks.task import Task
from .experiment import Scored, drawn, encoded, encoded_own, score_own, select
from .outcome import ARMS, EXTRA, FACTORS, LWF, RATES, VANILLA, Sizes, mean, probe_sets, values
from .settings import SELECTIONS, Settings, settings_for
from .train import Diverged, train
from .trainable import trainable_copy

SIZES = Sizes(retained=200, reasoning=10, held_out=2)
EQUAL = replace(SIZES, retained=2000)  # where learning rates are compared at equal retention


def matrix(
    lm: LM,
    seeds: Sequence[int],
    show: Callable[[Event], None] = lambda e: None,
    learn: Sequence[str] = tuple(LEARN),
    forget: Sequence[str] = FORGET_NAMES,
    had: dict | None = None,
    **overrides,
) -> Iterator[dict]:
    """{"model", "hash", "seeds", "settings": by task, "cells": [{task, forget, arm, lr, and each of RATES}]}.

    Each measure of a cell holds one accuracy a seed, None where the arm's loss ran away. Yields the result so
    far after each learning task. `had`: an earlier result; what it has of the same model, seeds and settings
    is not run again.
    """
    used = {name: asdict(settings_for(lm, name, **overrides)) for name in learn}
    result = {"model": lm.name, "hash": lm.hash, "seeds": list(seeds), "settings": {}, "cells": []}
    same = had is not None and all(had[k] == result[k] for k in ("hash", "seeds"))
    for name in learn:
        if same and had["settings"].get(name) == used[name]:
            rows = [c for c in had["cells"] if c["task"] == name]
        else:
            rows = _rows(lm, name, seeds, show, forget, overrides)
        result["settings"][name] = used[name]
        result["cells"] += rows
        yield result


def _rows(lm: LM, name: str, seeds, show, forget: Sequence[str], overrides: dict) -> list[dict]:
    """The cells of one learning task."""
    cells: dict[tuple, dict] = {}
    settings = settings_for(lm, name, **overrides)
    for seed in seeds:
        show(Phase("bench", f"{name}, seed {seed}"))
        for key, found in _of_task(lm, learning(name), forget, replace(settings, seed=seed)):
            cell = cells.setdefault(key, {m: [] for m in RATES})
            for measure in RATES:
                cell[measure].append(found and found[measure])
    names = ("task", "forget", "arm", "lr")
    return [dict(zip(names, key, strict=True)) | cell for key, cell in cells.items()]


def _of_task(
    lm: LM, whole: Task, forget: Sequence[str], settings: Settings
) -> Iterator[tuple[tuple, dict | None]]:
    """(task, forgetting task, arm, learning rate) and its accuracies, of one learning task and seed."""
    task = drawn(whole, settings)
    learn = encoded(lm, task.train, task)
    known = statistics(lm).known
    models: dict = {}

    def run(against: Task, arm: str, unlearn: Sequence, s: Settings) -> tuple[tuple, dict | None]:
        model = models.get((arm, s.lr)) or trainable_copy(lm, s)
        try:
            if (arm, s.lr) not in models:
                for _ in train(model, learn, unlearn, s, extra=arm == EXTRA):
                    pass
            if arm == VANILLA:
                models[arm, s.lr] = model
            sets = probe_sets(task, against, known, EQUAL if _has_frontier(whole, against) else SIZES)
            found = values(replace(lm, model=model, lock=RLock()), task, against, sets)
            found = {m: mean(found[m]) for m in RATES}
        except Diverged:
            found = None
        return (whole.name, against.name, arm, s.lr), found

    for name in forget:
        against = forgetting(name)
        scored = next(e for e in score_own(lm, task, against, settings) if isinstance(e, Scored))
        for arm, s in _arms(name, whole, settings):
            chosen = [] if arm == VANILLA else select(scored.found, s, len(learn))
            unlearn = encoded_own(lm, [scored.own[i] for i in chosen], against)
            yield run(against, arm, unlearn, s)


def _arms(forget: str, task: Task, settings: Settings) -> Iterator[tuple[str, Settings]]:
    """What is run with one forgetting task: each arm with its settings."""
    yield VANILLA, settings
    yield LWF, settings
    if task.name not in REROUTED:
        return
    if forget == MIXED:
        yield from ((how, replace(settings, select=how)) for how in SELECTIONS if how != settings.select)
        yield "ahead", replace(settings, ahead=True)
        yield EXTRA, settings
    if _has_frontier(task, forgetting(forget)):
        rates = [settings.lr * x for x in FACTORS if x != 1.0]
        yield from ((arm, replace(settings, lr=lr)) for arm in ARMS for lr in rates)


def _has_frontier(task: Task, forget: Task) -> bool:
    """Whether a rerouting is to forget the cue's own relation."""
    return task.name in REROUTED and bool(set(forget.relations) & set(task.relations))
