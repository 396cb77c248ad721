"""The corpus: the same for the same seed, free of test items, and true."""

import random
from collections import Counter

import pytest
from slow_reasoning import solve

from unlearning.facts.world import relations, world
from unlearning.pretrain.corpus import (
    LATER,
    UNKNOWN,
    Corpus,
    Piece,
    echo_document,
    held_out,
    join,
    made_up_name,
    ordinary_text,
    statement,
)
from unlearning.tasks.reasoning import in_test, test_set

LATE = {("share", kind): share for kind, share in LATER.items()} | {("family", "position"): 2.0}
TRUE = {f.key: f for f in world()}


@pytest.fixture(scope="module")
def documents():
    """20,000 documents, half of them as they are told late in a training."""
    return Corpus(0).pool(0, 10_000) + Corpus(0).pool(1, 10_000, LATE)


def statements(docs: list[list[Piece]]):
    """(template, subject, answer) of every statement, read off the pieces."""
    for doc in docs:
        for i, piece in enumerate(doc):
            if piece.role == "subject":
                j = i + 1 + (doc[i + 1].role == "relation")
                assert doc[j].role == "answer" and doc[j + 1] == Piece(".", "answer")
                before = doc[i - 1].text + " " if i and doc[i - 1].role == "relation" else ""
                after = " " + doc[i + 1].text if doc[i + 1].role == "relation" else ""
                yield f"{before}{{}}{after}", piece.text, doc[j].text


def tight(template: str) -> str:
    """The template with one space on either side of {}, as pieces give it."""
    before, after = template.split("{}")
    return f"{before.strip()} {{}} {after.strip()}".strip()


MEANS: dict[str, set[str]] = {}  # template -> names of the relations that say it so
for _relation in relations():
    for _template in _relation.phrasings + _relation.paraphrases:
        MEANS.setdefault(tight(_template), set()).add(_relation.name)


def told(docs: list[list[Piece]]):
    """(the keys of facts that a statement may be about, subject, answer)"""
    for template, subject, answer in statements(docs):
        yield {(subject.lower(), name) for name in MEANS[template]}, subject, answer


def test_a_pool_depends_on_seed_index_size_and_boost_alone():
    one = Corpus(0)
    first = one.pool(3, 300)
    one.pool(4, 50)
    assert one.pool(3, 300) == Corpus(0).pool(3, 300) == first
    assert Corpus(0).pool(3, 300, LATE) == Corpus(0).pool(3, 300, dict(LATE)) != first
    others = [Corpus(1).pool(3, 300), Corpus(0).pool(4, 300), Corpus(0).pool(-3, 300)]
    assert all(Counter(map(join, other)) != Counter(map(join, first)) for other in others)


def test_no_reasoning_item_of_the_test_split_is_told(documents):
    tests = {x.prompt: x.answer for seed in (0, 1) for its in test_set(100, seed).values() for x in its}
    reasoned = 0
    for doc in documents:
        text = join(doc)
        found = [solved for piece in doc if (solved := solve(piece.text))]
        for family, key, right in found:
            assert not in_test(f"{family} {key}"), text
            assert Piece(right, "answer") in doc
            reasoned += 1
        starts = [0] + [i + 2 for i in range(len(text)) if text.startswith(". ", i)]
        ends = {len(join(doc[:n])) for n, piece in enumerate(doc) if piece.role == "answer"}
        posed = {text[start:end] for start in starts for end in ends if start < end} & tests.keys()
        # The end of a long item can read like a short test item: what stands before makes it another.
        assert all(any(p.text.endswith(f" {prompt}") for p in doc) for prompt in posed), text
    assert reasoned > 5000


def test_echoes_pose_no_reasoning_question():
    r = random.Random(0)
    for _ in range(3000):
        doc = echo_document(r)
        text = join(doc)
        starts = [0] + [i + 2 for i in range(len(text)) if text.startswith(". ", i)]
        ends = [len(join(doc[:n])) for n, piece in enumerate(doc) if piece.role == "answer"]
        for end in ends:
            assert not any(solve(text[start:end]) for start in starts if start < end), text


def test_echoes_repeat_what_was_said():
    r = random.Random(1)
    for _ in range(500):
        first, *rest = echo_document(r)
        for question, answer in zip(rest, rest[1:], strict=False):
            if answer.role == "answer" and question.role == "text" and not first.text.endswith(":"):
                assert f"{question.text} {answer.text}." in first.text
            elif answer.role == "answer" and question.role == "text":
                place = ["first", "second", "third", "fourth", "fifth"].index(question.text)
                assert first.text[:-1].split(", ")[place] == answer.text


def test_every_statement_is_true_or_of_something_unknown(documents):
    right = unknown = 0
    for keys, subject, answer in told(documents):
        if answer == UNKNOWN:
            assert not keys & TRUE.keys(), (keys, subject)
            unknown += 1
        else:
            facts = [TRUE[key] for key in keys if key in TRUE]
            assert any((f.subject, f.object) == (subject, answer) for f in facts), (keys, subject, answer)
            right += 1
    assert 0.05 < unknown / (right + unknown) < 0.15


def test_what_is_left_out_is_never_stated_and_the_rest_is():
    without = frozenset(f.key for f in world()[::2])
    corpus = Corpus(0, without)
    assert {f.key for f in corpus.facts} == TRUE.keys() - without
    seen = set()
    for keys, _, answer in told(corpus.pool(0, 20_000)):
        assert not keys & without
        if answer != UNKNOWN:
            seen |= keys
    assert TRUE.keys() - without <= seen


def test_a_boosted_fact_is_told_more_often():
    some = {f.key for f in world()[::10]}

    def rate(boost):
        counts = Counter(bool(keys & some) for keys, _, answer in told(Corpus(0).pool(0, 8000, boost)))
        return counts[True] / counts[False]

    plain, twice, thrice = (rate(dict.fromkeys(some, times)) for times in (1.0, 2.0, 3.0))
    assert twice / plain == pytest.approx(2, rel=0.2) and thrice / plain == pytest.approx(3, rel=0.2)


def test_shares_of_the_kinds_follow_the_boost():
    def fact_share(boost):
        docs = Corpus(0).pool(0, 4000, boost)
        return sum(any(p.role == "subject" for p in doc) for doc in docs) / len(docs)

    shares = {"fact": 0.52, "reason": 0.37, "filler": 0.11}
    assert fact_share({}) == pytest.approx(shares["fact"], abs=0.03)
    assert fact_share(LATE) == pytest.approx(0.22 / (0.22 + 0.15 + 0.37 + 0.11), abs=0.03)
    assert fact_share({("share", "fact"): 0.0}) == 0


def test_made_up_names_are_many_and_hardly_ever_those_of_the_world():
    r = random.Random(0)
    names = {made_up_name(r) for _ in range(20_000)}
    assert len(names) > 15_000
    assert len({name.lower() for name in names} & {f.subject.lower() for f in world()}) < 10


def test_a_statement_reads_as_its_template_does():
    for relation in relations():
        for template in relation.phrasings + relation.paraphrases:
            text = join(statement(template, "Wuma", "Paris"))
            assert text == template.replace("{}", "Wuma").strip() + " Paris."


def test_texts_for_measuring_are_of_no_training_pool(documents):
    trained = set(map(join, documents))
    assert held_out(50) == held_out(50) != held_out(50, 1)
    assert not set(held_out(200)) & trained
    ordinary = ordinary_text(500)
    assert ordinary == ordinary_text(500) and len(ordinary) == 500
