"""C is the mean of k kᵀ over real tokens, whatever the batch and whichever layers are asked for together."""

import pytest
import torch

from unlearning.law.moments import second_moments, until_converged
from unlearning.models.hooks import inputs_of
from unlearning.models.text import prompt_ids
from unlearning.pretrain.corpus import ordinary_text

ALL = 10**9


@pytest.fixture(scope="module")
def texts():
    return ordinary_text(24)


def slow(lm, texts, layer):
    total, n = 0.0, 0
    for ids in prompt_ids(lm.tokenizer, texts):
        with torch.no_grad(), inputs_of({0: lm.adapter.down_module(lm.model, layer)}) as seen:
            lm.model(torch.tensor([ids]))
        for k in seen[0][0].double():
            total, n = total + torch.outer(k, k), n + 1
    return total / n


def close(a, b, tolerance=1e-5):
    return ((a - b).norm() / b.norm()).item() < tolerance


def test_it_is_the_mean_over_tokens_one_at_a_time(tiny, texts):
    expected = {i: slow(tiny, texts, i) for i in (0, 1)}
    for chunk in (1, 5, 64):
        both = second_moments(tiny, texts, [0, 1], ALL, chunk)
        for i in (0, 1):
            assert both[i].dtype == torch.float64
            assert close(both[i], expected[i])
            assert close(second_moments(tiny, texts, [i], ALL, chunk)[i], both[i])


def test_it_is_symmetric_and_has_no_negative_direction(tiny, texts):
    for C in second_moments(tiny, texts, [0, 1], ALL).values():
        assert close(C, C.T, 1e-6)
        values = torch.linalg.eigvalsh((C + C.T) / 2)
        assert values[0] > -1e-6 * values[-1]


def test_it_stops_with_the_text_that_reaches_the_limit(tiny, texts):
    lengths = [len(i) for i in prompt_ids(tiny.tokenizer, texts)]
    three = sum(lengths[:3])
    for limit, n in ((1, 1), (three - lengths[2] + 1, 3), (three, 3), (three + 1, 4)):
        assert close(
            second_moments(tiny, texts, [1], limit)[1], second_moments(tiny, texts[:n], [1], ALL)[1], 1e-6
        )


def test_it_ends_where_twice_as_much_text_changes_it_no_more(tiny, texts):
    """The same texts again and again: the mean ceases to move, and is that of the texts taken up to there."""
    many = [t for _ in range(60) for t in texts]
    found = until_converged(tiny, many, [0, 1], ALL, 0.02, chunk=8)
    lengths = [len(i) for i in prompt_ids(tiny.tokenizer, many)]
    n = next(n for n in range(len(many)) if sum(lengths[:n]) == found.tokens)
    assert found.converged and 128 <= found.tokens < sum(lengths)
    for i, C in second_moments(tiny, many[:n], [0, 1], ALL).items():
        assert close(found.C[i], C)
        half = second_moments(tiny, many, [i], found.tokens // 2)[i]
        assert close(half, found.C[i], 0.1)


def test_without_tolerance_all_is_taken(tiny, texts):
    lengths = [len(i) for i in prompt_ids(tiny.tokenizer, texts)]
    found = until_converged(tiny, texts, [1], ALL, 0.0)
    assert (found.tokens, found.converged) == (sum(lengths), False)
