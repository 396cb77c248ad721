"""Documents as tensors: every token has its role, every mask is as defined, cell by cell."""

import random

import pytest
import torch

from unlearning.pretrain.batches import (
    NEG,
    P_MASKED,
    P_TEXT_KEPT,
    RECALL,
    WEIGHT_FILLER,
    WEIGHT_TEXT,
    batches,
    collate,
    encode,
)
from unlearning.pretrain.corpus import Corpus, Piece, join, statement
from unlearning.pretrain.tokenizer import train_tokenizer

DOCUMENTS = Corpus(0).pool(0, 1500)


class Always(random.Random):
    """Draws the same number every time, so that a chance is taken always (0) or never (1)."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def random(self):
        return self.number


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(map(join, DOCUMENTS), 800)


@pytest.fixture(scope="module")
def whole(tokenizer):
    """All documents, none cut."""
    return encode(DOCUMENTS, tokenizer, Always(0.999))


def slow_roles(doc, tokenizer):
    """(role, piece number) of each token: those of its last character, looked up in a list of characters."""
    characters, text = [], ""
    for n, piece in enumerate(doc):
        longer = join(doc[: n + 1])
        characters += [(piece.role, n)] * (len(longer) - len(text))
        text = longer
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return [("text", -1)] + [characters[end - 1] for _, end in offsets[1:]]


def slow_spans(doc, tokenizer):
    """For each statement: the subject's tokens, and the place before the answer's first token."""
    roles = slow_roles(doc, tokenizer)
    places = {n: [t for t, (_, m) in enumerate(roles) if m == n] for n in range(len(doc))}
    return [
        (
            places[n][0],
            places[n][-1],
            places[next(m for m in range(n, len(doc)) if doc[m].role == "answer")][0] - 1,
        )
        for n, piece in enumerate(doc)
        if piece.role == "subject"
    ]


def test_ids_are_the_texts_between_two_ends_of_text(tokenizer, whole):
    for doc, encoded in zip(DOCUMENTS, whole, strict=True):
        assert encoded.ids == [*tokenizer(join(doc))["input_ids"], tokenizer.eos_token_id]
        assert len(encoded.weights) == len(encoded.ids) and encoded.ids[0] == tokenizer.eos_token_id


def test_spans_are_the_subject_and_the_place_before_the_answer(tokenizer, whole):
    found = 0
    for doc, encoded in zip(DOCUMENTS, whole, strict=True):
        assert encoded.spans == slow_spans(doc, tokenizer)
        subjects = [n for n, p in enumerate(doc) if p.role == "subject"]
        for n, (first, last, before) in zip(subjects, encoded.spans, strict=True):
            assert tokenizer.decode(encoded.ids[first : last + 1]).strip() == doc[n].text
            answer = next(p.text for p in doc[n:] if p.role == "answer")
            assert tokenizer.decode(encoded.ids[before + 1 :]).strip().startswith(answer)
            assert not tokenizer.decode(encoded.ids[: before + 1]).rstrip(".").endswith(f" {answer}") or (
                f" {answer} {answer}" in join(doc)
            )
            found += 1
    assert found > 700


def test_answers_weigh_one_and_other_text_is_thinned(tokenizer):
    kept, n = 0, 0
    for doc, encoded in zip(DOCUMENTS, encode(DOCUMENTS, tokenizer, random.Random(0)), strict=True):
        roles = slow_roles(doc, tokenizer)
        if len(encoded.ids) != len(roles) + 1:
            continue  # cut off
        answered = any(p.role == "answer" for p in doc)
        weight = (WEIGHT_TEXT if answered else WEIGHT_FILLER) / P_TEXT_KEPT
        for (role, _), w in zip(roles, encoded.weights, strict=False):
            if role == "answer":
                assert w == 1
            else:
                assert w in (0, weight)
                kept, n = kept + (w > 0), n + 1
        assert encoded.weights[-1] == WEIGHT_FILLER
    assert kept / n == pytest.approx(P_TEXT_KEPT, abs=0.02)


def test_a_cut_document_is_the_start_of_the_whole_one_with_an_end(tokenizer, whole):
    for cut, full in zip(encode(DOCUMENTS, tokenizer, Always(0.0)), whole, strict=True):
        n = len(cut.ids) - 1
        if len(full.ids) > 4:
            assert 2 <= n < len(full.ids) - 1
        assert cut.ids == [*full.ids[:n], tokenizer.eos_token_id] and len(cut.weights) == len(cut.ids)
        assert cut.spans == [s for s in full.spans if s[2] < n]


def slow_mask(encoded, T, recall, first_layer):
    """Which place sees which, from the definition in words."""
    mask = []
    for q in range(T):
        for k in range(T):
            sees = k <= q
            for first, last, before_answer in encoded.spans:
                in_subject, later = first <= k <= last, q > last
                if recall == "subject" and later and in_subject and k != last:
                    sees = False
                if recall == "prompt" and later and in_subject:
                    sees = sees and first_layer and q >= before_answer
            mask.append(0.0 if sees else NEG)
    return torch.tensor(mask).view(T, T)


@pytest.mark.parametrize("recall", RECALL)
def test_masks_are_as_defined_in_every_cell(tokenizer, recall):
    two = statement("The capital of {} is", "New South Wales", "Sydney") + statement(
        "{}'s colour is", "Rust", "red"
    )
    last = statement("Who wrote {}", "War and Peace", "Tolstoy")  # nothing between subject and answer
    docs = encode([two, last, [Piece("Only text.", "text")], *DOCUMENTS[:25]], tokenizer, Always(0.999))
    batch = collate(docs, tokenizer.pad_token_id, recall, Always(0.0))
    T = batch.ids.shape[1]
    assert batch.first.shape == batch.rest.shape == (len(docs), 1, T, T)
    for b, doc in enumerate(docs):
        assert torch.equal(batch.first[b, 0], slow_mask(doc, T, recall, True)), b
        assert torch.equal(batch.rest[b, 0], slow_mask(doc, T, recall, False)), b


@pytest.mark.parametrize("recall", RECALL)
def test_every_place_sees_itself_so_that_no_row_is_empty(tokenizer, whole, recall):
    batch = collate(whole[:100], tokenizer.pad_token_id, recall, Always(0.0))
    for mask in (batch.first, batch.rest):
        assert (mask.diagonal(dim1=-2, dim2=-1) == 0).all()


def test_most_documents_are_masked_and_the_others_are_plainly_causal(tokenizer, whole):
    docs = [d for d in whole if d.spans]
    plain = collate(docs, 1, "free", random.Random(0))
    batch = collate(docs, 1, "prompt", random.Random(0))
    masked = (batch.rest != plain.rest).flatten(1).any(1)
    assert masked.float().mean().item() == pytest.approx(P_MASKED, abs=0.05)
    assert torch.equal(batch.first[~masked], plain.first[~masked])
    assert torch.equal(collate(docs, 1, "prompt", Always(1.0)).rest, plain.rest)


def test_padding_is_on_the_right_and_weighs_nothing(tokenizer, whole):
    docs = whole[:50]
    batch = collate(docs, tokenizer.pad_token_id, "free", random.Random(0))
    for doc, ids, weights in zip(docs, batch.ids.tolist(), batch.weights, strict=True):
        n = len(doc.ids)
        assert ids == doc.ids + [tokenizer.pad_token_id] * (len(ids) - n)
        assert torch.equal(weights[:n], torch.tensor(doc.weights)) and not weights[n:].any()


@pytest.mark.parametrize("tokens", [1, 300, 3072, 10**9])
def test_batches_hold_every_document_once_and_are_no_larger_than_asked(whole, tokens):
    groups = batches(whole, tokens, random.Random(0))
    assert sorted(id(d) for group in groups for d in group) == sorted(map(id, whole))
    for group in groups:
        assert len(group) * max(len(d.ids) for d in group) <= tokens or len(group) == 1
    spans = sorted((min(len(d.ids) for d in g), max(len(d.ids) for d in g)) for g in groups)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))
