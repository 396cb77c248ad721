"""LAW (Large Scale Knowledge Washing, arXiv 2405.16720): targets, initial update, ascent, elimination.

`wash` yields events and ends with the three deltas that one set of targets gives:
"memit" (the initial update alone), "scaled" (the same, as large as LAW's: the control) and
"law".
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from ..events import Event, Figure, Phase, Progress, Warn
from ..facts.fact import Fact
from ..models.delta import Delta, applied
from ..models.loading import LM
from ..models.text import answer_ids
from ..probes.knowledge import ask, knows
from .contexts import Contexts, build, keys, prefixes, residuals
from .settings import Settings
from .statistics import Statistics
from .targets import Targets, find
from .update import ascend, initial, regularised

CONVERGED = 0.5  # NLL of the target in nats below which a target counts as found


@dataclass(frozen=True)
class Washed:
    """The deltas by method, and how well the targets were found."""

    deltas: dict[str, Delta]
    converged: float


def expand(facts: Sequence[Fact], scope: str, known: Sequence[Fact]) -> list[Fact]:
    """The facts, and with a wider scope all known facts of their subjects, or of their relations."""
    if scope == "facts":
        return list(facts)
    field = "subject" if scope == "subjects" else "relation"
    wanted = {getattr(f, field) for f in facts}
    given = {f.key for f in facts}
    return [*facts, *(f for f in known if getattr(f, field) in wanted and f.key not in given)]


def target_ids(lm: LM, facts: Sequence[Fact], settings: Settings, known: Sequence[Fact]) -> list[list[int]]:
    """Token ids to be said instead, per fact: end of text, the relation's prior, or a text."""
    if settings.target == "eos":
        return [[lm.tokenizer.eos_token_id]] * len(facts)
    if settings.target != "prior":
        return answer_ids(lm.tokenizer, [settings.target] * len(facts))
    return answer_ids(lm.tokenizer, [prior(f, known) for f in facts])


def prior(fact: Fact, known: Sequence[Fact]) -> str:
    """The relation's most frequent answer that is wrong for this fact. Raises ValueError without one."""
    counts: dict[str, int] = {}
    for f in known:
        if f.relation == fact.relation and f.object not in fact.objects:
            counts[f.object] = counts.get(f.object, 0) + 1
    if not counts:
        raise ValueError(f"no prior for the relation {fact.relation!r}: the model knows no other fact of it")
    return max(sorted(counts), key=counts.get)


def wash(lm: LM, facts: Sequence[Fact], settings: Settings, stats: Statistics) -> Iterator[Event | Washed]:
    """Steps 2 to 5 on facts that the model knows. Yields events, and last a `Washed`.

    Between events of steps 3 to 5 the weights stay edited, and the model's lock stays held.
    """
    context = prefixes(lm, stats.texts, settings.prefixes, settings.seed)
    contexts = build(lm, facts, settings.position, settings.phrasings, context)
    yield Phase("targets", "finding what to say instead")
    goal = target_ids(lm, facts, settings, stats.known)
    last = settings.layers[-1]
    targets: Targets | None = None
    for event in find(lm, contexts, facts, goal, last, settings.targets, settings.position == "subject"):
        if isinstance(event, Targets):
            targets = event
        else:
            yield event
    converged = (targets.nll < CONVERGED).double().mean().item()
    yield Figure("targets", {"converged": converged, "groups": contexts.n})
    if converged < 0.9:
        yield Warn(
            f"only {converged:.0%} of the targets were found within the bound on δ: "
            f"the model can hardly be made to say {settings.target!r} here"
        )
    C = _metric(stats, facts, settings)
    yield Phase("initial", "initial update, layer by layer")
    first: dict[int, Tensor] = {}
    for event in _initial(lm, contexts, targets, C, settings.layers, settings.lam_for(len(facts))):
        if isinstance(event, dict):
            first = event
        else:
            yield event
    about = {"scope": settings.scope, "seed": settings.seed, "layers": list(settings.layers)}
    deltas = {
        "memit": _delta(lm, first, about),
        "scaled": _delta(lm, {i: d * settings.budget**0.5 for i, d in first.items()}, about),
    }
    yield Phase("law", "washing further, layer by layer")
    for event in _ascent(lm, contexts, facts, first, C, settings):
        if isinstance(event, dict):
            deltas["law"] = _delta(lm, event, about)
        else:
            yield event
    yield Washed(deltas, converged)


def _metric(stats: Statistics, facts: Sequence[Fact], settings: Settings) -> dict[int, Tensor]:
    """C + keep · C_keep of each layer, regularised."""
    C = stats.C(settings.layers)
    if settings.keep:
        kept = stats.C_keep(settings.layers, settings.position, facts, settings.keep_phrasings)
        C = {i: c + settings.keep * kept[i] for i, c in C.items()}
    return {i: regularised(c, settings.ridge) for i, c in C.items()}


def _initial(lm: LM, contexts: Contexts, targets: Targets, C, layers: Sequence[int], lam: float):
    """Step 3: each layer takes its share of what is still missing, after the earlier ones are edited."""
    updates = {}
    with lm.lock, ExitStack() as edits:
        for n, i in enumerate(layers):
            yield Progress(n, len(layers), f"layer {i}")
            K = keys(lm, contexts, [i])[i]
            missing = targets.z - residuals(lm, contexts, layers[-1]) if n else targets.delta
            R = missing / (len(layers) - n)
            updates[i] = initial(R, K, C[i], lam)
            edits.enter_context(applied(lm, _delta(lm, {i: updates[i]})))
    yield updates


def _ascent(
    lm: LM, contexts: Contexts, facts: Sequence[Fact], first: dict[int, Tensor], C, settings: Settings
):
    """Steps 4 and 5: from the original weights, layer by layer, on the facts that are still answered."""
    updates, left = {}, list(range(len(facts)))
    with lm.lock, ExitStack() as edits:
        for n, i in enumerate(settings.layers):
            yield Progress(n, len(settings.layers), f"layer {i}: {len(left)} of {len(facts)} facts left")
            K = keys(lm, contexts.of_facts(left), [i])[i]
            updates[i] = ascend(first[i], K, C[i], settings.ascent, settings.budget, settings.metric)
            if i == settings.layers[-1]:
                break
            edits.enter_context(applied(lm, _delta(lm, {i: updates[i]})))
            rest = [facts[j] for j in left]
            left = [j for j, known in zip(left, knows(lm, ask(rest), rest), strict=True) if known]
            if not left:
                break
    yield updates


def _delta(lm: LM, updates: dict[int, Tensor], about: dict | None = None) -> Delta:
    changes = {
        lm.adapter.weight_name(i): lm.adapter.stored(d.to(torch.float32)).cpu() for i, d in updates.items()
    }
    return Delta(changes, lm.hash, about or {})
