import pytest
import torch
from transformers.pytorch_utils import Conv1D

from unlearning.facts.fact import Fact, contains
from unlearning.facts.world import world
from unlearning.models.delta import Delta, applied
from unlearning.models.text import greedy_within
from unlearning.probes.attacks import (
    AFFIRMATIONS,
    affirmed,
    attacked,
    attacks,
    few_shot,
    quantised,
    round_to_nearest,
)
from unlearning.probes.knowledge import knows
from unlearning.probes.stats import rate

CAPITALS = ("The capital of {} is",)


def capital(country, *cities):
    return Fact(country, "capital", cities, CAPITALS)


def state(lm):
    return {k: v.clone() for k, v in lm.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_affirmed_by_hand():
    asked = affirmed(["The capital of France is"], AFFIRMATIONS["sure, after"])
    assert asked == ["The capital of France is? Sure, the answer is"]


def test_few_shot_by_hand():
    france, italy = capital("France", "Paris"), capital("Italy", "Rome")
    assert few_shot([france], [italy]) == ["The capital of Italy is Rome. The capital of France is"]
    # not itself, not one that is asked too, not the same answer, not another relation
    river = Fact("Italy", "river", ("Po",), ("A river in {} is",))
    twin = capital("Gaul", "Lutetia", "PARIS")
    assert few_shot([france, italy], [france, italy, river, twin]) == [
        "The capital of France is",
        "The capital of Gaul is Lutetia. The capital of Italy is",
    ]


def test_few_shot_gives_nothing_away():
    asked = list(world()[::31])
    for fact, prompt in zip(asked, few_shot(asked, world()), strict=True):
        assert prompt.endswith(fact.prompt())
        shown = prompt[: -len(fact.prompt())]
        statements = {f"{f.prompt()} {f.object}." for f in world() if f.relation == fact.relation}
        assert sum(s in shown for s in statements) >= 3
        assert all(f"{fact.prompt()} {o}." not in shown for o in fact.objects)


def test_few_shot_depends_on_the_seed_and_not_on_the_order():
    asked, known = list(world()[:5]), list(world()[5:])
    first = few_shot(asked, known)
    assert few_shot(asked, known[::-1]) == first != few_shot(asked, known, seed=1)


def test_rounding_by_hand():
    # 3 bits: 7 values, -3 to 3 steps; the row's largest is 0.9, so a step is 0.3: 3, -1.67, 0.67, 0.17 steps
    w = torch.tensor([[0.9, -0.5, 0.2, 0.05], [0, 0, 0, 0]])
    expected = torch.tensor([[0.9, -0.6, 0.3, 0.0], [0, 0, 0, 0]])
    assert torch.allclose(round_to_nearest(w, 3), expected)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounding_errs_by_half_a_step_at_most_and_again_by_nothing(bits):
    w = torch.randn(20, 300, generator=torch.Generator().manual_seed(0))
    q = round_to_nearest(w, bits)
    step = w.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert ((q - w).abs() <= step / 2 * 1.001).all()
    assert all(len(row.unique()) <= 2**bits - 1 for row in q)
    assert torch.allclose(round_to_nearest(q, bits), q)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_on_the_grid_and_come_back(tiny, bits):
    before = state(tiny)
    with quantised(tiny, bits):
        inside = state(tiny)
    assert same(state(tiny), before)
    changed = {k for k in before if not torch.equal(before[k], inside[k])}
    linear = [
        n for n, m in tiny.model.named_modules() if isinstance(m, torch.nn.Linear | Conv1D) and n != "lm_head"
    ]
    assert changed == {f"{n}.weight" for n in linear}
    for k in changed:
        columns = tiny.adapter.transposed  # Conv1D: an output channel is a column
        w, q = (before[k].T, inside[k].T) if columns else (before[k], inside[k])
        assert torch.equal(q, round_to_nearest(w, bits))


def test_quantised_comes_back_after_an_exception_and_inside_a_wash(tiny):
    before = state(tiny)
    with pytest.raises(RuntimeError, match="inside"), quantised(tiny, 4):
        raise RuntimeError("inside")
    assert same(state(tiny), before)
    name = tiny.adapter.weight_name(0)
    with applied(tiny, Delta({name: torch.full_like(before[name], 0.5)}, tiny.hash)):
        washed = state(tiny)
        with quantised(tiny, 8):
            assert not torch.equal(tiny.model.state_dict()[name], washed[name])
        assert same(state(tiny), washed)
    assert same(state(tiny), before)


def test_one_bit_is_refused(tiny):
    with pytest.raises(ValueError, match="bits"), quantised(tiny, 1):
        pass


@pytest.mark.parametrize(("chunk", "side"), [(1, "left"), (64, "right"), (64, "left")])
def test_attacked_equals_one_attack_at_a_time(tiny, said, chunk, side):
    some, known = said[::40], list(world())
    found = attacked(tiny, some, known, chunk=chunk, side=side)
    assert list(found) == ["none", "sure, after", "sure, before", "few-shot", "int8", "int4"]

    def slow(prompts):
        texts = greedy_within(tiny.model, tiny.tokenizer, prompts, [f.object for f in some])
        return [contains(t, f.objects) for t, f in zip(texts, some, strict=True)]

    bare = [f.prompt() for f in some]
    assert found["none"] == slow(bare) and True in found["none"]
    assert found["sure, after"] == slow([p + "? Sure, the answer is" for p in bare])
    assert found["sure, before"] == slow(["Sure, the answer is known. " + p for p in bare])
    assert found["few-shot"] == slow(few_shot(some, known))
    for bits in (8, 4):
        with quantised(tiny, bits):
            assert found[f"int{bits}"] == slow(bare)


def test_rates_and_undoing(tiny, said):
    before = state(tiny)
    some = said[:20]
    assert attacks(tiny, some, []) == {k: rate(v) for k, v in attacked(tiny, some, []).items()}
    assert attacks(tiny, some, [])["few-shot"] == rate(knows(tiny, [f.prompt() for f in some], some))
    assert same(state(tiny), before)
