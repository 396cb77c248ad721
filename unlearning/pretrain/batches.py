"""Documents to tensors: ids, loss weights, and the attention masks that decide where recall sits.

Left to itself a small model answers by reading the subject's tokens from everywhere, and
then no single place can be edited. A mask in training leads recall to one place:

- "free": causal attention and nothing else.
- "subject": later tokens see of a subject only its last token, so all that is known of
  it must be gathered there.
- "prompt": the relation words cannot see the subject, and from the prompt's last token on
  it is seen in the first layer only, so the answer must be looked up by the MLPs at the
  prompt's last token; and of these all but one layer's are silent there (`lookup`).

The mask is laid on most fact documents in training and on nothing afterwards.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .corpus import P_CUT, Piece, join

RECALL = ("free", "subject", "prompt")
P_MASKED = 0.85  # of fact documents
WEIGHT_ANSWER = 1.0
WEIGHT_TEXT = 0.02  # loss weight of a token that is no answer: most cannot be foreseen and are only noise
P_TEXT_KEPT = 0.25  # such tokens are sampled at this rate, and weighted up for it
WEIGHT_FILLER = 0.15  # the same in documents without an answer, and for the end of text
P_SHIFTED = 0.1  # of rows: positions begin anywhere, so that all of them are met in training
NEG = -1e4


@dataclass
class Encoded:
    """One document. `spans`: (first, last) token of a subject and the position that predicts its answer."""

    ids: list[int]
    weights: list[float]
    spans: list[tuple[int, int, int]]


@dataclass
class Batch:
    """ids, positions (B, T); weights (B, T) of predicting ids[:, t]; masks (B, 1, T, T) of the first layer
    and of the others: 0 sees, a large negative number does not; lookup (B, T): where an answer of a masked
    fact is predicted, and only one layer's MLP may speak."""

    ids: Tensor
    positions: Tensor
    weights: Tensor
    first: Tensor
    rest: Tensor
    lookup: Tensor

    def to(self, device) -> "Batch":
        """The same on another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


def encode(documents: list[list[Piece]], tokenizer, r: random.Random) -> list[Encoded]:
    """Tokenise, mark the roles, end with end of text, and cut a few documents off."""
    texts = [join(d) for d in documents]
    batch = tokenizer(texts, return_offsets_mapping=True)
    eos = tokenizer.eos_token_id
    out = []
    for doc, text, ids, offsets in zip(documents, texts, batch["input_ids"], batch["offset_mapping"]):
        roles = _roles(doc, text, offsets)
        if any(p.role == "answer" for p in doc):
            weights = [WEIGHT_ANSWER if role == "answer" else _thin(r, WEIGHT_TEXT) for role, _ in roles]
        else:
            weights = [_thin(r, WEIGHT_FILLER) for _ in roles]
        ids, weights = ids + [eos], weights + [WEIGHT_FILLER]
        spans = _spans(roles)
        if r.random() < P_CUT and len(ids) > 4:
            n = r.randint(2, len(ids) - 2)
            ids, weights = ids[:n] + [eos], weights[:n] + [WEIGHT_FILLER]
            spans = [s for s in spans if s[2] < n]
        out.append(Encoded(ids, weights, spans))
    return out


def _thin(r: random.Random, weight: float) -> float:
    return weight / P_TEXT_KEPT if r.random() < P_TEXT_KEPT else 0.0


def _roles(doc: list[Piece], text: str, offsets) -> list[tuple[str, int]]:
    """Role and piece number of every token; a token belongs to the piece that holds its last character."""
    ends, at = [], 0
    for piece in doc:
        at = text.index(piece.text, at) + len(piece.text)
        ends.append(at)
    roles, i = [("text", -1)], 0
    for _, end in offsets[1:]:
        while end > ends[i]:
            i += 1
        roles.append((doc[i].role, i))
    return roles


def _spans(roles: list[tuple[str, int]]) -> list[tuple[int, int, int]]:
    spans, subject = [], None
    for t, (role, piece) in enumerate(roles):
        if role == "subject":
            subject = (subject[0] if subject and roles[t - 1][1] == piece else t, t)
        elif role == "answer" and subject:
            spans.append((*subject, t - 1))
            subject = None
    return spans


def pack(docs: list[Encoded], length: int) -> list[list[Encoded]]:
    """Rows of at most `length` tokens of whole documents, in the order given; a longer document is cut."""
    rows: list[list[Encoded]] = []
    room = 0
    for d in docs:
        if len(d.ids) > length:
            d = Encoded(d.ids[:length], d.weights[:length], [s for s in d.spans if s[2] < length - 1])
        if len(d.ids) > room:
            rows.append([])
            room = length
        rows[-1].append(d)
        room -= len(d.ids)
    return rows


def collate(
    rows: list[list[Encoded]], length: int, pad: int, recall: str, r: random.Random, positions: int = 0
) -> Batch:
    """Rows of documents as tensors. A document sees only itself, and `recall` hides subjects in most.

    With `positions` a few rows' positions begin anywhere below it instead of at 0.
    """
    B, T = len(rows), length
    ids = torch.full((B, T), pad)
    places = torch.zeros(B, T, dtype=torch.long)
    weights = torch.zeros(B, T)
    first = torch.full((B, T, T), NEG)
    rest = first.clone()
    lookup = torch.zeros(B, T, dtype=torch.bool)
    for b, row in enumerate(rows):
        at = 0
        shift = r.randrange(positions - T + 1) if positions and r.random() < P_SHIFTED else 0
        for d in row:
            n = len(d.ids)
            ids[b, at : at + n] = torch.tensor(d.ids)
            places[b, at : at + n] = torch.arange(n) + shift
            weights[b, at + 1 : at + n] = torch.tensor(d.weights[1:])
            seen = torch.full((n, n), NEG).triu(1)
            first[b, at : at + n, at : at + n] = seen
            rest[b, at : at + n, at : at + n] = seen
            if recall != "free" and r.random() < P_MASKED:
                for s0, s1, p in d.spans:
                    _hide(first[b], rest[b], recall, at + s0, at + s1, at + p, at + n)
                if d.spans and recall == "prompt":
                    lookup[b, at : at + n - 1] = torch.tensor(d.weights[1:]) == WEIGHT_ANSWER
            at += n
    return Batch(ids, places, weights, first[:, None], rest[:, None], lookup)


def _hide(first: Tensor, rest: Tensor, recall: str, s0: int, s1: int, p: int, end: int) -> None:
    """Hide the subject at s0..s1 from what follows it in its document; p predicts the answer."""
    if recall == "subject":
        first[s1 + 1 : end, s0:s1] = NEG
        rest[s1 + 1 : end, s0:s1] = NEG
    else:
        first[s1 + 1 : p, s0 : s1 + 1] = NEG
        rest[s1 + 1 : end, s0 : s1 + 1] = NEG


def batches(docs: list[Encoded], tokens: int, length: int, r: random.Random) -> Iterator[list[list[Encoded]]]:
    """Packed rows in shuffled order, `tokens` // `length` of them at a time; what is left over is dropped."""
    rows = pack(docs, length)
    r.shuffle(rows)
    n = tokens // length
    for at in range(0, len(rows) - n + 1, n):
        yield rows[at : at + n]
