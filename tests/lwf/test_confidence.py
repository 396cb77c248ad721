"""Forgetting confidence against a slow loop, against a case worked by hand, and whatever the chunk."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import PretrainedConfig

from unlearning.lwf.batches import AnswerLoss, Tokens, batch
from unlearning.lwf.confidence import Confidence, confidences, task_gradient


def of_all(loss, learn, own, chunk, names=None):
    names = names or [n for n, _ in loss.named_parameters()]
    task = task_gradient(loss, learn, names, chunk)
    return [c for part in confidences(loss, own, task, chunk) for c in part]


def slowly(loss, learn, own, names):
    """The three terms by a loop over samples with autograd, summed in float64."""
    params = [p for n, p in loss.named_parameters() if n in names]

    def gradient(sample):
        with torch.enable_grad():
            for p in params:
                p.requires_grad_(True)
            g = torch.autograd.grad(loss(*batch([sample], "cpu").tensors()).sum(), params)
            for p in params:
                p.requires_grad_(False)
        return torch.cat([x.flatten() for x in g]).double()

    G = torch.stack([gradient(x) for x in learn])
    g_L, F = G.mean(0), (G * G).mean(0)
    for x in own:
        g = gradient(x)
        yield Confidence((F * g * g).sum().item(), (F * g * g_L).sum().item(), (F * g_L * g_L).sum().item())


def close(found, expected, rel=1e-5):
    for a, b in zip(found, expected, strict=True):
        scale = (b.own * b.task) ** 0.5  # what the cross term cannot exceed
        assert a.own == pytest.approx(b.own, rel=rel)
        assert a.task == pytest.approx(b.task, rel=rel)
        assert a.cross == pytest.approx(b.cross, rel=rel, abs=rel * scale)


def test_equals_a_loop_over_samples(tiny, samples):
    loss = AnswerLoss(tiny.model)
    names = [n for n, _ in loss.named_parameters()]
    learn, own = samples[:4], samples[2:]
    close(of_all(loss, learn, own, 3), slowly(loss, learn, own, names))


def test_of_some_parameters_only(tiny, samples):
    loss = AnswerLoss(tiny.model)
    names = [n for n, _ in loss.named_parameters() if "mlp" in n]
    assert 0 < len(names) < len(list(loss.parameters()))
    close(of_all(loss, samples[:4], samples, 4, names), slowly(loss, samples[:4], samples, names))


def test_the_chunk_makes_no_difference(tiny, samples):
    loss = AnswerLoss(tiny.model)
    one = of_all(loss, samples[:4], samples, 1)
    close(of_all(loss, samples[:4], samples, 7), one)


class TwoNumbers(nn.Module):
    """Logits w · x of two tokens for the number x that is the only token of a prompt."""

    def __init__(self):
        super().__init__()
        self.config = PretrainedConfig()
        self.w = nn.Linear(1, 2, bias=False)
        nn.init.zeros_(self.w.weight)
        self.dtype = torch.float32

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
