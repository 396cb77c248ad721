"""What is asked of the base model, vanilla and LWF, and what the answers come to."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..facts.fact import Fact
from ..models.loading import LM
from ..pretrain.corpus import held_out
from ..probes.fluency import perplexity
from ..probes.knowledge import ask, knows
from ..probes.reasoning import by_family, everything, solves
from ..probes.stats import Rate, paired, rate
from ..probes.task import does
from ..tasks.bundled import FORGET, lot
from ..tasks.reasoning import test_set
from ..tasks.task import Sample, Task, asked
from .self_knowledge import first_sentence

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
        "learning": does(lm, sets.learning, task.metric, new=task.max_new),
        "forgetting": does(lm, sets.forgetting, forget.metric, new=forget.max_new),
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


def some_of_each(sets: ProbeSets, sizes: Sizes) -> dict[str, list]:
    """A few of each kind, whose answers are shown word by word."""
    n = sizes.answers
    return {
        "learning": list(sets.learning[:n]),
        "forgetting": list(sets.forgetting[:n]),
        "retained": [Sample(f.prompt(), f.objects) for f in sets.retained[:n]],
    }


def answer_rows(sets: ProbeSets, sizes: Sizes) -> list[dict]:
    return [
        {"what": what, "prompt": s.prompt, "right": s.answer}
        for what, some in some_of_each(sets, sizes).items()
        for s in some
    ]


def told(lm: LM, sets: ProbeSets, sizes: Sizes) -> list[str]:
    """The model's greedy answers to those: first sentences, and worked solutions whole."""
    samples = [s for some in some_of_each(sets, sizes).values() for s in some]
    texts = zip(samples, asked(lm, samples), strict=True)
    return [t if "\n" in s.answer else first_sentence(t) for s, t in texts]  # a worked solution has lines


def mean(x: Sequence[float]) -> float | None:
    return sum(x) / len(x) if x else None


def gain(done: Sequence[dict], name: str) -> dict:
    """LWF less vanilla in shares of 1, paired: over seeds where there are several, else over items."""
    each = [mean(d[LWF][name]) - mean(d[VANILLA][name]) for d in done if d[LWF][name]]
    if len(each) == 1:
        pairs = zip(done[0][LWF][name], done[0][VANILLA][name], strict=True)
        return _difference(rate([float(a) - float(b) for a, b in pairs], share=False), each)
    return _difference(paired(each), each)


def _difference(r: Rate, each: list[float]) -> dict:
    return {"mean": r.accuracy, "low": r.low, "high": r.high, "n": r.n, "per_seed": each}


def line(done: Sequence[dict]) -> list[dict]:
    """The frontier's points, each a mean over seeds: arm, learning rate, learning and retained accuracy."""
    places = dict.fromkeys((p["arm"], p["lr"]) for p in done[0]["frontier"])
    out = []
    for arm, lr in places:
        here = [p for d in done for p in d["frontier"] if (p["arm"], p["lr"]) == (arm, lr)]
        means = {name: mean([p[name] for p in here]) for name in ("learning", "retained")}
        out.append({"arm": arm, "lr": lr, "n": len(here)} | means)
    return out


def equal_retention(done: Sequence[dict]) -> dict:
    """LWF's learning accuracy less vanilla's best where that, at whatever rate, retains at least as much."""
    gains = []
    for d in done:
        points = [(p["retained"], p["learning"]) for p in d["frontier"] if p["arm"] == VANILLA]
        mine = next(p for p in d["frontier"] if p["arm"] == LWF and p["lr"] == d["lr"])
        gains.append(mine["learning"] - at_retention(points, mine["retained"]))
    return _difference(paired(gains), gains)


def at_retention(points: Sequence[tuple[float, float]], retained: float) -> float:
    """The best learning accuracy, on the line through (retained, learning) points in the order of their
    learning rates, where at least so much is retained; where nothing is, that of what retains most.
    """
    found = [a for r, a in points if r >= retained]
    for (r0, a0), (r1, a1) in zip(points, points[1:]):
        if min(r0, r1) < retained < max(r0, r1):
            found.append(a0 + (a1 - a0) * (retained - r0) / (r1 - r0))
    return max(found, default=max(points)[1])
