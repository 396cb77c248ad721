"""A whole run: what the model knows, the wash, and everything measured before and after it."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from ..events import Done, Event, Figure, Phase, Progress, Warn
from ..facts.fact import Fact, contains
from ..models.delta import Delta, applied
from ..models.loading import LM
from ..models.text import greedy, score
from ..pretrain.corpus import held_out
from ..probes.fluency import perplexity
from ..probes.knowledge import ask, knows, paraphrase_shares, probability
from ..probes.reasoning import by_family, everything, solves
from ..probes.stats import rate
from ..tasks.reasoning import test_set
from .settings import METHODS, Settings
from .statistics import Statistics, may_be_kept, statistics
from .wash import Washed, expand, wash

STRENGTHS = (0.5, 0.75, 1.25, 1.5)  # of the trade-off curve, beside 1


@dataclass(frozen=True)
class Sizes:
    """How much is probed: facts of others, items a family, held-out texts; and of each on the curve."""

    retained: int = 400
    reasoning: int = 40
    held_out: int = 60
    curve: int = 100


@dataclass(frozen=True)
class ProbeSets:
    """What is asked before and after. Nothing in `same_subject` or `retained` was in the keep set."""

    washed: list[Fact]
    same_subject: list[Fact]
    retained: list[Fact]
    reasoning: dict
    held_out: list[str]


def probe_sets(washed: Sequence[Fact], stats: Statistics, sizes: Sizes, seed: int) -> ProbeSets:
    """Draw the probes: known facts that are neither washed nor may be kept, by a seed."""
    gone, subjects = {f.key for f in washed}, {f.subject for f in washed}
    rest = [f for f in stats.known if f.key not in gone and not may_be_kept(f)]
    others = [f for f in rest if f.subject not in subjects]
    random.Random(f"probes {seed}").shuffle(others)
    same = [f for f in rest if f.subject in subjects]
    return ProbeSets(
        list(washed),
        same,
        others[: sizes.retained],
        test_set(sizes.reasoning, seed),
        held_out(sizes.held_out, seed),
    )


def measure(lm: LM, sets: ProbeSets) -> dict:
    """Every figure of one column, before or after, as plain JSON."""
    prompts = ask(sets.washed) + ask(sets.same_subject) + ask(sets.retained)
    hits = iter(knows(lm, prompts, sets.washed + sets.same_subject + sets.retained))
    washed, same, retained = (
        [next(hits) for _ in x] for x in (sets.washed, sets.same_subject, sets.retained)
    )
    paraphrased = [s for s in paraphrase_shares(lm, sets.washed) if s is not None]
    families = by_family(sets.reasoning, solves(lm, everything(sets.reasoning)))
    rates = {"washed": washed, "paraphrased": paraphrased, "same_subject": same, "retained": retained}
    return {
        **{name: rate(values).to_json() for name, values in rates.items()},
        "reasoning": families.pop("all").to_json(),
        "families": {name: r.to_json() for name, r in families.items()},
        "perplexity": perplexity(lm, sets.held_out),
    }


def answers(lm: LM, facts: Sequence[Fact]) -> list[tuple[str, float]]:
    """Greedy answer and p(object | prompt) of each fact."""
    said = greedy(lm.model, lm.tokenizer, ask(facts))
    return list(
        zip(said, map(probability, score(lm.model, lm.tokenizer, ask(facts), [f.object for f in facts])))
    )


def wash_and_probe(
    lm: LM,
    facts: Sequence[Fact],
    settings: Settings,
    sizes: Sizes | None = None,
    stats: Statistics | None = None,
) -> Iterator[Event]:
    """Wash the facts and measure before and after.

    Yields events; the last is `Done` with the `Delta` and a record for `run.json`. Weights are
    edited only while the model's lock is held, and are the base's again, bit for bit, when the
    generator ends, fails or is closed; close it in the thread that ran it, which holds the lock.
    Raises ValueError when no fact is given or the model knows none of them.
    """
    sizes, stats = sizes or Sizes(), stats or statistics(lm, settings.moment_tokens)
    if not facts:
        raise ValueError("no facts are given")
    started = time.monotonic()
    yield Phase("known", "asking the model what it knows")
    with lm.lock:
        everything_known = stats.known
        wanted = expand(facts, settings.scope, everything_known)
        flags = knows(lm, ask(wanted), wanted)
    known = [f for f, k in zip(wanted, flags, strict=True) if k]
    unknown = [f for f, k in zip(wanted, flags, strict=True) if not k]
    listed = [{"subject": f.subject, "relation": f.relation, "object": f.object} for f in unknown]
    yield Figure("known", {"given": len(wanted), "known": len(known), "unknown": listed})
    if not known:
        raise ValueError("the model knows none of these facts, so there is nothing to wash")
    yield Phase("before", "measuring before")
    sets = probe_sets(known, stats, sizes, settings.seed)
    with lm.lock:
        before, said_before = measure(lm, sets), answers(lm, known)
    yield Figure("before", before)
    warnings, washed = [], None
    for event in wash(lm, known, settings, stats):
        if isinstance(event, Washed):
            washed = event
        else:
            warnings += [event.text] if isinstance(event, Warn) else []
            yield event
    delta = washed.deltas[settings.method].scaled(settings.strength)
    yield Phase("after", "measuring after")
    with applied(lm, delta):
        after, said_after = measure(lm, sets), answers(lm, known)
    yield Figure("after", after)
    rows = [_row(f, b, a) for f, b, a in zip(known, said_before, said_after, strict=True)]
    yield Figure("answers", rows)
    if after["washed"]["accuracy"] > 0.5:
        warnings.append("the edit did not take: more than half of the facts are still answered")
        yield Warn(warnings[-1])
    config = {**asdict(settings), "model": lm.name, "model_hash": lm.hash}
    record = {"config": config, "given": len(wanted), "known": len(known), "converged": washed.converged}
    record |= {"before": before, "after": after, "norms": delta.norms(lm), "warnings": warnings}
    record["result_seconds"] = time.monotonic() - started
    for event in curve(lm, washed, sets, sizes):
        if isinstance(event, list):
            record["curve"] = event
        else:
            yield event
    record["seconds"] = time.monotonic() - started
    yield Done(Delta(delta.changes, lm.hash, config), record)


def _row(fact: Fact, before: tuple[str, float], after: tuple[str, float]) -> dict:
    return {
        "subject": fact.subject,
        "relation": fact.relation,
        "prompt": fact.prompt(),
        "object": fact.object,
        "before": before[0],
        "after": after[0],
        "p_before": before[1],
        "p_after": after[1],
        "gone": not contains(after[0], fact.objects),
    }


def curve(lm: LM, washed: Washed, sets: ProbeSets, sizes: Sizes) -> Iterator[Progress | Phase | list]:
    """Washed against retained against reasoning, each method at each strength, on a part of the probes."""
    small = replace(
        sets,
        washed=sets.washed[: sizes.curve],
        retained=sets.retained[: sizes.curve],
        reasoning={k: v[: max(1, sizes.curve // len(sets.reasoning))] for k, v in sets.reasoning.items()},
    )
    yield Phase("curve", "the trade-off at other strengths")
    points: list[dict] = []
    todo = [(None, 0.0), *((m, s) for m in METHODS for s in sorted({*STRENGTHS, 1.0}))]
    for n, (method, strength) in enumerate(todo):
        yield Progress(n, len(todo), f"{method or 'base'} at {strength:g}")
        with applied(lm, washed.deltas[method].scaled(strength)) if method else lm.lock:
            facts = small.washed + small.retained
            hits = knows(lm, ask(facts), facts)
            sums = solves(lm, everything(small.reasoning))
        n_washed = len(small.washed)
        figures = {"washed": hits[:n_washed], "retained": hits[n_washed:], "reasoning": sums}
        points.append(
            {"method": method or "base", "strength": strength}
            | {name: rate(values).to_json() for name, values in figures.items()}
        )
    yield points
