import pytest

from unlearning.probes.knowledge import scored
from unlearning.probes.memorisation import (
    exact_memorisation,
    exact_memorisations,
    extraction_strength,
    extraction_strengths,
)


@pytest.mark.parametrize(
    ("best", "strength", "exact"),
    [
        ([True, False, True, True], 1 - 2 / 4, 3 / 4),  # the first two must be given, the rest follows
        ([True, True, True], 1, 1),  # nothing must be given
        ([False, True, True, True], 1 - 1 / 4, 3 / 4),
        ([True, True, False], 0, 2 / 3),  # even after two the last one does not come: all must be given
        ([False], 0, 0),
        ([True], 1, 1),
    ],
)
def test_by_hand(best, strength, exact):
    assert extraction_strength(best) == pytest.approx(strength)
    assert exact_memorisation(best) == pytest.approx(exact)


def test_strength_is_the_definition_word_by_word():
    for bits in range(2**6):
        best = [bool(bits >> i & 1) for i in range(6)]
        k = min(k for k in range(7) if all(best[k:]))
        assert extraction_strength(best) == pytest.approx(1 - k / 6)
        assert extraction_strength(best) <= exact_memorisation(best) + 1e-9


@pytest.mark.parametrize("side", ["left", "right"])
def test_of_facts_in_any_batch(tiny, said, side):
    few = said[::9]
    best = [s.best for s in scored(tiny, few)]
    assert extraction_strengths(tiny, few, chunk=1, side=side) == [extraction_strength(b) for b in best]
    assert exact_memorisations(tiny, few, chunk=3, side=side) == [exact_memorisation(b) for b in best]
    assert len(set(extraction_strengths(tiny, few))) > 2
