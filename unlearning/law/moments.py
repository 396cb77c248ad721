"""C = E[k kᵀ]: the uncentred second moment of a layer's keys over ordinary text (MEMIT section 4.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.hooks import inputs_of
from ..models.loading import LM
from ..models.text import by_length, pad, prompt_ids


@torch.no_grad()
def second_moments(
    lm: LM, texts: Sequence[str], layers: Sequence[int], tokens: int, chunk: int = 64
) -> dict[int, Tensor]:
    """C (f, f) in float64 of each layer, one pass for all layers.

    The mean is over all real tokens, the start's included, of the first texts that hold `tokens` together.
    """
    ids = prompt_ids(lm.tokenizer, texts)
    total, taken = 0, []
    for i in ids:
        if total >= tokens:
            break
        taken.append(i)
        total += len(i)
    modules = {i: lm.adapter.down_module(lm.model, i) for i in layers}
    sums: dict[int, Tensor] = {}
    for part in by_length(taken, chunk):
        rows = pad([taken[i] for i in part], "right", lm.device)
        with inputs_of(modules, stop_after=max(layers)) as seen:
            lm.model.base_model(**rows.kwargs(), use_cache=False)
        real = rows.mask.bool()
        for i in layers:
            k = seen[i].reshape(*rows.ids.shape, -1)[real].float()
            product = (k.T @ k).double()
            sums[i] = sums[i] + product if i in sums else product
    return {i: s / total for i, s in sums.items()}
