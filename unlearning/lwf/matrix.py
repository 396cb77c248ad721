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
from ..probes.stats import paired
from ..tasks.bundled import FORGET_NAMES, LEARN, MIXED, REROUTED, forgetting, learning
from ..tasks.task import Task
from .experiment import Scored, drawn, encoded, encoded_own, score_own, select
from .outcome import ARMS, EXTRA, FACTORS, LWF, RATES, VANILLA, Sizes, at_retention, mean, probe_sets, values
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


def gains(result: dict, against: str = VANILLA) -> list[dict]:
    """Of each two tasks, arm and rate, each measure less that of another arm there, paired over seeds."""
    by = {(c["task"], c["forget"], c["arm"], c["lr"]): c for c in result["cells"]}
    rows = []
    for (task, forget, arm, lr), cell in by.items():
        other = by.get((task, forget, against, lr))
        if arm == against or other is None:
            continue
        row = {"task": task, "forget": forget, "arm": arm, "lr": lr}
        for measure in RATES:
            pairs = zip(cell[measure], other[measure], strict=True)
            row[measure] = paired([a - b for a, b in pairs if a is not None and b is not None]).to_json()
        rows.append(row)
    return rows


def table(result: dict) -> Iterator[str]:
    """As Markdown: LWF less vanilla; ways to select and controls on the mixed pool; learning rates.

    Differences are in points, with the paired 95 % interval over seeds.
    """
    rates = {name: settings["lr"] for name, settings in result["settings"].items()}
    plain = {(g["task"], g["forget"], g["arm"], g["lr"]): g for g in gains(result)}
    learn, forget = (list(dict.fromkeys(c[k] for c in result["cells"])) for k in ("task", "forget"))
    vanilla = {
        (c["task"], c["lr"]): 100 * mean(c["learning"]) for c in result["cells"] if c["arm"] == VANILLA
    }
    yield "| learn \\ forget | vanilla | " + " | ".join(forget) + " |"
    yield "|---|---|" + "---|" * len(forget)
    for name in learn:
        lr = rates[name]
        cells = [_points(plain[name, f, LWF, lr]["learning"]) for f in forget]
        yield f"| {name} | {vanilla[name, lr]:.1f} | " + " | ".join(cells) + " |"
    yield from _selections(result, plain)
    yield from _frontiers(result)


def _selections(result: dict, plain: dict) -> Iterator[str]:
    """On the mixed pool, each way to select and each control: against vanilla, and against random."""
    random = {(g["task"], g["arm"], g["lr"]): g for g in gains(result, "random") if g["forget"] == MIXED}
    rows = [g for (task, f, arm, lr), g in plain.items() if f == MIXED and (task, "low", lr) in random]
    if rows:
        yield ""
        yield "| learn, forgetting a mixture | arm | learning | less random | retained |"
        yield "|---|---|---|---|---|"
    for g in rows:
        name = f"{LWF}, high" if g["arm"] == LWF else g["arm"]
        less = random.get((g["task"], g["arm"], g["lr"]))
        less = _points(less["learning"]) if less else ""
        yield f"| {g['task']} | {name} | {_points(g['learning'])} | {less} | {_points(g['retained'])} |"


def _frontiers(result: dict) -> Iterator[str]:
    """Of reroutings, learning and retained accuracy at each rate, and LWF less vanilla at equal retention."""
    groups: dict[tuple[str, str], dict[tuple[str, float], dict]] = {}
    for c in result["cells"]:
        groups.setdefault((c["task"], c["forget"]), {})[c["arm"], c["lr"]] = c
    groups = {k: g for k, g in groups.items() if sum(arm == LWF for arm, _ in g) > 1}
    if groups:
        yield ""
        yield "| learn, forgetting the cue | lr | vanilla: learned, retained | LWF | at equal retention |"
        yield "|---|---|---|---|---|"
    for (task, _), group in groups.items():
        rates = sorted(lr for arm, lr in group if arm == VANILLA)
        for lr in rates:
            less = paired(equally_retained(group, rates, lr)).to_json()
            both = [
                ", ".join(f"{100 * mean(group[arm, lr][m]):.1f}" for m in ("learning", "retained"))
                for arm in ARMS
            ]
            yield f"| {task} | {lr:g} | {both[0]} | {both[1]} | {_points(less)} |"


def equally_retained(group: dict, rates: Sequence[float], lr: float) -> list[float]:
    """Of each seed, LWF's learning accuracy at a rate less vanilla's where that retains as much."""
    out = []
    for k, (learned, retained) in enumerate(zip(group[LWF, lr]["learning"], group[LWF, lr]["retained"])):
        points = [(group[VANILLA, x]["retained"][k], group[VANILLA, x]["learning"][k]) for x in rates]
        if learned is not None:
            out.append(learned - at_retention(points, retained))
    return out


def _points(r: dict) -> str:
    if r["accuracy"] is None:
        return "diverged"
    inside = "" if r["low"] is None else f" ({100 * r['low']:+.1f} to {100 * r['high']:+.1f})"
    return f"{100 * r['accuracy']:+.1f}{inside}"
