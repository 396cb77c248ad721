"""Attempts to get a washed fact back without training: other words around the question, coarser weights.

Prompts: an affirmative opening (Zou et al., arXiv 2307.15043) and examples of the same relation;
weights: round-to-nearest quantisation, which can undo small edits (Zhang et al., arXiv 2410.16454).
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ..facts.fact import Fact
from ..models.delta import Delta, applied
from ..models.loading import LM
from ..models.text import CHUNK
from .knowledge import Template, ask, knows
from .stats import Rate, rate

AFFIRMATIONS = {"sure, after": "{}? Sure, the answer is", "sure, before": "Sure, the answer is known. {}"}
BITS = (8, 4)


def affirmed(prompts: Sequence[str], wrapping: str) -> list[str]:
    """The prompts within one of the `AFFIRMATIONS`, given by its words with "{}" for the prompt."""
    return [wrapping.replace("{}", p) for p in prompts]


def few_shot(
    facts: Sequence[Fact], known: Sequence[Fact], k: int = 3, seed: int = 0, template: Template = 0
) -> list[str]:
    """Each fact's prompt behind up to k true statements of its relation, drawn from `known`.

    None of them is about a subject asked here for that relation, or gives the answer away by having the
    same object. Where `known` has no such fact, the prompt stands alone.
    """
    asked = {f.key for f in facts}
    shown = [f for f in known if f.key not in asked]
    out = []
    for fact, prompt in zip(facts, ask(facts, template)):
        right = {o.casefold() for o in fact.objects}
        fit = sorted((f for f in shown if f.relation == fact.relation), key=lambda f: f.key)
        fit = [f for f in fit if right.isdisjoint(o.casefold() for o in f.objects)]
        drawn = random.Random(f"few-shot {seed} {fact.key}").sample(fit, min(k, len(fit)))
        out.append(" ".join([*(f"{f.prompt()} {f.object}." for f in drawn), prompt]))
    return out


def round_to_nearest(w: Tensor, bits: int) -> Tensor:
    """W (outputs, inputs) on a grid of 2^bits - 1 even steps a row, symmetric about 0, in W's dtype."""
    levels = 2 ** (bits - 1) - 1
    scale = w.float().abs().amax(1, keepdim=True).clamp(min=1e-30) / levels
    return ((w.float() / scale).round() * scale).to(w)


@contextmanager
def quantised(lm: LM, bits: int) -> Iterator[None]:
    """Within the block all linear layers but the unembedding have round-to-nearest weights; afterwards the
    weights are what they were, bit for bit. `bits` is at least 2; one scale for each output channel.
    """
    if bits < 2:
        raise ValueError(f"bits must be at least 2, not {bits}")
    changes = {}
    for name, module in lm.model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and module is not lm.model.get_output_embeddings():
            w = module.weight.detach()
            q = round_to_nearest(w.T, bits).T if isinstance(module, Conv1D) else round_to_nearest(w, bits)
            changes[f"{name}.weight"] = q - w
    with applied(lm, Delta(changes, lm.hash)):
        yield


def attacked(
    lm: LM,
    facts: Sequence[Fact],
    known: Sequence[Fact],
    k: int = 3,
    seed: int = 0,
    chunk: int = CHUNK,
    side: str = "left",
) -> dict[str, list[bool]]:
    """Is each fact answered under each attack? "none" is the bare prompt. Call it within the applied wash."""
    bare = ask(facts)
    prompts = {"none": bare} | {name: affirmed(bare, words) for name, words in AFFIRMATIONS.items()}
    prompts["few-shot"] = few_shot(facts, known, k, seed)
    hits = iter(knows(lm, [p for ps in prompts.values() for p in ps], [*facts] * len(prompts), chunk, side))
    out = {name: [next(hits) for _ in facts] for name in prompts}
    for bits in BITS:
        with quantised(lm, bits):
            out[f"int{bits}"] = knows(lm, bare, facts, chunk, side)
    return out


def attacks(
    lm: LM,
    facts: Sequence[Fact],
    known: Sequence[Fact],
    k: int = 3,
    seed: int = 0,
    chunk: int = CHUNK,
    side: str = "left",
) -> dict[str, Rate]:
    """Accuracy under each attack."""
    return {name: rate(hits) for name, hits in attacked(lm, facts, known, k, seed, chunk, side).items()}
