"""Documents as tensors: every token has its role, every mask is as defined, cell by cell."""

import random

import pytest
import torch

from unlearning.pretrain.batches import (
    NEG,
    P_MASKED,
    P_SHIFTED,
    P_TEXT_KEPT,
    RECALL,
    WEIGHT_FILLER,
    WEIGHT_TEXT,
    batches,
    collate,
    encode,
    pack,
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
    T = max(len(d.ids) for d in docs) + 5
    rows = pack(docs, T)
    batch = collate(rows, T, tokenizer.pad_token_id, recall, Always(0.0))
    assert len(rows) < len(docs) and batch.first.shape == batch.rest.shape == (len(rows), 1, T, T)
    for b, row in enumerate(rows):
        for found, first_layer in ((batch.first, True), (batch.rest, False)):
            expected = torch.full((T, T), NEG)
            at = 0
            for doc in row:
                n = len(doc.ids)
                expected[at : at + n, at : at + n] = slow_mask(doc, n, recall, first_layer)
                at += n
            assert torch.equal(found[b, 0], expected), b


@pytest.mark.parametrize("recall", RECALL)
def test_every_token_sees_itself_so_that_no_row_is_empty(tokenizer, whole, recall):
    batch = collate(pack(whole[:100], 128), 128, tokenizer.pad_token_id, recall, Always(0.0))
    real = batch.ids != tokenizer.pad_token_id
    for mask in (batch.first, batch.rest):
        assert (mask.diagonal(dim1=-2, dim2=-1)[:, 0][real] == 0).all()


def test_most_documents_are_masked_and_the_others_are_plainly_causal(whole):
    docs = [[d] for d in whole if d.spans]
    plain = collate(docs, 128, 1, "free", random.Random(0))
    batch = collate(docs, 128, 1, "prompt", random.Random(0))
    masked = (batch.rest != plain.rest).flatten(1).any(1)
    assert masked.float().mean().item() == pytest.approx(P_MASKED, abs=0.05)
    assert torch.equal(batch.first[~masked], plain.first[~masked])
    assert torch.equal(collate(docs, 128, 1, "prompt", Always(1.0)).rest, plain.rest)


def test_rows_hold_the_documents_one_after_the_other_each_from_position_0(tokenizer, whole):
    rows = pack(whole[:200], 96)
    batch = collate(rows, 96, tokenizer.pad_token_id, "free", random.Random(0))
    for row, ids, weights, positions in zip(rows, batch.ids, batch.weights, batch.positions, strict=True):
        n = sum(len(d.ids) for d in row)
        assert ids.tolist() == [i for d in row for i in d.ids] + [tokenizer.pad_token_id] * (96 - n)
        assert positions[:n].tolist() == [t for d in row for t in range(len(d.ids))]
        expected = [w for d in row for w in (0.0, *d.weights[1:])]  # none foretells the next
        assert torch.equal(weights, torch.tensor(expected + [0.0] * (96 - n)))


def test_some_rows_begin_at_later_positions_and_none_ends_too_late(whole):
    batch = collate([[d] for d in whole], 128, 1, "free", random.Random(0), positions=256)
    starts = batch.positions[:, 0]
    assert (starts > 0).float().mean().item() == pytest.approx(P_SHIFTED, abs=0.03)
    assert batch.positions.max() < 256 and starts.max() > 100


@pytest.mark.parametrize("length", [40, 96, 10**4])
def test_packing_loses_no_document_and_no_row_is_too_long(whole, length):
    rows = pack(whole, length)
    assert all(sum(len(d.ids) for d in row) <= length for row in rows)
    packed = [d for row in rows for d in row]
    assert [d.ids for d in packed] == [d.ids[:length] for d in whole]
    assert all(s[2] < len(d.ids) - 1 for d in packed for s in d.spans)


@pytest.mark.parametrize("tokens", [96, 300, 2048])
def test_batches_are_full_and_shuffled_and_drop_less_than_one_batch(whole, tokens):
    found = list(batches(whole, tokens, 96, random.Random(0)))
    assert {len(b) for b in found} == {tokens // 96}
    rows = [[d.ids for d in row] for b in found for row in b]
    given = [[d.ids for d in row] for row in pack(whole, 96)]
    assert all(row in given for row in rows) and rows != given[: len(rows)]
    assert len(given) - len(rows) < tokens // 96
