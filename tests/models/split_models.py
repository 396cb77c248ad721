"""A model whose weights lie on two devices does all as one in one piece, bit for bit.

    python -m pytest tests/models/split_models.py

Run by `test_spread.py` in a process of its own: torch counts the devices at a process's first gradient, and
the second must be there by then.
"""

from dataclasses import replace

import families
import pytest
import torch
from two_places import CPU, WrongDevice, away, spread

from unlearning.facts.fact import Fact
from unlearning.law.contexts import build, keys, keys_and_residuals
from unlearning.law.settings import Settings
from unlearning.law.statistics import Statistics
from unlearning.law.targets import TargetSettings, find_block
from unlearning.law.trace import trace
from unlearning.law.wash import Washed, wash
from unlearning.lwf import settings as learning
from unlearning.lwf.batches import AnswerLoss, tokens
from unlearning.lwf.confidence import confidences, task_gradient
from unlearning.lwf.train import train
from unlearning.lwf.trainable import change, trainable_copy
from unlearning.models.delta import applied
from unlearning.models.loading import load
from unlearning.models.text import answer_ids, greedy, score
from unlearning.probes.attacks import quantised
from unlearning.probes.lens import lens

KINDS = [*families.configs(), *families.windowed(), *families.detected()]
SOME = ["gpt2", "llama", "gemma2, window", "bloom", "opt"]
PROMPTS = ["The capital of France is", "A", "List: hat, saw, pear. The first word is", "7 + 5 ="]
FACTS = [
    Fact(s, "capital", (o,), ("The capital of {} is", "{} has the capital"))
    for s, o in (("France", "Paris"), ("Peru", "Lima"), ("Norway", "Oslo"))
]
S = learning.Settings(steps=4, batch=2, lr=1e-3, alpha=0.5, interval=2, unlearn_batch=2, clip=0.0)


@pytest.fixture(scope="module")
def both(request, made):
    """The same model whole and split."""
    whole, split = (load(made(request.param), device="cpu") for _ in range(2))
    whole.model.set_attn_implementation("eager")
    spread(split)
    return whole, split


every_family = pytest.mark.parametrize("both", KINDS, indirect=True)
some_families = pytest.mark.parametrize("both", SOME, indirect=True)


def weights(lm) -> dict[str, torch.Tensor]:
    return {n: p.detach().to("cpu", copy=True) for n, p in lm.model.named_parameters()}


def test_the_other_device_is_another():
    here, there = torch.ones(3), torch.ones(3, device=away())
    assert there.device == away() and (there + there).device == away()
    assert torch.equal((there + here.to(away())).cpu(), here + here)
    for mixed in (lambda: there + here, lambda: torch.cat([here, there]), lambda: there[here.long()]):
        with pytest.raises(WrongDevice):
            mixed()


@every_family
def test_it_lies_on_two_devices_and_says_the_same(both):
    whole, split = both
    n = split.adapter.n_layers(split.model)
    assert split.device == CPU and split.devices == (CPU, away())
    assert [split.adapter.weight(split.model, i).device for i in (0, n - 1)] == [CPU, away()]
    for side in ("left", "right"):
        said = [greedy(lm.model, lm.tokenizer, PROMPTS, 4, side=side) for lm in both]
        assert said[0] == said[1]
        scored = [score(lm.model, lm.tokenizer, PROMPTS, ["a b"] * len(PROMPTS), side=side) for lm in both]
        assert scored[0] == scored[1]
    assert lens(whole, FACTS) == lens(split, FACTS)


@every_family
def test_keys_and_residuals_are_the_same_of_layers_here_and_away(both):
    def found(lm):
        contexts = build(lm, FACTS, "prompt", 2)
        K, H = keys_and_residuals(lm, contexts, 1, 1)
        return [*keys(lm, contexts, (0, 1)).values(), keys(lm, contexts, (1,))[1], K, H]

    for a, b in zip(*map(found, both), strict=True):
        assert b.device == CPU and torch.equal(a, b)


@every_family
def test_targets_are_the_same_when_some_have_come_to_rest(both):
    """Behind layer 0, so that what runs again is away; and keys of layer 1, the last."""

    def found(lm, layer: int, stop: float, steps: int = 4):
        contexts, settings = build(lm, FACTS, "subject", 1), TargetSettings(steps=steps, stop=stop)
        goal = answer_ids(lm.tokenizer, ["hat"] * len(FACTS))
        return find_block(lm, contexts, FACTS, goal, layer, settings, True, layer)

    whole, split = both
    soon = found(whole, 0, 0.0, 1).nll.min().item() + 1.0
    for layer, stop in ((0, soon), (1, 0.0)):
        a, b = (found(lm, layer, stop) for lm in both)
        assert all(torch.equal(getattr(a, x), getattr(b, x)) for x in ("h", "delta", "nll", "K"))
    assert not torch.equal(found(whole, 0, soon).delta, found(whole, 0, 0.0).delta)  # some did rest


@pytest.mark.parametrize(
    "both, position", [*((k, "prompt") for k in KINDS), *((k, "subject") for k in SOME)], indirect=["both"]
)
def test_a_wash_is_the_same_and_comes_off_bit_for_bit(both, position):
    def washed(lm):
        stats = Statistics(lm, tokens=400)
        stats.known = []
        stats._cached = lambda name, what, measure: measure()  # else the second finds what the first has kept
        layers = (0, 1) if position == "prompt" else (0,)
        some = Settings(target="hat", layers=layers, position=position, phrasings=1, keep=0.0, lam=1.0)
        some = replace(some, targets=TargetSettings(steps=3))
        return next(e for e in wash(lm, FACTS, some, stats) if isinstance(e, Washed)).deltas

    whole, split = both
    before = weights(split)
    deltas, again = washed(whole), washed(split)
    assert {m: d.digest for m, d in deltas.items()} == {m: d.digest for m, d in again.items()}
    edit = again["memit"]
    assert edit.norms(split) == edit.norms(whole)
    with applied(split, edit):
        moved = {n for n, w in weights(split).items() if not torch.equal(w, before[n])}
        assert moved == set(edit.changes) and len(moved) == (2 if position == "prompt" else 1)
        with applied(whole, edit):
            after = [greedy(lm.model, lm.tokenizer, PROMPTS, 4) for lm in both]
    assert after[0] == after[1]
    assert all(torch.equal(w, before[n]) for n, w in weights(split).items())


@some_families
def test_the_trace_is_the_same(both):
    whole, split = both
    assert list(trace(whole, FACTS, n=3)) == list(trace(split, FACTS, n=3))


@some_families
def test_rounded_weights_say_the_same_and_come_back(both):
    before = weights(both[1])
    said = []
    for lm in both:
        with quantised(lm, 4):
            said.append(score(lm.model, lm.tokenizer, PROMPTS, ["a b"] * len(PROMPTS)))
    assert said[0] == said[1]
    assert all(torch.equal(w, before[n]) for n, w in weights(both[1]).items())


@some_families
@pytest.mark.parametrize("subset", ["all", "last", "lora"])
def test_learning_with_forgetting_is_the_same(both, subset):
    """Without clipping, for which a gradient's norm is summed device by device, and so rounded otherwise."""

    def learnt(lm):
        s = replace(S, subset=subset, last=1)
        model = trainable_copy(lm, s)
        some = tokens(lm.tokenizer, PROMPTS, ("hat", "Paris", "12", "9"), ".")
        steps = list(train(model, some[:2], some[2:], s))
        return steps, change(lm, model, {})

    (steps, delta), (again, moved) = map(learnt, both)
    assert steps == again and delta.digest == moved.digest
    before = weights(both[1])
    assert sum(x.any() for x in moved.changes.values()) > 1
    with applied(both[1], moved):
        pass
    assert all(torch.equal(w, before[n]) for n, w in weights(both[1]).items())


@some_families
def test_forgetting_confidence_is_the_same(both):
    def found(lm):
        copy = trainable_copy(lm, S)
        lm.adapter.sample_by_sample(copy)
        loss = AnswerLoss(copy)
        some = tokens(lm.tokenizer, PROMPTS, ("hat", "Paris", "12", "9"), ".")
        task = task_gradient(loss, some[:2], [n for n, _ in loss.named_parameters()], 2)
        return [c for part in confidences(loss, some[2:], task, 2) for c in part]

    assert found(both[0]) == found(both[1])
