"""The README's tables: how well a wash works on a model, and how long it takes.

    python -m unlearning bench quality --model lethe-llama
    python -m unlearning bench speed --model lethe-llama

Quality: the cases below, each drawn with seeds 0 to 4; settings are those kept with the
model, which were found on other draws (seeds from 100 on). All three methods come from the
same targets. Rates are over the facts of all seeds, with the bootstrap 95 % interval over facts.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from time import monotonic

import torch
from torch import Tensor

from .events import Event, Phase
from .facts.fact import Fact
from .law.contexts import Contexts, build
from .law.experiment import RATES, Sizes, Values, probe_sets, values, values_before, wash_and_probe
from .law.settings import METHODS, Settings, settings_for
from .law.statistics import Statistics, statistics
from .law.targets import adam, find
from .law.wash import Washed, target_ids, wash
from .lwf import recorded
from .lwf import speed as scoring
from .models.delta import applied
from .models.hooks import changed, outputs_of
from .models.loading import LM
from .models.text import pad
from .probes.stats import rate

CASES = ("100 facts", "300 facts", "25 subjects", "one relation")
WASH = ("targets", "statistics", "initial", "law")
SINGLY = 10  # of the facts, every so many is found by itself, too
THOROUGH = Sizes(retained=10_000, reasoning=60, held_out=60)
Show = Callable[[Event], None]


def draw(case: str, known: Sequence[Fact], seed: int) -> tuple[str, list[Fact]]:
    """Scope and facts of a case: known facts, subjects or a relation of at least 50, drawn by a seed."""
    r = random.Random(f"bench {case} {seed}")
    if case.endswith("facts"):
        return "facts", r.sample(list(known), int(case.split()[0]))
    if case == "25 subjects":
        chosen = set(r.sample(sorted({f.subject for f in known}), 25))
        return "subjects", [f for f in known if f.subject in chosen]
    if case != "one relation":
        raise ValueError(f"no such case: {case!r}; there are {', '.join(CASES)}")
    names = sorted({f.relation for f in known})
    large = [n for n in names if sum(f.relation == n for f in known) >= 50]
    relation = r.sample(large, len(large))[0]
    return "relation", [f for f in known if f.relation == relation]


def one(lm: LM, stats: Statistics, facts: list[Fact], settings: Settings, seed: int) -> dict[str, Values]:
    """Values before, and after each method, all from one set of targets."""
    sets = probe_sets(facts, stats, THOROUGH, seed)
    out = {"before": values_before(lm, sets, stats)}
    washed = next(e for e in wash(lm, facts, settings, stats) if isinstance(e, Washed))
    for method in METHODS:
        with applied(lm, washed.deltas[method].scaled(settings.strength)):
            out[method] = values(lm, sets)
    return out


def quality(lm: LM, seeds: Sequence[int], only: Sequence[str] | None, show: Show) -> dict:
    """All cases and seeds. {"model", "seeds", "cases": {case: {"before"|method: {column: ...}}}}."""
    stats = statistics(lm)
    cases: dict[str, dict] = {}
    for case in only or CASES:
        runs = []
        for seed in seeds:
            show(Phase("bench", f"{case}, seed {seed}"))
            scope, facts = draw(case, stats.known, seed)
            runs.append(one(lm, stats, facts, settings_for(lm, scope, seed=seed), seed))
        cases[case] = {who: _pooled([r[who] for r in runs]) for who in ("before", *METHODS)}
    return {"model": lm.name, "hash": lm.hash, "seeds": list(seeds), "cases": cases}


def _pooled(columns: list[Values]) -> dict:
    """Rates over the facts of all seeds together, and the mean perplexity."""
    found = {name: rate([x for c in columns for x in c[name]]).to_json() for name in RATES}
    return found | {"perplexity": sum(c["perplexity"] for c in columns) / len(columns)}


def speed(lm: LM, show: Show) -> dict:
    """Seconds from press to result for 200 and 20 facts, and of it those of the wash itself, steps 2 to 5 (of
    three runs the middle one); and batched targets against one fact at a time as the reference code finds
    them.
    """
    stats = statistics(lm)
    stats.known  # noqa: B018 (what a running app has measured already)
    settings = settings_for(lm, position="prompt", prefixes=0)  # as `one_at_a_time` takes it
    phases(wash_and_probe(lm, draw("20 facts", stats.known, 1)[1], settings))  # warm
    seconds = {}
    for n in (200, 20):
        show(Phase("bench", f"{n} facts, press to result"))
        facts = draw(f"{n} facts", stats.known, 0)[1]
        runs = [phases(wash_and_probe(lm, facts, settings)) for _ in range(3)]
        seconds[n] = sorted((sum(r.values()), sum(r[p] for p in WASH)) for r in runs)[1]
    show(Phase("bench", "targets, batched and one at a time"))
    found = targets(lm, "prompt")
    return {
        "model": lm.name,
        "seconds_200": seconds[200][0],
        "wash_200": seconds[200][1],
        "seconds_20": seconds[20][0],
        "wash_20": seconds[20][1],
        "targets_batched": found["batched"],
        "targets_one_at_a_time": found["one_at_a_time"],
        "ratio": found["one_at_a_time"] / found["batched"],
    }


def targets(lm: LM, position: str, n: int = 200) -> dict:
    """Seconds for the targets of n known facts, both ways, of the same contexts (a text each) and steps."""
    stats, settings = statistics(lm), settings_for(lm, position=position, prefixes=0)
    facts, last = draw(f"{n} facts", stats.known, 0)[1], settings.layers[-1]
    contexts = build(lm, facts, position, settings.phrasings if position == "prompt" else 1)
    goal = target_ids(lm, facts, settings, stats.known)

    def batched() -> None:
        list(find(lm, contexts, facts, goal, last, settings.targets, False))

    together = min(_seconds(batched) for _ in range(3))  # the first may have warmed up
    some = range(0, n, SINGLY)
    singly = _seconds(lambda: [one_at_a_time(lm, contexts.of_facts([i]), goal, settings) for i in some])
    return {"facts": n, "groups": contexts.n, "batched": together, "one_at_a_time": singly * n / len(some)}


def one_at_a_time(lm: LM, contexts: Contexts, goal: Sequence[Sequence[int]], settings: Settings) -> Tensor:
    """δ (d, n) of one fact's n groups as MEMIT's code finds them: every step runs the whole model.

    Without prefixes, where a group is one text, and without the term on what the subject is.
    `goal[i]`: ids that fact i shall say.
    """
    layer = lm.adapter.layer_module(lm.model, settings.layers[-1])
    goals = [goal[i] for i in contexts.fact_of]
    texts = [(*c, *g[:-1]) for c, g in zip(contexts.ids, goals, strict=True)]
    at = torch.tensor(contexts.lookup, device=lm.device)
    ends = [len(c) - 1 for c in contexts.ids]

    def losses(delta: Tensor, which: Tensor) -> Tensor:
        mine, b = which.tolist(), torch.arange(len(which), device=lm.device)

        def add(h: Tensor) -> Tensor:
            return h.index_put((b, at[which]), delta.to(h.dtype), accumulate=True)

        with changed(layer, add, lm.device):
            logits = lm.model(**pad([texts[g] for g in mine], "right", lm.device).kwargs()).logits
        logp = logits.float().log_softmax(-1)
        nll = [-logp[i, ends[g] + torch.arange(len(goals[g])), goals[g]].mean() for i, g in enumerate(mine)]
        return torch.stack(nll) + settings.targets.decay * delta.norm(dim=1) / h0[which].norm(dim=1) ** 2

    with outputs_of({0: layer}, lm.device) as seen, torch.no_grad():
        lm.model(**pad(texts, "right", lm.device).kwargs())
    h0 = seen[0][torch.arange(contexts.n, device=lm.device), at].float()
    return adam(losses, torch.zeros_like(h0), settings.targets.clamp * h0.norm(dim=1), settings.targets)[0].T


def phases(events: Iterator[Event]) -> dict[str, float]:
    """Seconds of each phase of a wash until its events end, or its result is there; "" is before them all."""
    seconds: dict[str, float] = {}
    name, started = "", monotonic()
    with closing(events):
        for event in events:
            if isinstance(event, Phase):
                now = monotonic()
                seconds[name] = now - started
                name, started = event.name, now
                if name == "curve":
                    return seconds
    return seconds | {name: monotonic() - started}


def _seconds(run: Callable[[], object]) -> float:
    started = monotonic()
    run()
    return monotonic() - started


def table(result: dict) -> str:
    """A result as Markdown."""
    if "size" in result:
        from .bench_size import table as sizes

        return "\n".join(sizes(result))
    if "cells" in result:
        return "\n\n".join(t.markdown() for t in recorded.tables(result))
    if "seconds" in result:
        return "\n".join(scoring.table(result))
    return "\n".join(_quality_rows(result) if "cases" in result else _speed_rows(result))


def _quality_rows(result: dict) -> Iterator[str]:
    yield (
        "| washed from "
        + result["model"]
        + " | method | "
        + " | ".join(c.replace("_", " ") for c in RATES)
        + " | perplexity |"
    )
    yield "|---|---|" + "---|" * (len(RATES) + 1)
    for case, who in result["cases"].items():
        for name, figures in who.items():
            cells = [_cell(figures[c]) for c in RATES]
            yield f"| {case} | {name} | " + " | ".join(cells) + f" | {figures['perplexity']:.3f} |"


def _cell(r: dict) -> str:
    return "n.a." if not r["n"] else f"{100 * r['accuracy']:.1f} ({100 * r['low']:.1f}–{100 * r['high']:.1f})"


def _speed_rows(result: dict) -> Iterator[str]:
    yield "| what | seconds |"
    yield "|---|---|"
    for n in (200, 20):
        whole, wash = result[f"seconds_{n}"], result[f"wash_{n}"]
        yield f"| {n} facts, press to result; of it the wash itself | {whole:.1f}; {wash:.1f} |"
    yield f"| targets of 200 facts, batched | {result['targets_batched']:.2f} |"
    single, ratio = result["targets_one_at_a_time"], result["ratio"]
    yield f"| targets of 200 facts, one at a time, whole model (from 20) | {single:.2f} ({ratio:.0f} ×) |"
