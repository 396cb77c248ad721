"""Answers are right, the splits share nothing, and the same seed gives the same items."""

import random
from itertools import islice

import pytest
from slow_reasoning import solve

from unlearning.tasks import reasoning
from unlearning.tasks.reasoning import CATEGORIES, FAMILIES, WORDS, in_test, items, test_set

N = 1000


def some(family, split, seed=0, n=N):
    return list(islice(items(family, split, seed), n))


@pytest.fixture(scope="module")
def solved():
    """{family: {split: [(item, what a slow solver makes of its prompt)]}}"""
    return {f: {s: [(x, solve(x.prompt)) for x in some(f, s)] for s in ("train", "test")} for f in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_are_those_of_a_slow_solver(solved, family, split):
    for item, found in solved[family][split]:
        assert found is not None, item.prompt
        assert (item.family, item.answer) == (found[0], found[2]), item.prompt


@pytest.mark.parametrize("family", FAMILIES)
def test_choices_hold_the_answer_once_and_the_words_of_the_prompt(solved, family):
    for item, _ in solved[family]["train"]:
        if item.choices:
            assert item.choices.count(item.answer) == 1 and len(set(item.choices)) == len(item.choices) > 1
            assert item.choices == ("yes", "no") or all(c in item.prompt for c in item.choices)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_splits_share_no_content(solved, family):
    keys = {split: {key for _, (_, key, _) in solved[family][split]} for split in ("train", "test")}
    assert not keys["train"] & keys["test"]
    assert all(in_test(f"{family} {key}") for key in keys["test"])
    assert not any(in_test(f"{family} {key}") for key in keys["train"])


@pytest.mark.parametrize("family", FAMILIES)
def test_no_training_prompt_ends_in_a_test_prompt(family):
    """Nor does it begin with one, where the rest is the same row of words gone on."""
    tests = {x.prompt for x in some(family, "test", n=4000)}
    for item in some(family, "train"):
        words = item.prompt.split()
        endings = {" ".join(words[i:]) for i in range(len(words))}
        beginnings = {" ".join(words[: i + 1]) for i in range(len(words))}
        assert not (endings | beginnings) & tests


def test_the_keys_of_a_question_are_its_own_and_those_of_its_endings():
    r = random.Random(3)
    for _ in range(500):
        for family in ("where", "attribute", "compare"):
            scene = FAMILIES[family](r)
            told = scene.text.rstrip(".").split(". ")
            for keys, question, _ in scene.questions:
                endings = [". ".join(told[j:]) + f". {question}" for j in range(len(told))]
                assert list(keys) == [found[1] for e in endings if (found := solve(e))]


def test_about_one_content_in_ten_is_of_the_test_split():
    share = sum(in_test(f"arithmetic {a}+{b}") for a in range(100) for b in range(100)) / 10_000
    assert 0.08 < share < 0.12


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_items_and_another_gives_others(family):
    assert some(family, "test", 5, 50) == some(family, "test", 5, 50) != some(family, "test", 6, 50)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match='"train" or "test", not \'dev\''):
        next(items("compare", "dev", 0))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_test_set_is_distinct_complete_and_begins_alike_whatever_its_size(seed):
    large, small = test_set(100, seed), test_set(40, seed)
    assert list(large) == list(FAMILIES)
    for family, its in large.items():
        assert len({x.prompt for x in its}) == len(its) == 100
        assert {x.family for x in its} == {family}
        assert small[family] == its[:40]
        assert all(in_test(f"{family} {solve(x.prompt)[1]}") for x in its)


def test_a_family_with_fewer_items_gives_what_it_has(monkeypatch):
    """The sums of the test split are some four hundred; of a thousand asked for, none comes twice."""
    monkeypatch.setattr(reasoning, "FAMILIES", {"arithmetic": FAMILIES["arithmetic"]})
    its = test_set(1000)["arithmetic"]
    assert 100 < len(set(its)) == len(its) < 600


def test_no_word_is_of_two_categories():
    assert len(set(WORDS)) == len(WORDS) == sum(map(len, CATEGORIES.values()))
