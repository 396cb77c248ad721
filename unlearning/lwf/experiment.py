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
from ..pretrain.corpus import held_out
from ..probes.fluency import perplexity
from ..probes.knowledge import ask, knows
from ..probes.reasoning import by_family, everything, solves
from ..probes.stats import paired, rate
from ..probes.task import does
from ..tasks.bundled import FORGET, lot
from ..tasks.reasoning import test_set
from ..tasks.task import Sample, Task, asked
from .batches import AnswerLoss, Tokens, tokens
from .confidence import Confidence, confidences, task_gradient
from .self_knowledge import Own, first_sentence, self_knowledge
from .settings import Settings
from .train import train
from .trainable import change, trainable_copy

BASE, VANILLA, LWF, EXTRA = "base", "vanilla", "lwf", "extra"
ARMS = (VANILLA, LWF)
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)  # of the learning rate, on the frontier
MAX_SEEDS = 10


@dataclass(frozen=True)
class Sizes:
    """How much is asked: of each kind in the end, and of a task's test set while it learns."""

    retained: int = 300
    reasoning: int = 25
    held_out: int = 60
    curve: int = 60
    answers: int = 12


@dataclass(frozen=True)
class ProbeSets:
    """What every column is asked; none of it is trained on or unlearned."""

    learning: tuple[Sample, ...]
    forgetting: tuple[Sample, ...]
    retained: tuple[Fact, ...]
    reasoning: dict
    held_out: list[str]


def probe_sets(task: Task, forget: Task, known: Sequence[Fact], sizes: Sizes) -> ProbeSets:
    """The tasks' test sets, reasoning items, and retained facts: known ones that neither task is about.

    A mixed forgetting task is about no one relation; what is told of its subjects is left out instead.
    """
    about = {*task.relations, *forget.relations}
    rest = [f for f in known if f.relation not in about and lot(f.subject) != FORGET]
    random.Random("retained").shuffle(rest)
    return ProbeSets(
        task.test,
        forget.test,
        tuple(rest[: sizes.retained]),
        test_set(sizes.reasoning),
        held_out(sizes.held_out),
    )


def values(lm: LM, task: Task, forget: Task, sets: ProbeSets) -> dict:
    """Of each measure one value an item: right or not; and the perplexity."""
    return {
        "learning": does(lm, sets.learning, task.metric),
        "forgetting": does(lm, sets.forgetting, forget.metric),
        "retained": knows(lm, ask(sets.retained), sets.retained),
        "reasoning": solves(lm, everything(sets.reasoning)),
        "perplexity": perplexity(lm, sets.held_out),
    }


RATES = ("learning", "forgetting", "retained", "reasoning")


def column(found: Sequence[dict], sets: ProbeSets) -> dict:
    """One column of the result: rates over items, an item's value being its mean over seeds; perplexity.

    `per_seed`: each seed's own accuracy.
    """
    means = {name: [sum(v) / len(v) for v in zip(*(f[name] for f in found))] for name in RATES}
    families = by_family(sets.reasoning, means["reasoning"])
    surprise = [f["perplexity"] for f in found if f["perplexity"] is not None]
    return {
        **{
            name: rate(means[name]).to_json()
            | {"per_seed": [sum(f[name]) / len(f[name]) if f[name] else None for f in found]}
            for name in RATES
        },
        "families": {name: r.to_json() for name, r in families.items() if name != "all"},
        "perplexity": sum(surprise) / len(surprise) if surprise else None,
    }


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


def select(found: Sequence[Confidence], how: str, n: int, seed: int) -> list[int]:
    """Which samples are D_U: the n of highest FC; or of lowest, at random, or those that pull most against
    the task by the cosine.
    """
    if how == "random":
        return sorted(random.Random(f"select {seed}").sample(range(len(found)), min(n, len(found))))
    key = {"high": lambda c: -c.score, "low": lambda c: c.score, "cosine": lambda c: c.cosine}[how]
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
    copy.set_attn_implementation("eager")  # torch.func has no batching rule for the fused kernels
    loss = AnswerLoss(copy)
    names = [n for n, p in loss.named_parameters() if p.requires_grad]
    learn, unlearn = encoded(lm, task.train, task), encoded_own(lm, own, forget)
    total, found = len(learn) + len(unlearn), []
    gradient = task_gradient(loss, learn, names, settings.chunk)
    yield Progress(len(learn), total, "the task's gradient and Fisher information")
    for part in confidences(loss, unlearn, gradient, settings.chunk):
        found += part
        yield Progress(len(learn) + len(found), total, "one gradient a sample")
    n = max(1, round(settings.portion * len(learn))) if settings.portion else 0
    yield Scored(own, found, select(found, settings.select, n, settings.seed))


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
        told = _told(lm, sets, sizes)
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
    answers = [row | {BASE: b} for row, b in zip(done[0]["answers"], told, strict=True)]
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
    for points in zip(*runs.values(), strict=True):
        for arm, point in zip(ARMS, points):
            left["curve"].append({"seed": settings.seed, "arm": arm} | point)
            yield Figure("point", left["curve"][-1])
        yield Progress(points[0]["step"], settings.steps, "learning steps, each in both")
    yield Phase("after", f"{name}measuring what was learned and what stayed")
    for arm in ARMS:
        found = replace(lm, model=models[arm], lock=RLock())
        left[arm] = values(found, task, forget, sets)
        if first:
            told = _told(found, sets, sizes)
            for row, said in zip(left.setdefault("answers", _rows(sets, sizes)), told, strict=True):
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
) -> Iterator[dict]:
    """A point of the learning curve at step 0 and `evaluations` times on the way to the last step."""
    seen = replace(lm, model=model, lock=RLock())
    learning, forgetting = sets.learning[: sizes.curve], sets.forgetting[: sizes.curve]
    every = max(1, math.ceil(settings.steps / settings.evaluations))
    losses: list[float] = []
    gone: list[float] = []

    def point(n: int) -> dict:
        return {
            "step": n,
            "learning": _mean(does(seen, learning, task.metric)),
            "forgetting": _mean(does(seen, forgetting, forget.metric)),
            "loss": _mean(losses),
            "forgetting_loss": _mean(gone),
        }

    yield point(0)
    for step in train(model, learn, unlearn, settings):
        losses += [] if step.learning is None else [step.learning]
        gone += [] if step.forgetting is None else [step.forgetting]
        if step.n and (step.n % every == 0 or step.n == step.total):
            yield point(step.n)
            losses.clear()
            gone.clear()


def _mean(x: Sequence[float]) -> float | None:
    return sum(x) / len(x) if x else None


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
        yield Progress(n, len(todo), f"{arm} at {x:g} × the learning rate")
        found = left.get(arm) if x == 1.0 else None
        if found is None:
            here = replace(settings, lr=settings.lr * x)
            model = trainable_copy(lm, here)
            for _ in train(model, learn, [] if arm == VANILLA else unlearn, here, extra=arm == EXTRA):
                pass
            seen = replace(lm, model=model, lock=RLock())
            found = {
                "learning": does(seen, sets.learning, task.metric),
                "retained": knows(seen, ask(sets.retained), sets.retained),
            }
        yield {
            "seed": settings.seed,
            "arm": arm,
            "lr": settings.lr * x,
            "learning": _mean(found["learning"]),
            "retained": _mean(found["retained"]),
        }


def _asked(sets: ProbeSets, sizes: Sizes) -> dict[str, list]:
    """A few of each kind, whose answers are shown word by word."""
    n = sizes.answers
    return {
        "learning": list(sets.learning[:n]),
        "forgetting": list(sets.forgetting[:n]),
        "retained": [Sample(f.prompt(), f.objects) for f in sets.retained[:n]],
    }


def _rows(sets: ProbeSets, sizes: Sizes) -> list[dict]:
    return [
        {"what": what, "prompt": s.prompt, "right": s.answer}
        for what, some in _asked(sets, sizes).items()
        for s in some
    ]


def _told(lm: LM, sets: ProbeSets, sizes: Sizes) -> list[str]:
    """The model's greedy answers to those, first sentences only."""
    return [first_sentence(t) for t in asked(lm, [s for some in _asked(sets, sizes).values() for s in some])]


def gain(done: Sequence[dict], name: str) -> dict:
    """LWF less vanilla, paired: over seeds where there are several, else over items. In shares of 1."""
    if len(done) > 1:
        return paired([_mean(d[LWF][name]) - _mean(d[VANILLA][name]) for d in done]).to_json()
    differences = [
        float(a) - float(b) for a, b in zip(done[0][LWF][name], done[0][VANILLA][name], strict=True)
    ]
    return rate(differences, share=False).to_json()


def line(done: Sequence[dict]) -> list[dict]:
    """The frontier's points, each a mean over seeds: arm, learning rate, learning and retained accuracy."""
    places = dict.fromkeys((p["arm"], p["lr"]) for p in done[0]["frontier"])
    out = []
    for arm, lr in places:
        here = [p for d in done for p in d["frontier"] if (p["arm"], p["lr"]) == (arm, lr)]
        means = {name: _mean([p[name] for p in here]) for name in ("learning", "retained")}
        out.append({"arm": arm, "lr": lr, "n": len(here)} | means)
    return out


def equal_retention(done: Sequence[dict]) -> dict:
    """LWF's learning accuracy less vanilla's where vanilla, at whatever learning rate, retains as much."""
    gains = []
    for d in done:
        points = [(p["retained"], p["learning"]) for p in d["frontier"] if p["arm"] == VANILLA]
        mine = next(p for p in d["frontier"] if p["arm"] == LWF and p["lr"] == d["lr"])
        gains.append(mine["learning"] - at_retention(points, mine["retained"]))
    return paired(gains).to_json()


def at_retention(points: Sequence[tuple[float, float]], retained: float) -> float:
    """The best learning accuracy on the line through (retained, learning) points, in the order of their
    learning rates, at so much retained; beyond the line's ends, that of the end.
    """
    low, high = min(points), max(points)
    if retained <= low[0] or retained >= high[0]:
        return (low if retained <= low[0] else high)[1]
    found = []
    for (r0, a0), (r1, a1) in zip(points, points[1:]):
        if min(r0, r1) <= retained <= max(r0, r1):
            found.append(max(a0, a1) if r0 == r1 else a0 + (a1 - a0) * (retained - r0) / (r1 - r0))
    return max(found)
