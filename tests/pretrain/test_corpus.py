"""The corpus: the same for the same seed, free of test items, and true."""

import random
from collections import Counter

import pytest
from slow_reasoning import solve

from unlearning.facts.world import relations, world
from unlearning.pretrain.corpus import (
    LATER,
    SHARES,
    UNKNOWN,
    Corpus,
    Piece,
    echo_document,
    held_out,
    join,
    made_up_name,
    ordinary_text,
    reasoning_document,
    statement,
)
from unlearning.tasks.reasoning import FAMILIES, in_test, scenes, test_set

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


def posed(doc: list[Piece]):
    """(start, text) of what may be read as a question: from any sentence's start to right before an answer.

    `start` is 0 when nothing of an earlier answer stands in it.
    """
    text, answered = join(doc), 0
    starts = [0] + [i + 2 for i in range(len(text)) if text.startswith(". ", i)]
    for n, piece in enumerate(doc):
        if piece.role == "answer" and piece.text != ".":
            end = len(join(doc[:n]))
            for start in starts:
                if start < end:
                    yield start >= answered, text[start:end], piece.text
            answered = end + len(piece.text)


def test_no_reasoning_item_of_the_test_split_is_told(documents):
    tests = {x.prompt: x.answer for seed in range(20) for its in test_set(100, seed).values() for x in its}
    reasoned = 0
    for doc in documents:
        for fresh, prompt, answer in posed(doc):
            assert prompt not in tests, join(doc)
            if fresh and (solved := solve(prompt)):
                family, key, right = solved
                assert not in_test(f"{family} {key}"), join(doc)
                reasoned += answer == right
    assert reasoned > 5000


def test_every_answer_of_a_scene_is_the_solvers():
    """Asked anew of the scene alone, each question of a row gets the answer that the row gave it."""
    r = random.Random(5)
    for family in FAMILIES:
        stream = scenes(family, "train", 1)
        for _ in range(200):
            doc = reasoning_document(stream, r)
            answers = [n for n, piece in enumerate(doc) if piece.role == "answer" and piece.text != "."]
            of_one = family not in ("arithmetic", "sequence", "odd_one_out")
            scene = f"{doc[answers[0] - 2].text} " if of_one else ""
            for n in answers:
                found = solve(scene + doc[n - 1].text)
                assert found and (found[0], found[2]) == (family, doc[n].text), join(doc)


def test_echoes_pose_no_reasoning_question():
    r = random.Random(0)
    for _ in range(3000):
        doc = echo_document(r)
        assert not any(solve(prompt) for _, prompt, _ in posed(doc)), join(doc)


def test_echoes_repeat_what_was_said():
    r = random.Random(1)
    for _ in range(500):
        first, *rest = echo_document(r)
        said = first.text.rstrip(".").replace(".", "").split()
        follows = dict(zip(said, said[1:], strict=False))
        for before, answer in zip(rest, rest[1:], strict=False):
            if answer.role == "answer":
                assert follows[before.text] == answer.text


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

    late = SHARES | LATER
    assert fact_share({}) == pytest.approx(SHARES["fact"], abs=0.03)
    assert fact_share(LATE) == pytest.approx(late["fact"] / sum(late.values()), abs=0.03)
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
