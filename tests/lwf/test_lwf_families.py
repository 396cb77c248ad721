"""Learning and forgetting confidence on every architecture family, against plain calls of the model."""

from dataclasses import replace

import families
import pytest
import torch
from slow_confidence import close, of_all, slowly
from torch import nn

from unlearning.facts.world import world
from unlearning.lwf.batches import AnswerLoss, batch, tokens
from unlearning.lwf.experiment import learn_and_probe
from unlearning.lwf.outcome import Sizes
from unlearning.lwf.settings import Settings
from unlearning.lwf.trainable import trainable_copy
from unlearning.models.loading import load
from unlearning.tasks.bundled import forgetting, learning

KINDS = [*families.configs(), *families.windowed(), *families.detected()]
SIZES = Sizes(retained=2, reasoning=1, held_out=1, curve=2, answers=1)
S = Settings(samples=4, steps=8, batch=4, lr=3e-3, alpha=0.5, evaluations=2, own=4, portion=0.5)
TASK, FORGET = (replace(t, test=t.test[:2]) for t in (learning("word-before"), forgetting("position")))


@pytest.fixture(params=KINDS)
def lm(request, made):
    return load(made(request.param), device="cpu")


@pytest.fixture
def some(lm):
    """Five samples of different lengths, the longest far beyond the short windows."""
    asked = ("A", "The capital of France is", "7 + 5 =", "Go on: 1, 3, 5, 7,", "Is Tom happy?")
    return tokens(lm.tokenizer, asked, ("hat", "Paris", "12", "9", "no, not at all"), ".")


class Plainly(nn.Module):
    """The answer's mean NLL from the model's own logits, called with ids only, of one sample."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, at, token, weight):
        assert len(ids) == 1
        logp = self.model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
        return -(logp[at[0], token[0]] * weight[0]).sum()[None]


@torch.no_grad()
def test_losses_of_a_batch_are_those_of_plain_calls_one_at_a_time(lm, some):
    plainly = torch.cat([Plainly(lm.model)(*batch([x], "cpu").tensors()) for x in some])
    assert torch.allclose(AnswerLoss(lm.model)(*batch(some, "cpu").tensors()), plainly, rtol=1e-4)


def test_confidence_is_that_of_plain_calls_one_at_a_time(lm, some):
    copy = trainable_copy(lm, S)
    lm.adapter.sample_by_sample(copy)
    names = [n for n, _ in AnswerLoss(copy).named_parameters()]
    expected = list(slowly(Plainly(lm.model), some[:3], some[1:], names))
    assert all(c.own > 0 and c.task > 0 for c in expected)
    close(of_all(AnswerLoss(copy), some[:3], some[1:], 3), expected, rel=1e-3)


def test_a_small_run_learns_and_leaves_the_base_as_it_was(lm):
    before = {k: v.clone() for k, v in lm.model.state_dict().items()}
    events = learn_and_probe(lm, TASK, FORGET, S, sizes=SIZES, frontier=False, known=world()[:4])
    *_, end = events
    for arm in ("vanilla", "lwf"):
        losses = [p["loss"] for p in end.summary["curve"] if p["arm"] == arm and p["step"]]
        assert losses[-1] < 0.9 * losses[0]
    assert any(
        not torch.equal(end.result["lwf"].changes[k], x) for k, x in end.result["vanilla"].changes.items()
    )
    assert all(torch.equal(v, before[k]) for k, v in lm.model.state_dict().items())
