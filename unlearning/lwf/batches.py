"""Samples as tensors, and their losses: the learning loss ℓ and the two unlearning losses."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log

import torch
from torch import Tensor, nn

from ..models.adapters import final_states, unembed
from ..models.text import answer_ids, pad, prompt_ids


@dataclass(frozen=True)
class Tokens:
    """A prompt with its answer as token ids, the first `n` of which are the prompt's."""

    ids: tuple[int, ...]
    n: int


def tokens(tokenizer, prompts: Sequence[str], answers: Sequence[str], end: str) -> list[Tokens]:
    """`end` follows each answer: a mark, or "" for end of text."""
    asked, said = prompt_ids(tokenizer, prompts), answer_ids(tokenizer, [a + end for a in answers])
    last = [] if end else [tokenizer.eos_token_id]
    return [Tokens((*p, *a, *last), len(p)) for p, a in zip(asked, said, strict=True)]


@dataclass(frozen=True)
class Batch:
    """ids (B, T), padded on the right, where causal attention never looks; and of the A answer places
    `at` (B, A), the position that predicts each, `token` (B, A), what it is, and `weight` (B, A), 1 over the
    answer's length, 0 for padding.
    """

    ids: Tensor
    at: Tensor
    token: Tensor
    weight: Tensor

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return tuple(getattr(self, f.name) for f in fields(self))


def batch(samples: Sequence[Tokens], device) -> Batch:
    """Samples of any length as one batch."""
    ids = pad([s.ids for s in samples], "right", device).ids
    A = max(len(s.ids) - s.n for s in samples)
    at, token = torch.zeros(2, len(samples), A, dtype=torch.long)
    weight = torch.zeros(len(samples), A)
    for b, s in enumerate(samples):
        n = len(s.ids) - s.n
        at[b, :n] = torch.arange(s.n - 1, len(s.ids) - 1)
        token[b, :n] = torch.tensor(s.ids[s.n :])
        weight[b, :n] = 1 / n
    return Batch(ids, at.to(device), token.to(device), weight.to(device))


class AnswerLoss(nn.Module):
    """The loss of each sample of a batch (B,), in nats, a mean over its answer's tokens.

    "nll": -log p(token), cross-entropy; ℓ of the paper, ascended by gradient ascent.
    "entropy": ½ (log V - H)², H the entropy of the next token: 0 where the model knows nothing.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, at: Tensor, token: Tensor, weight: Tensor, kind: str = "nll") -> Tensor:
        # a mask that does not depend on the ids: without one, models look for it, which torch.func forbids;
        # of places, since each layer makes its own of it: windows (Mistral, Gemma), positions (OPT), ALiBi
        everything = torch.ones(ids.shape, dtype=torch.long, device=ids.device)
        h = final_states(self.model, ids, attention_mask=everything)  # (B, T, d)
        h = h.gather(1, at[..., None].expand(-1, -1, h.shape[-1]))  # (B, A, d)
        logp = unembed(self.model, h).float().log_softmax(-1)  # (B, A, V)
        if kind == "nll":
            loss = -logp.gather(-1, token[..., None])[..., 0]
        else:
            H = -(logp.exp() * logp).sum(-1)
            loss = 0.5 * (log(logp.shape[-1]) - H) ** 2
        return (loss * weight).sum(-1)
