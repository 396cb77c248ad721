"""What one arm of the experiment promises: bounded by α, the same for a seed, vanilla when D_U is empty."""

import math
from dataclasses import replace

import pytest
import torch

from unlearning.lwf.settings import Settings
from unlearning.lwf.train import Diverged, cosine, draws, train
from unlearning.lwf.trainable import trainable_copy

FEW = Settings(steps=6, batch=3, lr=1e-3, interval=2, unlearn_batch=2, alpha=0.5)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained(lm, learn, unlearn, settings, **more):
    model = trainable_copy(lm, settings)
    steps = list(train(model, learn, unlearn, settings, **more))
    return weights(model), steps


def test_alpha_bounds_the_ascent(tiny, samples):
    """What an unlearning step adds to the weights is α times what it adds at α = 1, whatever Adam does."""
    one = replace(FEW, steps=1, interval=1)
    plain, _ = trained(tiny, samples[:4], [], one)
    full = trained(tiny, samples[:4], samples[4:], replace(one, alpha=1.0))[0] - plain
    assert full.norm() > 0
    for alpha in (0.5, 0.1, 0.01):
        moved = trained(tiny, samples[:4], samples[4:], replace(one, alpha=alpha))[0] - plain
        assert moved.norm() / full.norm() == pytest.approx(alpha, rel=0.02)
        assert moved.abs().max() <= 1.01 * alpha * one.lr


def test_the_same_seed_gives_the_same_run(tiny, samples):
    a, steps = trained(tiny, samples[:4], samples[4:], FEW)
    b, again = trained(tiny, samples[:4], samples[4:], FEW)
    assert torch.equal(a, b) and steps == again
    other, _ = trained(tiny, samples[:4], samples[4:], replace(FEW, seed=1))
    assert not torch.equal(a, other)


def test_vanilla_is_lwf_with_nothing_to_forget(tiny, samples):
    vanilla, steps = trained(tiny, samples[:4], samples[4:], replace(FEW, alpha=0.0))
    empty, again = trained(tiny, samples[:4], [], FEW)
    assert torch.equal(vanilla, empty)
    assert steps == again and all(s.forgetting is None for s in steps)
    lwf, _ = trained(tiny, samples[:4], samples[4:], FEW)
    assert not torch.equal(vanilla, lwf)


def test_forgetting_goes_up_and_learning_down(tiny, samples):
    s = replace(FEW, steps=30, interval=1, alpha=0.5, lr=3e-3)
    _, steps = trained(tiny, samples[:4], samples[4:], s)
    assert steps[-1].learning < steps[0].learning
    assert steps[-1].forgetting > steps[0].forgetting
    assert [x.n for x in steps] == list(range(1, 31))


def test_an_extra_learning_gradient_learns_them_instead(tiny, samples):
    s = replace(FEW, steps=30, interval=1, alpha=0.5, lr=3e-3)
    _, steps = trained(tiny, samples[:4], samples[4:], s, extra=True)
    assert steps[-1].forgetting < steps[0].forgetting


def test_maximum_entropy_flattens(tiny, samples):
    s = replace(FEW, steps=30, interval=1, alpha=1.0, lr=3e-3, loss="me")
    _, steps = trained(tiny, samples[:4], samples[4:], s)
    assert steps[-1].forgetting < steps[0].forgetting


def test_ahead_unlearns_before_it_learns(tiny, samples):
    _, steps = trained(tiny, samples[:4], samples[4:], replace(FEW, ahead=True))
    assert [x.n for x in steps] == [0] * 3 + list(range(1, 7))
    assert all((x.forgetting is None) == (x.n > 0) for x in steps)


def test_accumulated_parts_are_one_batch(tiny, samples):
    whole, _ = trained(tiny, samples[:6], samples[4:], replace(FEW, batch=6))
    parts, _ = trained(tiny, samples[:6], samples[4:], replace(FEW, batch=6, accumulate=3))
    start = weights(trainable_copy(tiny, FEW))
    assert (whole - parts).norm() < 0.02 * (whole - start).norm()


def test_the_base_model_is_untouched(tiny, samples):
    before = weights(tiny.model).clone()
    trained(tiny, samples[:4], samples[4:], FEW)
    assert torch.equal(before, weights(tiny.model))
    assert not any(p.requires_grad for p in tiny.model.parameters())


def test_a_forgetting_loss_that_runs_away_stops_the_run(tiny, samples):
    wild = replace(FEW, steps=200, interval=1, alpha=5.0, lr=1e-2)
    with pytest.raises(Diverged, match="forgetting loss ran away.*Lower α"):
        trained(tiny, samples[:4], samples[4:], wild)


def test_a_loss_that_is_no_number_stops_the_run(tiny, samples):
    broken = trainable_copy(tiny, FEW)
    with torch.no_grad():
        next(p for p in broken.parameters() if p.ndim == 1).fill_(math.nan)
    with pytest.raises(Diverged, match="lower the learning rate"):
        list(train(broken, samples[:4], [], FEW))


def test_the_learning_rate_rises_and_falls():
    rate = [cosine(n, 100, 10) for n in range(101)]
    assert rate[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rate[10] == 1 and rate[55] == pytest.approx(0.5) and rate[100] == pytest.approx(0)
    assert all(a > b for a, b in zip(rate[10:], rate[11:]))


def test_batches_go_round_all_rows():
    stream = draws(5, 3, "x")
    rows = [i for _ in range(5) for i in next(stream)]
    assert all(sorted(rows[at : at + 5]) == list(range(5)) for at in (0, 5, 10))
    assert next(draws(2, 4, "x")) != [] and len(next(draws(2, 4, "x"))) == 4
