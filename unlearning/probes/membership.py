"""Membership inference: can washed facts be told from facts that were never trained?

Every signal is larger for what the model has not seen. With washed facts as class 0 and never-trained
ones as class 1 the AUC is 0.5 when they cannot be told apart, near 1 when the washed ones still look
trained, near 0 when they look less trained than anything (over-washed).

Loss: Yeom et al., arXiv 1709.01604; zlib: Carlini et al., arXiv 2012.07805; Min-K%: Shi et al.,
arXiv 2310.16789.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from ..facts.fact import Fact
from ..models.loading import LM
from ..models.text import CHUNK
from .knowledge import Template, scored

K = 0.2


def min_k(logp: Sequence[float], k: float = K) -> float:
    """-mean log p of the k least probable share of the tokens (rounded down, at least one), in nats."""
    n = max(1, int(k * len(logp)))
    return -sum(sorted(logp)[:n]) / n


def signals(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> dict[str, list[float]]:
    """Of each fact's first object behind its prompt: "loss" (nats a token), "zlib" (loss a compressed byte
    of the object), "min_k" (loss of the least probable fifth of its tokens)."""
    found = scored(lm, facts, template, chunk, side)
    loss = [-sum(s.logp) / len(s.logp) for s in found]
    size = [len(zlib.compress(f.object.encode())) for f in facts]
    return {
        "loss": loss,
        "zlib": [x / n for x, n in zip(loss, size)],
        "min_k": [min_k(s.logp) for s in found],
    }


def auc(zeros: Sequence[float], ones: Sequence[float]) -> float | None:
    """P(one > zero) + ½ P(one = zero), Mann and Whitney's rank statistic; None if a class is empty."""
    if not len(zeros) or not len(ones):
        return None
    x = np.concatenate([np.asarray(zeros, float), np.asarray(ones, float)])
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]  # the mean rank of those that tie
    n0, n1 = len(zeros), len(ones)
    return float((rank[n0:].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def membership(
    lm: LM,
    washed: Sequence[Fact],
    never: Sequence[Fact],
    template: Template = 0,
    chunk: int = CHUNK,
    side: str = "right",
) -> dict[str, float | None]:
    """AUC of each signal between washed facts (0) and never-trained ones (1)."""
    zeros = signals(lm, washed, template, chunk, side)
    ones = signals(lm, never, template, chunk, side)
    return {name: auc(zeros[name], ones[name]) for name in zeros}
