"""The cost said before a run: more of anything costs more, and a real run costs about as much."""

import time
from dataclasses import replace

import pytest

from unlearning.lwf.forecast import Pieces, forecast, measure, memory
from unlearning.lwf.outcome import Sizes
from unlearning.lwf.settings import Settings
from unlearning.tasks.bundled import forgetting, learning

PIECES = Pieces(
    learning=0.1,
    unlearning=0.06,
    scored=0.02,
    judged=0.003,
    call=0.04,
    said=0.006,
    read=0.01,
    copied=0.02,
    parameters=1_000_000,
    moving=500_000,
)
SETTINGS = Settings(steps=20, interval=4, portion=0.25, alpha=0.05)
TASK, FORGET = learning("topic"), forgetting("capital")


def cost(settings=SETTINGS, seeds=1, sizes=None, frontier=False):
    return forecast(PIECES, TASK, FORGET, settings, seeds, sizes or Sizes(), frontier)


@pytest.mark.parametrize(
    "more",
    [
        {"settings": replace(SETTINGS, steps=40)},
        {"settings": replace(SETTINGS, interval=1)},
        {"seeds": 2},
        {"sizes": Sizes(retained=600)},
        {"sizes": Sizes(curve=100)},
        {"frontier": True},
        {"settings": replace(SETTINGS, evaluations=20)},
    ],
    ids=str,
)
def test_more_of_anything_takes_longer(more):
    assert cost(**more).seconds > cost().seconds
    assert cost(**more).steps >= cost().steps


def test_steps_are_counted_over_arms_rates_and_seeds():
    assert cost().steps == 2 * 20
    assert cost(seeds=3).steps == 3 * 2 * 20
    assert cost(frontier=True).steps == (2 * 5 + 1) * 20


def test_what_is_not_unlearned_costs_nothing():
    none = cost(replace(SETTINGS, portion=0.0))
    assert none.seconds == cost(replace(SETTINGS, alpha=0.0)).seconds < cost().seconds
    assert none.seconds == pytest.approx(cost().seconds - 20 / 4 * PIECES.unlearning)


def test_memory_grows_with_the_model_with_what_moves_and_with_the_chunk():
    assert memory(1000, 1000, SETTINGS) >= 4 * 10 * 1000  # two copies, gradients, three pairs of moments
    assert memory(2000, 1000, SETTINGS) > memory(1000, 1000, SETTINGS) > memory(1000, 100, SETTINGS)
    assert memory(1000, 1000, replace(SETTINGS, chunk=64)) > memory(1000, 1000, SETTINGS)


def test_the_base_model_is_untouched_by_measuring(tiny_llama):
    before = [p.detach().clone() for p in tiny_llama.model.parameters()]
    pieces = measure(tiny_llama, TASK, FORGET, Settings(subset="mlp"))
    assert all((a == b).all() for a, b in zip(before, tiny_llama.model.parameters(), strict=True))
    assert not any(p.requires_grad for p in tiny_llama.model.parameters())
    assert min(pieces.learning, pieces.unlearning, pieces.scored, pieces.said, pieces.read) > 0
    assert 0 < pieces.moving < pieces.parameters


@pytest.mark.slow
def test_a_real_run_takes_about_as_long(tmp_path):
    from unlearning.law.statistics import statistics
    from unlearning.models.loading import bundled, load
    from unlearning.runs.learn import learn_job

    lm = load(next(iter(bundled())), "cpu")
    settings, sizes = (
        Settings(steps=6, own=30, evaluations=3),
        Sizes(retained=40, reasoning=2, held_out=8, curve=20),
    )
    known = statistics(lm).known
    said = forecast(measure(lm, TASK, FORGET, settings, known), TASK, FORGET, settings, 1, sizes, True)
    start = time.monotonic()
    for _ in learn_job(lm, TASK, FORGET, settings, [0], tmp_path, sizes):
        pass
    took = time.monotonic() - start
    assert took / 2 < said.seconds < 2 * took
