"""Prompts to tensors, greedy answers, and probabilities: batched, and the same whatever the batch.

Rows are padded on the left or right; positions count real tokens, so that a row's
result does not depend on its neighbours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..steps import step
from .adapters import final_states, max_positions, unembed

MAX_NEW = 10  # the paper's answer length in tokens; a longer answer gets as many more tens as it needs
CHUNK = 128  # rows a forward pass
AT_ONCE = 2048  # positions whose logits are held together


@dataclass(frozen=True)
class Rows:
    """ids (B, T), mask (B, T) with 1 on real tokens, positions (B, T)."""

    ids: Tensor
    mask: Tensor
    positions: Tensor

    def kwargs(self) -> dict[str, Tensor]:
        return {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.positions}


def pad(sequences: Sequence[Sequence[int]], side: str, device, fill: int = 0) -> Rows:
    """Token lists of unequal length as one batch, padded on `side` ("left" or "right")."""
    if side not in ("left", "right"):
        raise ValueError(f'side must be "left" or "right", not {side!r}')
    T = max(len(s) for s in sequences)
    ids = torch.full((len(sequences), T), fill)
    mask = torch.zeros(len(sequences), T, dtype=torch.long)
    for b, s in enumerate(sequences):
        where = slice(T - len(s), T) if side == "left" else slice(0, len(s))
        ids[b, where] = torch.tensor(s)
        mask[b, where] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Rows(ids.to(device), mask.to(device), positions.to(device))


def start_id(tokenizer) -> int:
    """The token a text starts with: beginning of text, or end of text where there is no such token."""
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def prompt_ids(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of prompts, with whatever the tokenizer puts at a text's start; "" is that start alone."""
    ids = tokenizer(list(texts))["input_ids"] if texts else []
    return [i or [start_id(tokenizer)] for i in ids]


def answer_ids(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of what follows a prompt, a space before it: what the text adds to a word before it.

    Not the ids of the text itself: tokenizers of the Llama 2 kind put a space of their own before a text.
    """
    if not texts:
        return []
    word = len(tokenizer("x", add_special_tokens=False)["input_ids"])
    return [
        ids[word:]
        for ids in tokenizer([f"x {t.strip()}" for t in texts], add_special_tokens=False)["input_ids"]
    ]


def by_length(sequences: Sequence[Sequence[int]], chunk: int) -> Iterator[list[int]]:
    """Row numbers in chunks of like length; each is a `step`."""
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    for at in range(0, len(order), chunk):
        step()
        yield order[at : at + chunk]


def greedy(
    model, tokenizer, prompts: Sequence[str], max_new: int = MAX_NEW, chunk: int = CHUNK, side="left"
) -> list[str]:
    """The greedy continuation of each prompt, up to end of text or `max_new` tokens, decoded and stripped."""
    return _continue(model, tokenizer, prompts, max_new, chunk, side, lambda logits, *_: logits.argmax(-1))


def window(n: int) -> int:
    """The greedy tokens in which an answer of n tokens must come: 10, 20, …"""
    return max(1, -(-n // MAX_NEW)) * MAX_NEW


def widths(
    model, tokenizer, prompts: Sequence[str], answers: Sequence[str], new: int | None = None
) -> list[int]:
    """The greedy tokens that each prompt has: the `window` of its right answer; or `new`, if the model's
    positions have room for them."""
    if new is None:
        return [window(len(ids)) for ids in answer_ids(tokenizer, answers)]
    room = max_positions(model.config)
    return [max(1, min(new, room - len(ids))) for ids in prompt_ids(tokenizer, prompts)]


def greedy_within(
    model,
    tokenizer,
    prompts: Sequence[str],
    answers: Sequence[str],
    chunk: int = CHUNK,
    side="left",
    new: int | None = None,
) -> list[str]:
    """`greedy`, each prompt for as many tokens as `widths` gives it."""
    wide = widths(model, tokenizer, prompts, answers, new)
    out = [""] * len(wide)
    for width in sorted(set(wide)):
        rows = [i for i, w in enumerate(wide) if w == width]
        texts = greedy(model, tokenizer, [prompts[i] for i in rows], width, chunk, side)
        for i, text in zip(rows, texts, strict=True):
            out[i] = text
    return out


def sample(
    model,
    tokenizer,
    prompts: Sequence[str],
    max_new: int,
    seed: int,
    chunk: int = CHUNK,
    side="left",
    temperature: float = 1.0,
) -> list[str]:
    """A continuation of each prompt sampled at a temperature, up to end of text or `max_new` tokens.

    The draws depend on the seed, the prompt's place and the step, so the batch makes no difference.
    """
    draws = torch.rand(
        len(prompts), max_new, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )

    def pick(logits: Tensor, rows: list[int], step: int) -> Tensor:
        below = (logits.double() / temperature).softmax(-1).cumsum(-1)  # (B, V)
        u = draws[rows, step, None].to(below.device) * below[:, -1:]
        return (below <= u).sum(-1).clamp(max=below.shape[1] - 1)

    return _continue(model, tokenizer, prompts, max_new, chunk, side, pick)


@torch.no_grad()
def _continue(model, tokenizer, prompts, max_new: int, chunk: int, side: str, pick) -> list[str]:
    """`pick(logits (B, V), row numbers, step)` chooses the next token of each row."""
    ids = prompt_ids(tokenizer, prompts)
    out = [""] * len(ids)
    eos = tokenizer.eos_token_id
    for part in by_length(ids, chunk):
        some = [ids[i] for i in part]
        new = _decode(
            some, model, eos, max_new, side, lambda logits, step, rows=part: pick(logits, rows, step)
        )
        for i, tokens in zip(part, new):
            out[i] = tokenizer.decode(tokens, skip_special_tokens=True).strip()
    return out


def _decode(ids: list[list[int]], model, eos: int, max_new: int, side: str, pick) -> list[list[int]]:
    from transformers.cache_utils import DynamicCache  # here: the page loads its model in another thread

    rows = pad(ids, side, model.device)
    if side == "right":
        last = torch.tensor([len(i) - 1 for i in ids], device=model.device)
        cache = DynamicCache()
        at = model(**rows.kwargs(), cache=cache, use_cache=True).logits[torch.arange(len(ids)), last]
        mask = _to_the_right(cache, rows.mask)
    else:
        result = model(**rows.kwargs(), use_cache=True, logits_to_keep=1)
        cache, mask, at = result.cache, rows.mask, result.logits[:, -1]
    positions = rows.positions.max(1).values
    new = [pick(at, 0)]
    alive = new[0] != eos
    while len(new) < max_new and alive.any():
        positions = positions + 1
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        result = model(
            input_ids=new[-1][:, None],
            attention_mask=mask,
            position_ids=positions[:, None],
            cache=cache,
            use_cache=True,
        )
        new.append(pick(result.logits[:, -1], len(new)))
        alive &= new[-1] != eos
    tokens = torch.stack(new, 1).tolist()
    return [row[: row.index(eos)] if eos in row else row for row in tokens]


def _to_the_right(cache, mask: Tensor) -> Tensor:
    """Move each row's keys and values to the end, its padding before them, and so the mask (B, T) returned.

    Attention that looks back over a window counts places, padding included.
    """
    T = mask.shape[1]
    place = (torch.arange(T, device=mask.device) + mask.sum(1, keepdim=True)) % T  # (B, T)
    for layer in cache.layers:
        at = place[:, None, :, None].to(layer.keys.device)
        layer.keys = layer.keys.gather(2, at.expand_as(layer.keys))
        layer.values = layer.values.gather(2, at.expand_as(layer.values))
    return mask.gather(1, place)


@dataclass(frozen=True)
class Scored:
    """Teacher-forced view of one answer: log p and "is the most probable" of each of its tokens.

    `then` is the most probable token after the whole answer.
    """

    logp: tuple[float, ...]
    best: tuple[bool, ...]
    then: int


def score(
    model, tokenizer, prompts: Sequence[str], answers: Sequence[str], chunk: int = CHUNK, side="right"
) -> list[Scored]:
    """log p(answer | prompt), token by token."""
    return score_ids(model, prompt_ids(tokenizer, prompts), answer_ids(tokenizer, answers), chunk, side)


@torch.no_grad()
def score_ids(
    model,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    chunk: int = CHUNK,
    side="right",
) -> list[Scored]:
    """`score` of token ids; no prompt may be empty. Logits are taken at the answer's positions only."""
    both = [[*p, *a] for p, a in zip(prompts, answers, strict=True)]
    out: list[Scored | None] = [None] * len(both)
    for part in by_length(both, chunk):
        rows = pad([both[i] for i in part], side, model.device)
        h = final_states(model, **rows.kwargs())
        T = rows.ids.shape[1]
        where, token = [], []
        for b, i in enumerate(part):
            start = (T - len(both[i]) if side == "left" else 0) + len(prompts[i]) - 1
            where += [(b, t) for t in range(start, start + len(answers[i]) + 1)]
            token += [*answers[i], 0]  # after the last one only `then` is asked
        b, t = torch.tensor(where, device=model.device).T
        logp, top = _read_off(model, h[b, t], torch.tensor(token, device=model.device))
        at = 0
        for i in part:
            n = len(answers[i])
            best = tuple(x == y for x, y in zip(top[at : at + n], answers[i]))
            out[i] = Scored(tuple(logp[at : at + n]), best, top[at + n])
            at += n + 1
    return out


def _read_off(model, h: Tensor, token: Tensor) -> tuple[list[float], list[int]]:
    """log p of the given tokens and the most probable ones, from final hidden states (N, d)."""
    logp, top = [], []
    for states, tokens in zip(h.split(AT_ONCE), token.split(AT_ONCE)):
        logits = unembed(model, states).float()  # (n, V)
        logp += logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0].tolist()
        top += logits.argmax(-1).tolist()
    return logp, top
