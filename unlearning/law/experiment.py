"""A whole run: what the model knows, the wash, and everything measured before and after it."""

import math
import random
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice

from ..events import Done, Event, Figure, Phase, Progress, Warn
from ..facts.fact import Fact, Question, contains, fill
from ..models.delta import Delta, applied
from ..models.loading import LM
from ..models.text import greedy_within, score
from ..pretrain.corpus import held_out
from ..probes.fluency import perplexity
from ..probes.knowledge import ask, judged, knows, paraphrases, probability, share
from ..probes.opening import Judged
from ..probes.reasoning import by_family, everything, solves
from ..probes.reasoning import judged as judged_items
from ..probes.stats import rate
from ..probes.truth_ratio import brought as truth_ratios
from ..steps import Stopped, step
from ..tasks.reasoning import test_set
from .settings import Settings
from .statistics import Statistics, scored, statistics
from .team import ALONE, Team
from .wash import Washed, expand, wash

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)  # of the trade-off curve
RATES = ("washed", "paraphrased", "same_subject", "retained", "reasoning")
BROUGHT = ("neighbours", "portability")  # of what the facts' own file asks besides them


@dataclass(frozen=True)
class Sizes:
    """How much is probed: facts of others, questions that the file brings (of either kind), items a family,
    held-out texts; and of each on the curve."""

    retained: int = 400
    brought: int = 400
    reasoning: int = 40
    held_out: int = 60
    curve: int = 100


@dataclass(frozen=True)
class ProbeSets:
    """What is asked before and after. Nothing in `same_subject` or `retained` was in the keep set.

    `neighbours` must stay and `portability` follows from what is washed. Both come with the facts, so they
    are asked whether the model knew them or not, and a neighbour may be a fact of the keep set.
    """

    washed: list[Fact]
    same_subject: list[Fact]
    retained: list[Fact]
    reasoning: dict
    held_out: list[str]
    neighbours: list[Question]
    portability: list[Question]


def probe_sets(washed: Sequence[Fact], stats: Statistics, sizes: Sizes, seed: int) -> ProbeSets:
    """Draw the probes by a seed: known facts that are neither washed nor kept."""
    subjects = {f.subject for f in washed}
    rest = scored(washed, stats.known)
    others = [f for f in rest if f.subject not in subjects]
    random.Random(f"probes {seed}").shuffle(others)
    same = [f for f in rest if f.subject in subjects]
    return ProbeSets(
        list(washed),
        same,
        others[: sizes.retained],
        test_set(sizes.reasoning, seed),
        held_out(sizes.held_out, seed),
        *(brought(washed, name, sizes.brought, seed) for name in BROUGHT),
    )


def brought(washed: Sequence[Fact], name: str, n: int, seed: int) -> list[Question]:
    """At most n of the questions that the facts bring under this name, by a seed; none that asks a fact."""
    washing = {p for f in washed for p in ask([f] * len(f.prompts), f.prompts)}
    found = [q for q in dict.fromkeys(q for f in washed for q in getattr(f, name)) if q.prompt not in washing]
    return random.Random(f"{name} {seed}").sample(found, n) if len(found) > n else found


# of each of RATES and BROUGHT the values, one a fact or item; "truth_ratio", one a fact that brings wrong
# answers; "perplexity"; under "said" the words of answers by the names above, but for the washed facts' own
Values = dict


def values(lm: LM, sets: ProbeSets, said: Sequence[tuple[str, float]] | None = None) -> Values:
    """What is measured in one column, before it becomes rates. `said`: the washed facts' answers, if had."""
    said = answers(lm, sets.washed) if said is None else said
    others, n = sets.same_subject + sets.retained, len(sets.same_subject)
    found = judged(lm, ask(others), others)
    asked = {"same_subject": found[:n], "retained": found[n:]}
    asked["reasoning"] = judged_items(lm, everything(sets.reasoning))
    return {
        "washed": _told(sets.washed, said),
        **_values(lm, sets, asked),
        "perplexity": perplexity(lm, sets.held_out),
    }


def values_before(lm: LM, sets: ProbeSets, stats: Statistics) -> Values:
    """`values` of the base model on facts that step 1 found known: only what it did not ask is asked now."""
    items = everything(sets.reasoning)
    solved = stats.answers("reasoning", [x.prompt for x in items], lambda: judged_items(lm, items))
    surprise = stats.once("perplexity", sets.held_out, lambda: [perplexity(lm, sets.held_out) or math.nan])
    known = {"same_subject": sets.same_subject, "retained": sets.retained}
    asked = {name: [Judged(True, text) for text in stats.said(some)] for name, some in known.items()}
    return {
        "washed": [True] * len(sets.washed),
        **_values(lm, sets, asked | {"reasoning": solved}),
        "perplexity": None if math.isnan(surprise[0]) else surprise[0],
    }


def _values(lm: LM, sets: ProbeSets, asked: dict[str, list[Judged]]) -> Values:
    """Values and words of these answers, by name, and of what is asked of every model anew."""
    worded, asked = paraphrased(lm, sets), asked | answered(lm, sets)
    return {
        "paraphrased": [share(some) for some in worded],
        **{name: [j.right for j in some] for name, some in asked.items()},
        "truth_ratio": [x for _, x in truth_ratios(lm, sets.washed)],
        "said": {
            "paraphrased": [" / ".join(j.said for j in some) for some in worded],
            **{name: [j.said for j in some] for name, some in asked.items()},
        },
    }


def paraphrased(lm: LM, sets: ProbeSets) -> list[list[Judged]]:
    """Of each washed fact that has paraphrases, the answers to them."""
    return [some for some in paraphrases(lm, sets.washed) if some]


def answered(lm: LM, sets: ProbeSets) -> dict[str, list[Judged]]:
    """The answers to the questions that the file brings."""
    asked = {name: getattr(sets, name) for name in BROUGHT}
    return {name: judged(lm, [q.prompt for q in some], some) for name, some in asked.items()}


def figures(found: Values, sets: ProbeSets) -> dict:
    """Every figure of one column, before or after, as plain JSON."""
    families = by_family(sets.reasoning, found["reasoning"])
    return {
        **{name: rate(found[name]).to_json() for name in (*RATES[:-1], *BROUGHT)},
        "reasoning": families.pop("all").to_json(),
        "families": {name: r.to_json() for name, r in families.items()},
        "truth_ratio": rate(found["truth_ratio"], share=False).to_json(),
        "perplexity": found["perplexity"],
    }


def measure(lm: LM, sets: ProbeSets) -> dict:
    """`figures` of the model as it is."""
    return figures(values(lm, sets), sets)


def answers(lm: LM, facts: Sequence[Fact]) -> list[tuple[str, float]]:
    """Greedy answer of each fact, and how `sure` the model is of the right one."""
    prompts = ask(facts)
    said = greedy_within(lm.model, lm.tokenizer, prompts, [f.object for f in facts])
    return list(zip(said, sure(lm, prompts, [f.objects for f in facts])))


def sure(lm: LM, prompts: Sequence[str], accepted: Sequence[Sequence[str]]) -> list[float]:
    """p(answer | prompt), of several accepted answers that of the likeliest."""
    asked = [p for p, objects in zip(prompts, accepted, strict=True) for _ in objects]
    answers = [o for objects in accepted for o in objects]
    found = map(probability, score(lm.model, lm.tokenizer, asked, answers))
    return [max(islice(found, len(objects))) for objects in accepted]


def _told(facts: Sequence[Fact], said: Sequence[tuple[str, float]]) -> list[bool]:
    """Is each fact's object in its answer?"""
    return [contains(text, f.objects) for f, (text, _) in zip(facts, said, strict=True)]


def wash_and_probe(
    lm: LM,
    facts: Sequence[Fact],
    settings: Settings,
    sizes: Sizes | None = None,
    stats: Statistics | None = None,
    kept: MutableMapping | None = None,
    team: Team = ALONE,
) -> Iterator[Event]:
    """Wash the facts and measure before and after. `kept` and `team` are those of `wash`.

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
        stats.known = team.agree(stats.known if team.first else [])
        wanted = expand(facts, settings.scope, stats.known)
        said = team.map(lambda some: answers(lm, some), wanted)
    flags = _told(wanted, said)
    known = [f for f, k in zip(wanted, flags, strict=True) if k]
    unknown = [f for f, k in zip(wanted, flags, strict=True) if not k]
    said_before = [s for s, k in zip(said, flags, strict=True) if k]
    listed = [{"subject": f.subject, "relation": f.relation, "object": f.object} for f in unknown]
    yield Figure("known", {"given": len(wanted), "known": len(known), "unknown": listed})
    if not known:
        raise ValueError("the model knows none of these facts, so there is nothing to wash")
    yield Phase("before", "measuring before")
    sets = probe_sets(known, stats, sizes, settings.seed)
    with lm.lock:
        values_then = values_before(lm, sets, stats)
    before = figures(values_then, sets)
    yield Figure("before", before)
    warnings, washed, moments = [], None, {}
    for event in wash(lm, known, settings, stats, kept, team):
        if isinstance(event, Washed):
            washed = event
        else:
            warnings += [event.text] if isinstance(event, Warn) else []
            moments = event.value if isinstance(event, Figure) and event.name == "moments" else moments
            yield event
    delta = washed.deltas[settings.method].scaled(settings.strength)
    yield Phase("after", "measuring after")
    with applied(lm, delta):
        said_after = answers(lm, known)
        values_now = values(lm, sets, said_after)
    after = figures(values_now, sets)
    yield Figure("after", after)
    rows = [_row(f, b, a) for f, b, a in zip(known, said_before, said_after, strict=True)]
    yield Figure("answers", rows)
    yield Figure("questions", questions(sets, values_then, values_now))
    if after["washed"]["accuracy"] > 0.5:
        warnings.append("the edit did not take: more than half of the facts are still answered")
        yield Warn(warnings[-1])
    config = {**asdict(settings), "model": lm.name, "model_hash": lm.hash}
    record = {"config": config, "given": len(wanted), "known": len(known), "converged": washed.converged}
    record["moments"] = moments
    record |= {"before": before, "after": after, "norms": delta.norms(lm), "warnings": warnings}
    record["result_seconds"] = time.monotonic() - started
    had = {("base", 0.0): values_then, (settings.method, settings.strength): values_now}
    yield Phase("curve", "the trade-off at other strengths; stopped here, the result stays")
    record["curve"] = curve(lm, washed, sets, sizes, settings, had)
    record["seconds"] = time.monotonic() - started
    yield Done(Delta(delta.changes, lm.hash, config), record)


def _row(fact: Fact, before: tuple[str, float], after: tuple[str, float]) -> dict:
    return {
        "subject": fact.subject,
        "relation": fact.relation,
        "prompt": fact.prompt(),
        "object": fact.object,
        "objects": list(fact.objects),
        "before": before[0],
        "after": after[0],
        "p_before": before[1],
        "p_after": after[1],
        "gone": not contains(after[0], fact.objects),
    }


def questions(sets: ProbeSets, before: Values, after: Values) -> list[dict]:
    """Every question behind the rates but those of the washed facts' own words, with the share right (0 or 1;
    of paraphrases, which come together by fact, any between) before and after, and what was said.

    The words are those that had to be read to judge them: of a right answer little more than itself. To a
    truth ratio, which is no share, nothing is said.
    """
    worded = [f for f in sets.washed if f.paraphrases]
    tempted = [f for f in sets.washed if f.wrong]
    asked = {
        "paraphrased": [(" / ".join(fill(t, f.subject) for t in f.paraphrases), f.object) for f in worded],
        **{
            name: [(f.prompt(), f.object) for f in getattr(sets, name)]
            for name in ("same_subject", "retained")
        },
        **{name: [(q.prompt, q.object) for q in getattr(sets, name)] for name in BROUGHT},
        "reasoning": [(x.prompt, x.answer) for x in everything(sets.reasoning)],
        "truth_ratio": [(f.prompt(), f.reworded or f.object) for f in tempted],
    }
    unsaid = {"truth_ratio": [""] * len(tempted)}
    said_then, said_now = before["said"] | unsaid, after["said"] | unsaid
    return [
        {
            "measure": name,
            "asked": prompt,
            "right answer": right,
            "before": float(b),
            "after": float(a),
            "said before": then,
            "said after": now,
        }
        for name, rows in asked.items()
        for (prompt, right), b, a, then, now in zip(
            rows, before[name], after[name], said_then[name], said_now[name], strict=True
        )
    ]


def asked_again(lm: LM, rows: Sequence[dict]) -> list[dict]:
    """The rows of an "answers" figure with what the model, as it is now, says in place of `after`."""
    prompts = [r["prompt"] for r in rows]
    said = greedy_within(lm.model, lm.tokenizer, prompts, [r["object"] for r in rows])
    p = sure(lm, prompts, [r["objects"] for r in rows])
    return [
        r | {"after": text, "p_after": q, "gone": not contains(text, r["objects"])}
        for r, text, q in zip(rows, said, p, strict=True)
    ]


def curve(
    lm: LM,
    washed: Washed,
    sets: ProbeSets,
    sizes: Sizes,
    settings: Settings,
    had: dict[tuple[str, float], Values],
) -> list[dict]:
    """Washed against retained against reasoning, each method at each strength, on a part of the probes.

    Those of the run's own method are at all of STRENGTHS and its own strength. "scaled" is MEMIT's update
    times √budget, so both are one line, whose points are measured once.
    `had`: what is measured already, by method and strength. Each of the rest is a `step`, and a run that is
    stopped at one has the points until then.
    """
    size = settings.budget**0.5
    wanted = {(m, s) for m in ("law", "memit") for s in STRENGTHS}
    own = [(settings.method, s) for s in (*STRENGTHS, settings.strength) if s]
    wanted |= {("memit", s * size) if m == "scaled" else (m, s) for m, s in [*own, ("scaled", 1.0)]}
    todo = [("base", 0.0), *sorted(wanted)]
    found = {at: _of_some(values, sets, sizes.curve) for at, values in had.items()}
    with suppress(Stopped):
        small = _some(sets, sizes.curve)
        facts, n_washed = small.washed + small.retained, len(small.washed)
        for n, (method, strength) in enumerate(todo):
            if (method, strength) in found:
                continue
            step(Progress(n, len(todo), f"{method} at {strength:.3g}"))
            with applied(lm, washed.deltas[method].scaled(strength)):
                hits = knows(lm, ask(facts), facts)
                solved = solves(lm, everything(small.reasoning))
            found[method, strength] = {
                "washed": hits[:n_washed],
                "retained": hits[n_washed:],
                "reasoning": solved,
            }
    points = [
        {"method": method, "strength": strength}
        | {name: rate(values[name]).to_json() for name in ("washed", "retained", "reasoning")}
        for (method, strength), values in found.items()
    ]
    points += [
        p | {"method": "scaled", "strength": round(p["strength"] / size, 6)}
        for p in points
        if p["method"] == "memit"
    ]
    return sorted(points, key=lambda p: (p["method"], p["strength"]))


def _some(sets: ProbeSets, n: int) -> ProbeSets:
    """The first n washed and retained facts, and as many reasoning items, of every family alike."""
    each = max(1, n // len(sets.reasoning))
    return replace(
        sets,
        washed=sets.washed[:n],
        retained=sets.retained[:n],
        reasoning={k: v[:each] for k, v in sets.reasoning.items()},
    )


def _of_some(found: Values, sets: ProbeSets, n: int) -> Values:
    """The values of `_some(sets, n)` among those of all."""
    rest, solved = iter(found["reasoning"]), []
    for name, items in sets.reasoning.items():
        mine = list(islice(rest, len(items)))
        solved += mine[: len(_some(sets, n).reasoning[name])]
    return {"washed": found["washed"][:n], "retained": found["retained"][:n], "reasoning": solved}
