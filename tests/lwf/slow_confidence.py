"""Forgetting confidence by a slow loop, for the fast one to be held against."""

import pytest
import torch

from unlearning.lwf.batches import batch
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
