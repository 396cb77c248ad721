"""LAW (Large Scale Knowledge Washing, arXiv 2405.16720): targets, initial update, ascent, elimination.

`wash` yields events and ends with the three deltas that one set of targets gives:
"memit" (the initial update alone), "scaled" (the same, as large as LAW's: the control) and
"law". However many facts there are, texts, keys and targets of one block are in memory at once
(`blocks.py`); beside them stand sums of f × f and d × f.
"""

from collections.abc import Iterator, MutableMapping, Sequence
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
from .blocks import Blocks
from .contexts import Contexts, Groups, keys, keys_and_residuals, prefixes
from .settings import Settings
from .statistics import Statistics
from .targets import find_block
from .team import ALONE, Team
from .update import ascend, initial, regularised

CONVERGED = 0.5  # NLL of the target in nats below which a target counts as found
Sums = dict[str, Tensor]  # as of `Blocks.sums`


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
        return answer_ids(lm.tokenizer, [settings.target]) * len(facts)
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


def wash(
    lm: LM,
    facts: Sequence[Fact],
    settings: Settings,
    stats: Statistics,
    kept: MutableMapping | None = None,
    team: Team = ALONE,
) -> Iterator[Event | Washed]:
    """Steps 2 to 5 on facts that the model knows. Yields events, and last a `Washed`.

    `kept`: where a run that may be cut off writes down what it has, and finds what an earlier one left.
    `team`: the processes that share the facts. All of them call this with the same arguments.
    Between events of steps 3 to 5 the weights stay edited, and the model's lock stays held.
    """
    blocks = Blocks(lm, kept, team)
    texts = team.agree(stats.texts if team.first else ())  # another machine may have other ordinary text
    context = prefixes(lm, texts, settings.prefixes, settings.seed)
    groups = Groups(lm, facts, settings.position, settings.phrasings, context)
    yield Phase("targets", "finding what to say instead")
    sums = yield from _targets(blocks, groups, target_ids(lm, facts, settings, stats.known), settings)
    converged = team.agree(sums["found"].item() / groups.n)
    yield Figure("targets", {"converged": converged, "groups": groups.n})
    if converged < 0.9:
        yield Warn(
            f"only {converged:.0%} of the targets were found within what a fact's state may "
            f"change (the bound on δ): the model can hardly be made to say {settings.target!r} here"
        )
    C = {}
    if team.first:
        yield Phase("statistics", "measuring what is to be spared")
        C = _metric(stats, facts, settings, sums["G"])
        yield Figure("moments", stats.measured())
    yield Phase("initial", "initial update, layer by layer")
    first = yield from _initial(blocks, groups, sums, C, settings)
    about = {"scope": settings.scope, "seed": settings.seed, "layers": list(settings.layers)}
    deltas = {
        "memit": _delta(lm, first, about),
        "scaled": _delta(lm, {i: d * settings.budget**0.5 for i, d in first.items()}, about),
    }
    yield Phase("law", "washing further, layer by layer")
    law = yield from _ascent(blocks, groups, sums["G"], first, C, settings)
    deltas["law"] = _delta(lm, law, about)
    yield Washed(deltas, converged)


def _metric(stats: Statistics, facts: Sequence[Fact], settings: Settings, G: Tensor) -> dict[int, Tensor]:
    """C + keep · C_keep of each layer, regularised. `G`: K Kᵀ (f, f) of the facts at the first layer."""
    C, layers = stats.C(settings.layers), settings.layers
    if settings.keep:
        at_hand = {layers[0]: G} if settings.alike else None
        kept = stats.C_keep(layers, settings.position, facts, settings.keep_phrasings, at_hand)
        C = {i: c + settings.keep * kept[i] for i, c in C.items()}
    return {i: regularised(c, settings.ridge) for i, c in C.items()}


def _targets(blocks: Blocks, groups: Groups, goal: Sequence[Sequence[int]], settings: Settings):
    """Step 2: z = h + δ of each group; and of the first layer, whose keys no edit reaches, K Kᵀ and R Kᵀ."""
    layers, essence = settings.layers, settings.position == "subject"

    def add(contexts: Contexts, _, sums: Sums) -> Tensor | None:
        found = find_block(
            blocks.lm, contexts, groups.facts, goal, layers[-1], settings.targets, essence, layers[0]
        )
        delta = found.delta.double().T
        R = blocks.lm.adapter.said_more(blocks.lm.model, layers[0], found.K, delta / len(layers))
        _accumulate(sums, found.K, R)
        sums["found"] += (found.nll < CONVERGED).sum()
        return (found.h + found.delta).cpu() if len(layers) > 1 else None

    return (yield from blocks.sums("targets", groups, layers[0], add, "finding targets"))


def _accumulate(sums: Sums, K: Tensor, R: Tensor | None = None) -> None:
    """Add K Kᵀ and R Kᵀ."""
    sums["G"].addmm_(K, K.T)
    if R is not None:
        sums["RK"].addmm_(R, K.T)


def _initial(blocks: Blocks, groups: Groups, sums: Sums, C: dict[int, Tensor], settings: Settings):
    """Step 3: each layer takes its share of what is still missing, after the earlier ones are edited.

    `sums`: those of the first layer, where δ is what is missing.
    """
    lm, layers, updates = blocks.lm, settings.layers, {}
    lam = settings.lam_for(len(groups.facts))
    with lm.lock, ExitStack() as edits:
        for n, i in enumerate(layers):
            yield Progress(n, len(layers), f"layer {i}")
            if n and not blocks.has(f"initial-{i}"):

                def add(contexts: Contexts, z: Tensor, sums: Sums, i=i, n=n) -> None:
                    K, H = keys_and_residuals(lm, contexts, i, layers[-1])
                    R = lm.adapter.said_more(lm.model, i, K, (z.to(H).T - H) / (len(layers) - n))
                    _accumulate(sums, K, R)

                sums = yield from blocks.sums(f"moved-{i}", groups, i, add, f"layer {i}", needs_z=True)
            updates[i] = blocks.once(f"initial-{i}", lambda i=i, s=sums: initial(s["RK"], s["G"], C[i], lam))
            blocks.drop(f"moved-{i}")
            edits.enter_context(applied(lm, _delta(lm, {i: updates[i]})))
    return updates


def _ascent(
    blocks: Blocks,
    groups: Groups,
    G: Tensor,
    first: dict[int, Tensor],
    C: dict[int, Tensor],
    settings: Settings,
):
    """Steps 4 and 5: from the original weights, layer by layer, on the facts that are still answered.

    `G`: K Kᵀ of all facts at the first layer.
    """
    lm, layers, facts, updates = blocks.lm, settings.layers, groups.facts, {}
    with lm.lock, ExitStack() as edits:
        for n, i in enumerate(layers):
            yield Progress(n, len(layers), f"layer {i}: {len(facts)} of {len(groups.facts)} facts left")
            if n and not blocks.has(f"law-{i}"):
                rest = Groups(lm, facts, groups.position, groups.phrasings, groups.prefixes)

                def add(contexts: Contexts, _, sums: Sums, i=i) -> None:
                    _accumulate(sums, keys(lm, contexts, [i])[i])

                sums = yield from blocks.sums(f"left-{i}", rest, i, add, f"layer {i}")
                G = sums["G"]
            updates[i] = blocks.once(
                f"law-{i}",
                lambda i=i, G=G: ascend(
                    first[i], G, C[i], settings.ascent, settings.budget, settings.metric, groups.n
                ),
            )
            blocks.drop(f"left-{i}")
            if i == layers[-1]:
                break
            edits.enter_context(applied(lm, _delta(lm, {i: updates[i]})))
            facts = _still_answered(lm, facts, blocks.team)
            if not facts:
                break
    return updates


def _still_answered(lm: LM, facts: Sequence[Fact], team: Team) -> list[Fact]:
    flags = team.map(lambda some: knows(lm, ask(some), some), facts)
    return [f for f, known in zip(facts, flags, strict=True) if known]


def _delta(lm: LM, updates: dict[int, Tensor], about: dict | None = None) -> Delta:
    changes = {
        lm.adapter.weight_name(i): lm.adapter.stored(d.to(torch.float32)).cpu() for i, d in updates.items()
    }
    return Delta(changes, lm.hash, about or {})
