"""Documents to tensors: ids, loss weights, and the attention masks that decide where recall sits.

Left to itself a small model answers by reading the subject's tokens from everywhere, and
then no single place can be edited. A mask in training leads recall to one place:

- "free": causal attention and nothing else.
- "subject": later tokens see of a subject only its last token, so all that is known of
  it must be gathered there.
- "prompt": the relation words cannot see the subject, and from the prompt's last token on
  it is seen in the first layer only, so the answer must be looked up by the MLPs at the
  prompt's last token.

The mask is laid on most fact documents in training and on nothing afterwards.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from .corpus import P_CUT, Piece, join

RECALL = ("free", "subject", "prompt")
P_MASKED = 0.85  # of fact documents
WEIGHT_TEXT = 0.15  # loss weight of a token that is no answer
P_TEXT_KEPT = 0.25  # such tokens are sampled at this rate, and weighted up for it
WEIGHT_FILLER = 0.4  # the same in documents without an answer
NEG = -1e4


@dataclass
class Encoded:
    """One document. `spans`: (first, last) token of a subject and the position that predicts its answer."""

    ids: list[int]
    weights: list[float]
    spans: list[tuple[int, int, int]]


@dataclass
class Batch:
    """ids (B, T); weights (B, T) of predicting ids[:, t]; masks (B, 1, T, T): first layer, other layers."""

    ids: Tensor
    weights: Tensor
    first: Tensor
    rest: Tensor


def encode(documents: list[list[Piece]], tokenizer, r: random.Random) -> list[Encoded]:
    """Tokenise, mark the roles, end with end of text, and cut a few documents off."""
    texts = [join(d) for d in documents]
    batch = tokenizer(texts, return_offsets_mapping=True)
    eos = tokenizer.eos_token_id
    out = []
    for doc, text, ids, offsets in zip(documents, texts, batch["input_ids"], batch["offset_mapping"]):
        roles = _roles(doc, text, offsets)
        if any(p.role == "answer" for p in doc):
            weights = [1.0 if role == "answer" else _thin(r, WEIGHT_TEXT) for role, _ in roles]
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


def collate(docs: list[Encoded], pad: int, recall: str, r: random.Random, device="cpu") -> Batch:
    """Pad on the right and lay the masks. Additive masks: 0 sees, a large negative number does not."""
    B, T = len(docs), max(len(d.ids) for d in docs)
    ids = torch.full((B, T), pad)
    weights = torch.zeros(B, T)
    first = torch.full((T, T), NEG).triu(1).repeat(B, 1, 1)
    rest = first.clone()
    for b, d in enumerate(docs):
        ids[b, : len(d.ids)] = torch.tensor(d.ids)
        weights[b, : len(d.ids)] = torch.tensor(d.weights)
        if recall == "free" or r.random() > P_MASKED:
            continue
        for s0, s1, p in d.spans:
            if recall == "subject":
                first[b, s1 + 1 :, s0:s1] = NEG
                rest[b, s1 + 1 :, s0:s1] = NEG
            else:
                first[b, s1 + 1 : p, s0 : s1 + 1] = NEG
                rest[b, s1 + 1 :, s0 : s1 + 1] = NEG
    return Batch(ids.to(device), weights.to(device), first[:, None].to(device), rest[:, None].to(device))


def batches(docs: list[Encoded], tokens: int, r: random.Random) -> list[list[Encoded]]:
    """Documents of like length together, about `tokens` tokens a batch, batches shuffled."""
    docs = sorted(docs, key=lambda d: len(d.ids))
    groups, group = [], []
    for d in docs:
        if group and len(d.ids) * (len(group) + 1) > tokens:
            groups.append(group)
            group = []
        group.append(d)
    groups.append(group)
    r.shuffle(groups)
    return groups
