"""Hooks see what the model computes, change it when asked, and always come off."""

import pytest
import torch

from unlearning.models.hooks import calls_of, changed, hidden, inputs_of, outputs_of

CONTEXTS = {
    "inputs_of": lambda m: inputs_of({0: m}),
    "stopped": lambda m: inputs_of({0: m}, stop_after=0),
    "outputs_of": lambda m: outputs_of({0: m}),
    "changed": lambda m: changed(m, lambda h: h + 1),
    "calls_of": lambda m: calls_of([m]),
}


def hooks_on(lm):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in lm.model.modules())


def batch(lm):
    return lm.tokenizer("The capital of France is", return_tensors="pt")


def layers(lm):
    return {i: lm.adapter.layer_module(lm.model, i) for i in range(lm.adapter.n_layers(lm.model))}


@pytest.mark.parametrize("name", CONTEXTS)
def test_hooks_come_off(tiny, name):
    before, logits = hooks_on(tiny), tiny.model(**batch(tiny)).logits
    with CONTEXTS[name](layers(tiny)[0]):
        assert hooks_on(tiny) == before + 1
        tiny.model(**batch(tiny))
    assert hooks_on(tiny) == before
    assert torch.equal(tiny.model(**batch(tiny)).logits, logits)


@pytest.mark.parametrize("name", CONTEXTS)
def test_hooks_come_off_after_an_exception(tiny, name):
    before = hooks_on(tiny)
    with pytest.raises(KeyError, match="inside"), CONTEXTS[name](layers(tiny)[0]):
        raise KeyError("inside")
    assert hooks_on(tiny) == before


def test_inputs_and_outputs_are_the_hidden_states(tiny):
    states = tiny.model(**batch(tiny), output_hidden_states=True).hidden_states
    with inputs_of(layers(tiny)) as into, outputs_of(layers(tiny)) as out:
        tiny.model(**batch(tiny))
    assert torch.equal(into[0], states[0])
    assert torch.equal(into[1], states[1]) and torch.equal(out[0], states[1])
    assert torch.equal(tiny.adapter.logits(tiny.model, out[1]), tiny.model(**batch(tiny)).logits)


def test_early_stop_gives_the_same_and_runs_nothing_above(tiny):
    down = {i: tiny.adapter.down_module(tiny.model, i) for i in layers(tiny)}
    with inputs_of(down) as full:
        tiny.model(**batch(tiny))
    with calls_of([layers(tiny)[1]]) as above, inputs_of(down, stop_after=0) as early:
        tiny.model(**batch(tiny))
        raise AssertionError("the pass ends the block")
    assert above == [] and early.keys() == {0}
    assert torch.equal(early[0], full[0])


def test_changed_replaces_the_output(tiny):
    with changed(layers(tiny)[0], lambda h: h * 0), inputs_of({1: layers(tiny)[1]}) as seen:
        tiny.model(**batch(tiny))
    assert seen[1].abs().max() == 0


def test_a_change_that_changes_nothing_is_exact(tiny):
    logits = tiny.model(**batch(tiny)).logits
    with changed(layers(tiny)[0], lambda h: h):
        assert torch.equal(tiny.model(**batch(tiny)).logits, logits)


def test_calls_can_be_replayed(tiny):
    upper = list(layers(tiny).values())
    with calls_of(upper) as calls, outputs_of(layers(tiny)) as out:
        tiny.model.base_model(**batch(tiny), use_cache=False)
    assert len(calls) == len(upper)
    for i, (args, kwargs) in enumerate(calls):
        assert torch.equal(hidden(upper[i](*args, **kwargs)), out[i])
