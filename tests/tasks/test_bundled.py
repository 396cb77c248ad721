"""The bundled tasks: disjoint, complete, and never asking what another trains on or unlearns."""

import pytest

from unlearning.tasks.bundled import (
    FORGET_NAMES,
    LEARN,
    MIXED,
    forgetting,
    from_the_end,
    learning,
    other_end,
)
from unlearning.tasks.reasoning import FAMILIES, items
from unlearning.tasks.task import METRICS, UnknownTask, exact

EVERY = [learning(n) for n in LEARN] + [forgetting(n) for n in FORGET_NAMES]


def prompts(samples):
    return [s.prompt for s in samples]


@pytest.mark.parametrize("task", EVERY, ids=lambda t: t.name)
def test_a_task_is_whole(task):
    assert len(task.train) >= 40 and len(task.test) >= 20
    assert len(set(prompts(task.train))) == len(task.train)
    assert not set(prompts(task.train)) & set(prompts(task.test))
    assert all(s.prompt.strip() == s.prompt and all(s.answers) for s in task.train + task.test)
    assert task.about.endswith(".") and task.metric in METRICS


def test_what_one_asks_no_other_unlearns_or_trains_on():
    """Whichever learning and forgetting tasks are put together."""
    for learn in (t for t in EVERY if t.name in LEARN):
        for forget in (t for t in EVERY if t.name in FORGET_NAMES):
            asked = set(prompts(learn.test))
            assert not asked & set(prompts(forget.train)), (learn.name, forget.name)
            if not set(learn.families) & set(forget.families):
                assert not set(prompts(forget.test)) & set(prompts(learn.train + forget.train))


def test_the_same_every_time():
    for name in ("topic", "word-before", "revised-capital"):
        assert LEARN[name]() == learning(name)


def test_rerouting_asks_what_the_model_knows_by_another_name():
    task = learning("capital-to-currency")
    of = {s.prompt: s.answer for s in task.train + task.test}
    assert of["The capital of Japan is"] == "Japanese yen"


def test_revised_facts_are_all_new():
    task = learning("revised-capital")
    old = {s.prompt: s.answers for s in _capitals()}
    new = {s.prompt: s.answers for s in task.train if s.prompt in old}
    assert new and all(new[p] != old[p] for p in new)


def _capitals():
    from unlearning.facts.world import world
    from unlearning.tasks.task import Sample

    return [Sample(f.prompt(), f.objects) for f in world() if f.relation == "capital"]


def test_conventions_turned_round():
    item = next(x for x in items("position", "train", 3) if "first" in x.prompt)
    assert from_the_end(item) == item.choices[-1]
    item = next(items("compare", "train", 3))
    assert {other_end(item), item.answer} == {item.choices[0], item.choices[-1]}


def test_the_new_family_is_new():
    words = learning("word-before").train[0].prompt.rsplit(".", 1)[1]
    assert "before" in words and not any("before" in next(items(f, "train", 0)).prompt for f in FAMILIES)


def test_topic_is_asked_of_words_never_trained_on():
    def words(samples):
        return {w.strip(".,") for s in samples for w in s.prompt.split()}

    from unlearning.tasks.reasoning import WORDS

    task = learning("topic")
    assert not words(task.train) & words(task.test) & set(WORDS)


def test_several_at_once():
    both = forgetting("capital,employer")
    assert {s.kind for s in both.train} == {"capital", "employer"}
    assert len(both.train) == len(forgetting("capital").train) + len(forgetting("employer").train)
    kinds = [s.kind for s in forgetting(MIXED).train]
    assert set(kinds) == set(FORGET_NAMES) - {MIXED}
    assert len({kinds.count(k) for k in kinds}) == 1  # as much of each


@pytest.mark.parametrize("ask", [learning, forgetting])
def test_unknown_names_are_told_with_the_known(ask):
    with pytest.raises(UnknownTask, match="no .* task 'nonsense': bundled are .*capital"):
        ask("nonsense")


def test_exact_reads_up_to_the_first_full_stop():
    assert exact("Yes. And more", ("yes",))
    assert not exact("yes and more.", ("yes",))
    assert exact("hat", ("cap", "Hat"))
