"""Differences, intervals and the frontier, on cases worked by hand."""

import pytest

from unlearning.lwf.outcome import at_retention, equal_retention, gain, line
from unlearning.probes.stats import paired


def test_paired_interval_by_hand():
    """Differences .1, .2, .3: mean .2, sd .1, t(2) = 4.3027, half = 4.3027 · .1 / √3."""
    r = paired([0.1, 0.2, 0.3])
    assert r.accuracy == pytest.approx(0.2) and r.n == 3
    assert r.high - r.accuracy == pytest.approx(0.24841, abs=1e-5)
    assert r.accuracy - r.low == pytest.approx(0.24841, abs=1e-5)
    assert paired([0.5]).low is None


def seed(vanilla, lwf, frontier=(), lr=1.0):
    return {"vanilla": {"learning": vanilla}, "lwf": {"learning": lwf}, "frontier": list(frontier), "lr": lr}


def test_gain_of_one_seed_is_over_items_and_of_several_over_seeds():
    g = gain([seed([False] * 10, [True] * 5 + [False] * 5)], "learning")
    assert g["mean"] == 0.5 and g["low"] < 0.5 < g["high"] and g["per_seed"] == [0.5]
    g = gain([seed([False, False], [True, False]), seed([True, False], [True, True])], "learning")
    assert g["mean"] == 0.5 and g["n"] == 2


def test_at_retention_reads_the_line():
    """Learning rates in order: more learned, less retained."""
    points = [(1.0, 0.2), (0.9, 0.6), (0.8, 0.8)]
    assert at_retention(points, 0.95) == pytest.approx(0.4)
    assert at_retention(points, 0.9) == pytest.approx(0.6)
    assert at_retention(points, 0.85) == pytest.approx(0.7)
    assert at_retention(points, 0.5) == 0.8 and at_retention(points, 1.0) == 0.2
    assert at_retention(points, 1.1) == 0.2, "nothing retains so much"


def test_at_retention_is_the_best_where_more_learning_rate_only_harms():
    points = [(1.0, 0.2), (0.9, 0.6), (0.8, 0.4)]
    assert at_retention(points, 0.85) == at_retention(points, 0.7) == 0.6


def test_equal_retention_is_against_vanilla_at_any_rate():
    points = [
        {"arm": "vanilla", "lr": 1.0, "learning": 0.2, "retained": 1.0},
        {"arm": "vanilla", "lr": 2.0, "learning": 0.6, "retained": 0.9},
        {"arm": "lwf", "lr": 1.0, "learning": 0.5, "retained": 0.95},
    ]
    found = equal_retention([seed([], [], points), seed([], [], points)])
    assert found["mean"] == pytest.approx(0.1) and found["per_seed"] == pytest.approx([0.1, 0.1])
    assert [(p["arm"], p["n"]) for p in line([seed([], [], points)] * 2)] == [
        ("vanilla", 2),
        ("vanilla", 2),
        ("lwf", 2),
    ]
