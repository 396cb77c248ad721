"""Forgetting confidence against a slow loop, against a case worked by hand, and whatever the chunk."""

from types import SimpleNamespace

import pytest
from slow_confidence import close, of_all, slowly
from torch import nn
from transformers import PretrainedConfig

from unlearning.lwf.batches import AnswerLoss, Tokens
from unlearning.lwf.confidence import Confidence
from unlearning.lwf.settings import Settings
from unlearning.lwf.trainable import trainable_copy


@pytest.fixture
def loss(tiny):
    """Of a copy of the tiny model that is ready to be scored with."""
    copy = trainable_copy(tiny, Settings())
    tiny.adapter.sample_by_sample(copy)
    return AnswerLoss(copy)


def test_equals_a_loop_over_samples(loss, samples):
    names = [n for n, _ in loss.named_parameters()]
    learn, own = samples[:4], samples[2:]
    close(of_all(loss, learn, own, 3), slowly(loss, learn, own, names))


def test_of_some_parameters_only(loss, samples):
    names = [n for n, _ in loss.named_parameters() if "mlp" in n]
    assert 0 < len(names) < len(list(loss.parameters()))
    close(of_all(loss, samples[:4], samples, 4, names), slowly(loss, samples[:4], samples, names))


def test_the_chunk_makes_no_difference(loss, samples):
    one = of_all(loss, samples[:4], samples, 1)
    close(of_all(loss, samples[:4], samples, 7), one)


class TwoNumbers(nn.Module):
    """Logits w · x of two tokens for the number x that is the only token of a prompt."""

    def __init__(self):
        super().__init__()
        self.config = PretrainedConfig()
        self.w = nn.Linear(1, 2, bias=False)
        nn.init.zeros_(self.w.weight)

    def base_model(self, input_ids, attention_mask, use_cache):
        return SimpleNamespace(last_hidden_state=input_ids[..., None].float())

    def get_output_embeddings(self):
        return self.w


def test_by_hand_on_two_parameters():
    """With w = 0 both tokens have p = ½, so ∇ℓ of (x, token 0) is (-x/2, x/2), of (x, token 1) (x/2, -x/2).

    D_L = {(1, 0), (2, 1)}: gradients (-½, ½) and (1, -1), g_L = (¼, -¼), F = (⅝, ⅝).
    x = (3, 0): g = (-3/2, 3/2). Σ F g² = ⅝ · 4.5 = 2.8125, Σ F g g_L = ⅝ · -0.75 = -0.46875,
    Σ F g_L² = ⅝ · 0.125 = 0.078125, and with η = 1, FC = ½ (2.8125 + 0.9375 + 0.078125) = 1.9140625,
    which is ½ Σ F (g - g_L)² = ½ · ⅝ · 2 · 1.75².
    """
    loss = AnswerLoss(TwoNumbers())
    learn, x = [Tokens((1, 0), 1), Tokens((2, 1), 1)], [Tokens((3, 0), 1)]
    (c,) = of_all(loss, learn, x, 2)
    assert (c.own, c.cross, c.task) == (2.8125, -0.46875, 0.078125)
    assert c.value(1.0) == 1.9140625 == 0.5 * 0.625 * 2 * 1.75**2
    assert c.value(0.1) == pytest.approx(0.019140625)
    assert c.score == 2.8125 + 0.9375
    assert c.cosine == pytest.approx(-1)  # it pulls exactly against the task
    assert Confidence(0.0, 0.0, 0.1).cosine == 0
