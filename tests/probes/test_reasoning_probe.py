from math import sqrt

import pytest
import torch

from unlearning.models.hooks import changed
from unlearning.models.text import greedy, greedy_within, score
from unlearning.probes import opening
from unlearning.probes.reasoning import (
    by_family,
    choose,
    chosen,
    everything,
    multiple_choice,
    reading,
    reasoning,
    solves,
)
from unlearning.probes.stats import rate
from unlearning.tasks.reasoning import FAMILIES, Item
from unlearning.tasks.reasoning import test_set as held_items  # by its own name pytest would run it


def slow_solves(lm, items):
    texts = greedy(lm.model, lm.tokenizer, [x.prompt for x in items])
    return [t.split(".")[0].strip() == x.answer for t, x in zip(texts, items, strict=True)]


def said_items(lm):
    """Items whose answer is what the model says, or part of it, or what it says to another question."""
    items = everything(held_items(15))
    texts = greedy(lm.model, lm.tokenizer, [x.prompt for x in items])
    out = []
    for x, text, other in zip(items, texts, texts[1:], strict=False):
        answers = {reading(text), text, text[:3].strip(), text.split()[0], reading(other), x.answer} - {""}
        out += [Item(x.family, x.prompt, a) for a in sorted(answers)]
    return out


def test_reading():
    assert reading(" Paris . It is") == "Paris" and reading("Paris") == "Paris" and reading(".") == ""


def test_the_fast_path_equals_the_slow_one(tiny, monkeypatch):
    items = said_items(tiny)
    expected = slow_solves(tiny, items)
    generated = []
    monkeypatch.setattr(opening, "greedy_within", lambda *a: generated.extend(a[2]) or greedy_within(*a))
    assert solves(tiny, items) == expected
    assert sum(expected) > 50 and expected.count(False) > 50 and len(generated) < len(items)


def test_the_fast_path_equals_the_slow_one_where_sentences_end(tiny):
    """A model that likes full stops: they settle what comes before them without generating."""
    stop = tiny.tokenizer(".", add_special_tokens=False)["input_ids"][-1]
    likes = torch.zeros(len(tiny.tokenizer))
    likes[stop] = 4
    with changed(tiny.model.get_output_embeddings(), lambda logits: logits + likes):
        items = said_items(tiny)
        found = opening.openings(tiny, [x.prompt for x in items], [x.answer for x in items])
        assert sum(o is not None and not o.whole and "." in o.text for o in found) > 5
        assert solves(tiny, items) == slow_solves(tiny, items)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("chunk", [1, 7])
def test_batching_changes_nothing(tiny, side, chunk):
    items = said_items(tiny)[::12]
    assert solves(tiny, items, chunk, side) == solves(tiny, items)
    choices = [x for x in everything(held_items(2)) if x.choices]
    assert choose(tiny, choices, chunk, side) == choose(tiny, choices)


def test_choosing_by_hand():
    # Σ log p -2 and -3.5; a character: -2/2 = -1 and -3.5/7 = -0.5. So the short one, and the long one.
    assert chosen([-2.0, -3.5], ["no", "perhaps"]) == (0, 1)
    assert chosen([-1.0, -1.0], ["ab", "cd"]) == (0, 0)


def test_choosing_equals_one_choice_at_a_time(tiny):
    items = [x for x in everything(held_items(4)) if x.choices]
    for x, (acc, acc_norm) in zip(items, choose(tiny, items), strict=True):
        sums = {c: sum(score(tiny.model, tiny.tokenizer, [x.prompt], [c])[0].logp) for c in x.choices}
        assert acc == (max(sums, key=sums.get) == x.answer)
        assert acc_norm == (max(sums, key=lambda c: sums[c] / len(c)) == x.answer)  # noqa: B023


def test_an_answer_must_be_a_choice(tiny):
    with pytest.raises(ValueError):
        choose(tiny, [Item("f", "Is it?", "maybe", ("yes", "no"))])


def test_families_are_told_apart():
    a, b = Item("a", "p", "x"), Item("b", "p", "x")
    found = by_family({"a": [a, a], "b": [b]}, [True, False, False])
    assert found == {"a": rate([1, 0]), "b": rate([0]), "all": rate([1, 0, 0])}


def test_every_family_is_asked(tiny_llama):
    found = reasoning(tiny_llama, 6)
    assert list(found) == [*FAMILIES, "all"] and found["all"].n == sum(found[f].n for f in FAMILIES) == 48
    assert found["all"].accuracy == sum(slow_solves(tiny_llama, everything(held_items(6)))) / 48


def test_a_model_that_knows_nothing_is_at_chance(tiny):
    items = [x for x in everything(held_items(60)) if x.choices]
    chance = [1 / len(x.choices) for x in items]
    mean = sum(chance) / len(items)
    spread = sqrt(sum(p * (1 - p) for p in chance)) / len(items)
    for rates in multiple_choice(tiny, 60).values():
        assert rates["all"].n == len(items) and abs(rates["all"].accuracy - mean) < 4 * spread
        assert "arithmetic" not in rates
    assert reasoning(tiny, 20)["all"].accuracy < 0.05
