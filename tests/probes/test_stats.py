import json

import numpy as np
import pytest

from unlearning.probes.stats import Rate, rate, wilson


def test_a_mean_with_its_interval_worked_by_hand():
    # Means of two draws from {0, 1} are 0, 1/2 or 1, the ends with a chance of 1/4 each: more than 2.5 %.
    assert rate([0, 1]) == Rate(0.5, 0.0, 1.0, 2)


def test_bootstrap_equals_a_plain_loop():
    values = [0.2, 1.0, 0.0, 0.5, 0.5, 1.0, 0.75]
    r = np.random.default_rng(7)
    means = sorted(sum(values[i] for i in r.integers(7, size=7)) / 7 for _ in range(400))

    def percentile(q):  # linear between the two nearest of the 400 sorted means
        at = q / 100 * 399
        return means[int(at)] + (at - int(at)) * (means[int(at) + 1] - means[int(at)])

    found = rate(values, seed=7, draws=400)
    assert found.accuracy == pytest.approx(3.95 / 7)
    assert (found.low, found.high) == pytest.approx((percentile(2.5), percentile(97.5)))


def test_close_to_the_normal_interval_where_that_holds():
    found = rate([True] * 300 + [False] * 700)
    half = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert found.low == pytest.approx(0.3 - half, abs=0.005) and found.high == pytest.approx(
        0.3 + half, abs=0.005
    )


def test_all_or_nothing_is_no_certainty():
    # Wilson with p = 1: low = 1 / (1 + z²/n); n = 10, z² = 3.8415: 10 / 13.8415 = 0.72246; p = 0 mirrors it.
    all_of_ten, none_of_ten = rate([True] * 10), rate([False] * 10)
    assert (all_of_ten.accuracy, all_of_ten.high) == (1, 1) and all_of_ten.low == pytest.approx(
        0.72246, abs=1e-5
    )
    assert (none_of_ten.accuracy, none_of_ten.low) == (0, 0) and none_of_ten.high == pytest.approx(
        0.27754, abs=1e-5
    )
    assert rate([True]).low < all_of_ten.low < rate([True] * 1000).low


def test_equal_shares_between_nothing_and_all():
    # n = 1, p = 1/2: centre 1/2, half = z · sqrt(1/4 + z²/4) / (1 + z²) = z / (2 · sqrt(1 + z²)) = 0.44538.
    assert wilson(0.5, 1) == pytest.approx((0.05462, 0.94538), abs=1e-4)
    assert (rate([0.5]).low, rate([0.5]).high) == wilson(0.5, 1)


def test_other_quantities_have_no_bound_when_all_are_equal():
    assert rate([2.5, 2.5, 2.5], share=False) == Rate(2.5, None, None, 3)
    assert rate([-1.0, 0.0, 3.0], share=False).accuracy == pytest.approx(2 / 3)


def test_nothing_gives_nothing():
    assert rate([]) == Rate(None, None, None, 0)


@pytest.mark.parametrize("values", [[1.5, 0], [-0.1], [float("nan")], [float("inf"), 0]])
def test_what_is_no_share_is_refused(values):
    with pytest.raises(ValueError):
        rate(values)


def test_not_finite_is_refused_everywhere():
    with pytest.raises(ValueError, match="finite"):
        rate([float("nan")], share=False)


def test_the_seed_decides_and_the_pieces_do_not(monkeypatch):
    from unlearning.probes import stats

    values = [i % 3 == 0 for i in range(50)]
    assert rate(values, seed=1) == rate(values, seed=1)
    x = np.array(values, float)
    whole = stats._bootstrap_means(x, 0, 100)
    assert np.array_equal(stats._bootstrap_means(x, 0, 100, at_once=120), whole) and whole.shape == (100,)


def test_json():
    found = rate([0, 1, 1])
    assert json.loads(json.dumps(found.to_json())) == found.to_json()
    assert rate([]).to_json() == {"accuracy": None, "low": None, "high": None, "n": 0}
