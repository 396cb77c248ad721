"""C = E[k kᵀ]: the uncentred second moment of a layer's keys over ordinary text (MEMIT section 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..events import Progress
from ..models.hooks import inputs_of
from ..models.loading import LM
from ..models.text import by_length, pad, prompt_ids
from ..steps import step


@dataclass(frozen=True)
class Moments:
    """C (f, f), float64, by layer; over how many tokens; and whether it had ceased to change by then."""

    C: dict[int, Tensor]
    tokens: int
    converged: bool


def second_moments(
    lm: LM, texts: Sequence[str], layers: Sequence[int], tokens: int, chunk: int = 64
) -> dict[int, Tensor]:
    """C (f, f) in float64 of each layer, one pass for all layers.

    The mean is over all real tokens, the start's included, of the first texts that hold `tokens` together.
    """
    return until_converged(lm, texts, layers, tokens, 0.0, chunk).C


@torch.no_grad()
def until_converged(
    lm: LM, texts: Sequence[str], layers: Sequence[int], tokens: int, tolerance: float, chunk: int = 64
) -> Moments:
    """`second_moments`, over fewer tokens where twice as many no longer change it: of no layer by more than
    `tolerance`, relative, in the Frobenius norm. Looked at from the widest layer's f tokens on, below which C
    has no full rank.

    The pass ends in the last of the layers.
    """
    ids = prompt_ids(lm.tokenizer, texts)
    taken, total = [], 0
    for i in ids:
        if total >= tokens:
            break
        taken.append(i)
        total += len(i)
    modules = {i: lm.adapter.down_module(lm.model, i) for i in layers}
    widest = max(lm.adapter.weight(lm.model, i).shape[1] for i in layers)
    sums: dict[int, Tensor] = {}
    seen_then, then, n = 0, {}, 0
    # in the order of the texts where it may end early, else sorted by length as a whole: less padding
    for block in [taken] if not tolerance else [taken[at : at + chunk] for at in range(0, len(taken), chunk)]:
        done = n
        for part in by_length(block, chunk):
            step(Progress(done, tokens, "tokens of ordinary text"))
            done += sum(len(block[i]) for i in part)
            rows = pad([block[i] for i in part], "right", lm.device)
            with inputs_of(modules, max(layers), lm.device) as seen:
                lm.model.base_model(**rows.kwargs(), use_cache=False)
            real = rows.mask.bool()
            for i in layers:
                k = seen[i].reshape(*rows.ids.shape, -1)[real].float()
                product = (k.T @ k).double()
                sums[i] = sums[i] + product if i in sums else product
        n += sum(map(len, block))
        if tolerance and n >= 2 * max(seen_then, widest):
            now = {i: s / n for i, s in sums.items()}
            if then and all((now[i] - then[i]).norm() <= tolerance * now[i].norm() for i in layers):
                return Moments(now, n, True)
            seen_then, then = n, now
    return Moments({i: s / n for i, s in sums.items()}, n, False)
