"""The logit lens: what the model would say if it stopped after each layer.

nostalgebraist, "interpreting GPT: the logit lens" (2020). The same call before and after a wash
shows the layer at which the answer no longer appears.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..facts.fact import Fact
from ..models.hooks import inputs_of, outputs_of
from ..models.loading import LM
from ..models.text import CHUNK, answer_ids, by_length, pad, prompt_ids
from .knowledge import Template, ask


@dataclass(frozen=True)
class Look:
    """One layer's view at the prompt's last token. `layer` -1 is the embedding's output.

    `top`: the most probable tokens (decoded) with their probabilities; `p` and `rank` (1 = most
    probable) of the first token of the fact's first object.
    """

    layer: int
    top: tuple[tuple[str, float], ...]
    p: float
    rank: int


@torch.no_grad()
def lens(
    lm: LM,
    facts: Sequence[Fact],
    template: Template = 0,
    top: int = 5,
    chunk: int = CHUNK,
    side: str = "right",
) -> list[list[Look]]:
    """For each fact a `Look` after the embedding and after every layer: n_layers + 1 of them."""
    ids = prompt_ids(lm.tokenizer, ask(facts, template))
    goals = [a[0] for a in answer_ids(lm.tokenizer, [f.object for f in facts])]
    out: list[list[Look]] = [[] for _ in facts]
    layers = {i: lm.adapter.layer_module(lm.model, i) for i in range(lm.adapter.n_layers(lm.model))}
    for part in by_length(ids, chunk):
        rows = pad([ids[i] for i in part], side, lm.device)
        with inputs_of({-1: layers[0]}, home=lm.device) as before, outputs_of(layers, lm.device) as after:
            lm.model.base_model(**rows.kwargs(), use_cache=False)
        b = torch.arange(len(part), device=lm.device)
        last = rows.mask.shape[1] - 1 if side == "left" else rows.mask.sum(1) - 1
        goal = torch.tensor([goals[i] for i in part], device=lm.device)
        for layer, h in (before | after).items():
            # The hidden state is taken before the final norm, which the adapter puts on every layer once.
            probs = lm.adapter.logits(lm.model, h[b, last]).float().softmax(-1)  # (B, V)
            for i, look in zip(part, _looks(lm, layer, probs, goal, top)):
                out[i].append(look)
    return out


def _looks(lm: LM, layer: int, probs: Tensor, goal: Tensor, top: int) -> list[Look]:
    p = probs.gather(1, goal[:, None])
    rank = 1 + (probs > p).sum(1)
    best = probs.topk(top, dim=1)
    words = [[lm.tokenizer.decode([t]) for t in row] for row in best.indices.tolist()]
    return [
        Look(layer, tuple(zip(w, v)), q, r)
        for w, v, q, r in zip(words, best.values.tolist(), p[:, 0].tolist(), rank.tolist())
    ]
