import zlib
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.facts.world import world
from unlearning.probes.knowledge import answer_probability
from unlearning.probes.membership import auc, membership, min_k, signals

NUMBERS = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def test_auc_by_hand():
    # pairs (washed, never): (1,2) (1,3) (2,3) rightly ordered, (2,2) a tie: (3 + 1/2) / 4
    assert auc([1, 2], [2, 3]) == 0.875
    assert auc([1, 2], [3, 4]) == 1 and auc([3, 4], [1, 2]) == 0 and auc([5, 5], [5]) == 0.5
    assert auc([], [1]) is None and auc([1], []) is None


@given(NUMBERS, NUMBERS)
def test_auc_is_the_share_of_ordered_pairs(zeros, ones):
    pairs = [(z < o) + (z == o) / 2 for z in zeros for o in ones]
    assert auc(zeros, ones) == pytest.approx(sum(pairs) / len(pairs))
    assert auc(zeros, ones) + auc(ones, zeros) == pytest.approx(1)


def test_min_k_by_hand():
    # ten tokens, a fifth is two: the least probable are -9 and -8, so 8.5
    assert min_k([-1, -9, -2, -3, -8, -1, -1, -2, -1, -1]) == 8.5
    assert min_k([-1, -4, -2]) == 4  # a fifth of three is less than one: one
    assert min_k([-1, -4, -2, -3], k=0.5) == 3.5


def test_signals_by_hand(tiny, facts):
    found = signals(tiny, facts)
    for f, p, loss, z in zip(
        facts, answer_probability(tiny, facts), found["loss"], found["zlib"], strict=True
    ):
        assert loss == pytest.approx(-log(p))
        assert z == pytest.approx(loss / len(zlib.compress(f.object.encode())))
    assert all(m >= x - 1e-9 for m, x in zip(found["min_k"], found["loss"], strict=True))


@pytest.mark.parametrize(("chunk", "side"), [(1, "left"), (1, "right"), (7, "left")])
def test_batching_changes_nothing(tiny, facts, chunk, side):
    once = membership(tiny, facts[:20], facts[20:], chunk=chunk, side=side)
    assert once == pytest.approx(membership(tiny, facts[:20], facts[20:]), abs=1e-6)


def test_a_model_that_knows_nothing_cannot_tell(tiny):
    a, b = world()[::20], world()[10::20]
    spread = sqrt((len(a) + len(b) + 1) / (12 * len(a) * len(b)))
    assert all(abs(v - 0.5) < 4 * spread for v in membership(tiny, a, b).values())


def test_what_is_said_looks_trained(tiny, said, facts):
    p = answer_probability(tiny, said)
    sure = [said[i] for i in sorted(range(len(said)), key=lambda i: -p[i])[:15]]
    assert membership(tiny, sure, facts)["loss"] > 0.95
    assert membership(tiny, facts, sure)["loss"] < 0.05
