"""A whole run: the model's own answers, their confidence, vanilla and LWF side by side, and what stayed."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from threading import RLock

from ..events import Done, Event, Figure, Phase, Progress
from ..facts.fact import Fact
from ..facts.world import world
from ..models.delta import Delta
from ..models.loading import LM
from ..probes.knowledge import ask, knows
from ..probes.task import does
from ..tasks.task import Sample, Task
from .batches import AnswerLoss, Tokens, tokens
from .confidence import Confidence, confidences, task_gradient
from .outcome import (
    ARMS,
    BASE,
    EXTRA,
    FACTORS,
    LWF,
    MAX_SEEDS,
    RATES,
    VANILLA,
    ProbeSets,
    Sizes,
    answer_rows,
    column,
    equal_retention,
    gain,
    line,
    mean,
    probe_sets,
    told,
    values,
)
from .self_knowledge import Own, self_knowledge
from .settings import Settings
from .train import train
from .trainable import change, trainable_copy


@dataclass(frozen=True)
class Scored:
    """D_self with each sample's confidence, and which of them are D_U."""

    own: list[Own]
    found: list[Confidence]
    chosen: list[int]

    def rows(self) -> list[dict]:
        """One row a sample, as plain JSON."""
        picked = set(self.chosen)
        return [
            {
                "prompt": o.prompt,
                "answer": o.text,
                "task": o.kind,
                "right": o.right,
                "logp": o.logp,
                "own": c.own,
                "cross": c.cross,
                "constant": c.task,
                "score": c.score,
                "cosine": c.cosine,
                "selected": i in picked,
            }
            for i, (o, c) in enumerate(zip(self.own, self.found, strict=True))
        ]


def select(found: Sequence[Confidence], settings: Settings, learned: int) -> list[int]:
    """Which samples are D_U: of highest FC; or of lowest, at random, or those that pull most against the task
    by the cosine. As many as `portion` of the `learned` ones, at least one unless it is 0.
    """
    n = max(1, round(settings.portion * learned)) if settings.portion else 0
    if settings.select == "random":
        places = range(len(found))
        return sorted(random.Random(f"select {settings.seed}").sample(places, min(n, len(found))))
    key = {"high": lambda c: -c.score, "low": lambda c: c.score, "cosine": lambda c: c.cosine}[
        settings.select
    ]
    return sorted(sorted(range(len(found)), key=lambda i: key(found[i]))[:n])


def score_own(lm: LM, task: Task, forget: Task, settings: Settings) -> Iterator[Progress | Phase | Scored]:
    """Steps 1 and 2: what the model says by itself, and its confidence; the last item is `Scored`."""
    yield Phase("own", "asking the model what it says by itself")
    with lm.lock:
        own = self_knowledge(lm, forget, settings.own, settings.temperature, settings.seed)
    if not own:
        raise ValueError("the model says nothing to the forgetting task, so there is nothing to unlearn")
    yield Phase("confidence", "weighing what is in the way")
    copy = trainable_copy(lm, settings)
    lm.adapter.sample_by_sample(copy)
    loss = AnswerLoss(copy)
    names = [n for n, p in loss.named_parameters() if p.requires_grad]
    learn, unlearn = encoded(lm, task.train, task), encoded_own(lm, own, forget)
    total, found = len(learn) + len(unlearn), []
    gradient = task_gradient(loss, learn, names, settings.chunk)
    yield Progress(len(learn), total, "the task's gradient and Fisher information")
    for part in confidences(loss, unlearn, gradient, settings.chunk):
        found += part
        yield Progress(len(learn) + len(found), total, "one gradient a sample")
    yield Scored(own, found, select(found, settings, len(learn)))


def encoded(lm: LM, samples: Sequence[Sample], task: Task) -> list[Tokens]:
    """Samples to learn, as tokens."""
    return tokens(lm.tokenizer, [s.prompt for s in samples], [s.answer for s in samples], task.end)


def encoded_own(lm: LM, own: Sequence[Own], task: Task) -> list[Tokens]:
    """The model's own answers, as tokens."""
    return tokens(lm.tokenizer, [o.prompt for o in own], [o.text for o in own], task.end)


def learn_and_probe(
    lm: LM,
    task: Task,
    forget: Task,
    settings: Settings,
    seeds: Sequence[int] = (0,),
    sizes: Sizes | None = None,
    frontier: bool = True,
    known: Sequence[Fact] | None = None,
    kept: dict[int, dict] | None = None,
) -> Iterator[Event]:
    """Fine-tune on `task`, plainly and with forgetting, once a seed; measure base, vanilla and LWF.

    A seed draws the training samples, their order, and D_U's. `frontier`: both arms at other learning rates
    too, and the control with an extra learning gradient. `known`: the facts that "retained" is drawn from,
    by default the bundled ones that the model answers. `kept`: what finished seeds left, and leave: a run
    that was cut off goes on after the last of them.

    Yields events; the last is `Done` with {"vanilla": Delta, "lwf": Delta} of the first seed and a record
    for run.json. Copies are trained: the base model is never changed.
    Raises ValueError for what cannot be run and `Diverged` for a loss that runs away.
    """
    sizes, kept, started = sizes or Sizes(), {} if kept is None else kept, time.monotonic()
    if not seeds or len(set(seeds)) != len(seeds) or len(seeds) > MAX_SEEDS:
        raise ValueError(f"give 1 to {MAX_SEEDS} different seeds")
    if known is None:
        yield Phase("known", "asking the model what it knows")
        with lm.lock:
            known = [f for f, k in zip(world(), knows(lm, ask(world()), world()), strict=True) if k]
    sets = probe_sets(task, forget, known, sizes)
    yield Phase("base", "measuring the base model")
    with lm.lock:
        base = values(lm, task, forget, sets)
        said = told(lm, sets, sizes)
    yield Figure("base", column([base], sets))
    for k, seed in enumerate(seeds):
        if seed not in kept:
            name = f"seed {k + 1} of {len(seeds)}: " if len(seeds) > 1 else ""
            one = _one_seed(
                lm, task, forget, replace(settings, seed=seed), sets, sizes, frontier, name, k == 0
            )
            for event in one:
                if isinstance(event, dict):
                    kept[seed] = event
                else:
                    yield event
    done = [kept[seed] for seed in seeds]
    columns = {BASE: column([base], sets)} | {arm: column([d[arm] for d in done], sets) for arm in ARMS}
    yield Figure("columns", columns)
    gains = {name: gain(done, name) for name in RATES}
    yield Figure("gain", gains)
    answers = [row | {BASE: b} for row, b in zip(done[0]["answers"], said, strict=True)]
    yield Figure("answers", answers)
    config = asdict(settings) | {"model": lm.name, "model_hash": lm.hash, "seeds": list(seeds)}
    config |= {"task": task.name, "forget": forget.name}
    record = {"config": config, **columns, "gain": gains["learning"], "gains": gains}
    record |= {"curve": [p for d in done for p in d["curve"]], "unlearned": done[0]["unlearned"]}
    if frontier:
        record["frontier"] = line(done)
        record["equal_retention"] = equal_retention(done)
        yield Figure("frontier", {"points": record["frontier"], "equal_retention": record["equal_retention"]})
    record["seconds"] = time.monotonic() - started
    deltas = {arm: Delta(done[0]["deltas"][arm], lm.hash, config | {"arm": arm}) for arm in ARMS}
    yield Done(deltas, record)


def _one_seed(
    lm: LM,
    task: Task,
    forget: Task,
    settings: Settings,
    sets: ProbeSets,
    sizes: Sizes,
    frontier: bool,
    name: str,
    first: bool,
) -> Iterator[Event | dict]:
    """Everything of one seed; the last item is what it leaves, tensors and plain values only."""
    task = drawn(task, settings)
    scored = None
    for event in score_own(lm, task, forget, settings):
        if isinstance(event, Scored):
            scored = event
        elif isinstance(event, Phase):
            yield Phase(event.name, name + event.text)
        else:
            yield event
    if first:
        yield Figure("confidence", scored.rows())
    learn = encoded(lm, task.train, task)
    unlearn = encoded_own(lm, [scored.own[i] for i in scored.chosen], forget)
    left: dict = {"lr": settings.lr, "unlearned": len(unlearn), "curve": [], "frontier": []}
    models = {arm: trainable_copy(lm, settings) for arm in ARMS}
    yield Phase("train", f"{name}learning, plainly and with forgetting")
    runs = {
        VANILLA: _curve(lm, models[VANILLA], task, forget, learn, [], settings, sets, sizes),
        LWF: _curve(lm, models[LWF], task, forget, learn, unlearn, settings, sets, sizes),
    }
    for both in zip(*runs.values(), strict=True):
        if isinstance(both[0], int):
            yield Progress(both[0], settings.steps, "learning steps, each in both")
            continue
        for arm, point in zip(ARMS, both):
            left["curve"].append({"seed": settings.seed, "arm": arm} | point)
            yield Figure("point", left["curve"][-1])
        left["steps"] = both[0]["step"]
        if settings.patience and all(stalled(left["curve"], arm, settings.patience) for arm in ARMS):
            break
    yield Phase("after", f"{name}measuring what was learned and what stayed")
    for arm in ARMS:
        found = replace(lm, model=models[arm], lock=RLock())
        left[arm] = values(found, task, forget, sets)
        if first:
            rows = left.setdefault("answers", answer_rows(sets, sizes))
            for row, said in zip(rows, told(found, sets, sizes), strict=True):
                row[arm] = said
    if first:
        left["deltas"] = {arm: change(lm, models[arm], {}).changes for arm in ARMS}
    if frontier:
        yield Phase("frontier", f"{name}the same at other learning rates")
        for event in _frontier(lm, task, forget, learn, unlearn, settings, sets, left):
            if isinstance(event, Progress):
                yield event
            else:
                left["frontier"].append(event)
    yield left


def stalled(curve: Sequence[dict], arm: str, patience: int) -> bool:
    """Early stop: were none of the arm's last `patience` mean learning losses below the best before them?"""
    losses = [p["loss"] for p in curve if p["arm"] == arm and p["loss"] is not None]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def drawn(task: Task, settings: Settings) -> Task:
    """The task with the training samples that the seed draws: `samples` of them, or all."""
    n = settings.samples
    if not n or n >= len(task.train):
        return task
    return replace(task, train=tuple(random.Random(f"drawn {settings.seed}").sample(task.train, n)))


def _curve(
    lm: LM,
    model,
    task: Task,
    forget: Task,
    learn: Sequence[Tokens],
    unlearn: Sequence[Tokens],
    settings: Settings,
    sets: ProbeSets,
    sizes: Sizes,
) -> Iterator[dict | int]:
    """A point of the learning curve at step 0 and `evaluations` times on the way to the last step.

    Besides, the number of each step after it is done: so the run can be stopped there.
    """
    seen = replace(lm, model=model, lock=RLock())
    learning, forgetting = sets.learning[: sizes.curve], sets.forgetting[: sizes.curve]
    every = max(1, math.ceil(settings.steps / settings.evaluations))
    losses: list[float] = []
    gone: list[float] = []

    def point(n: int) -> dict:
        return {
            "step": n,
            "learning": mean(does(seen, learning, task.metric, new=task.max_new)),
            "forgetting": mean(does(seen, forgetting, forget.metric, new=forget.max_new)),
            "loss": mean(losses),
            "forgetting_loss": mean(gone),
        }

    yield point(0)
    for step in train(model, learn, unlearn, settings):
        losses += [] if step.learning is None else [step.learning]
        gone += [] if step.forgetting is None else [step.forgetting]
        if step.n:
            yield step.n
        if step.n and (step.n % every == 0 or step.n == step.total):
            yield point(step.n)
            losses.clear()
            gone.clear()


def _frontier(
    lm: LM,
    task: Task,
    forget: Task,
    learn: Sequence[Tokens],
    unlearn: Sequence[Tokens],
    settings: Settings,
    sets: ProbeSets,
    left: dict,
) -> Iterator[Progress | dict]:
    """Both arms at each of FACTORS times the learning rate, and the control; (accuracies of) each a point."""
    todo = [(arm, x) for arm in ARMS for x in FACTORS] + [(EXTRA, 1.0)]
    for n, (arm, x) in enumerate(todo):
        told = Progress(n, len(todo), f"{arm} at {x:g} × the learning rate")
        yield told
        found = left.get(arm) if x == 1.0 else None
        if found is None:
            here = replace(settings, lr=settings.lr * x)
            model = trainable_copy(lm, here)
            for step in train(model, learn, [] if arm == VANILLA else unlearn, here, extra=arm == EXTRA):
                yield told  # at every step, so that the run can be stopped there
                if step.n == left["steps"]:
                    break
            seen = replace(lm, model=model, lock=RLock())
            found = {
                "learning": does(seen, sets.learning, task.metric, new=task.max_new),
                "retained": knows(seen, ask(sets.retained), sets.retained),
            }
        yield {
            "seed": settings.seed,
            "arm": arm,
            "lr": settings.lr * x,
            "learning": mean(found["learning"]),
            "retained": mean(found["retained"]),
        }
