"""The closed forms of steps 3 and 4 against direct solves and against the iterations they stand for."""

import numpy as np
import pytest
import torch

from unlearning.law import update
from unlearning.law.update import EveryLambda, regularised, size, solve

D, F = 7, 12
FEW, MANY = 5, 20  # keys: fewer and more than F


def problem(n, seed=0):
    """R (D, n), K (F, n), C (F, F) in float64; C is badly scaled, as those of real layers are."""
    g = torch.Generator().manual_seed(seed)
    R, K, X = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((D, n), (F, n), (F, 4 * F)))
    X = torch.logspace(0, -1.5, F, dtype=torch.float64)[:, None] * X
    return R, K, X @ X.T / X.shape[1]


def initial(R, K, C, lam):
    """From the sums over K's columns, which is all that it is given."""
    return update.initial(R @ K.T, K @ K.T, C, lam)


def ascend(delta0, K, C, *more, **settings):
    return update.ascend(delta0, K @ K.T, C, *more, **settings)


def by_columns(delta0, K, C, t, budget=1.1, metric="whitened"):
    """The ascent by an eigendecomposition of Kᵀ C⁻¹ K (n, n), with all keys at hand."""
    P = solve(C, K) if metric == "whitened" else K
    eigenvalues, U = torch.linalg.eigh(K.T @ P)
    eigenvalues = eigenvalues.clamp(min=0)
    phi = torch.expm1(t * eigenvalues / eigenvalues[-1]) / eigenvalues.clamp(min=1e-300)
    return as_large_as(delta0 + ((delta0 @ K @ U) * phi) @ U.T @ P.T, budget**0.5 * delta0, C)


def close(a, b, tolerance):
    """Relative error in the Frobenius norm."""
    return ((a - b).norm() / b.norm()).item() < tolerance


def as_large_as(delta, other, C):
    """`delta`, rescaled to the size of `other`."""
    return delta * (size(other, C) / size(delta, C)) ** 0.5


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("lam", [0.01, 3.0, 20_000.0])
def test_initial_is_the_direct_solve(n, lam):
    R, K, C = (x.numpy() for x in problem(n))
    expected = R @ K.T @ np.linalg.inv(lam * C + K @ K.T)
    assert close(initial(*problem(n), lam), torch.from_numpy(expected), 1e-9)


@pytest.mark.parametrize("n", [FEW, MANY])
def test_every_lambda_is_initial(n):
    R, K, C = problem(n)
    every = EveryLambda(R, K, C)
    for lam in (0.01, 1.0, 30.0, 20_000.0):
        assert close(every.initial(lam), initial(R, K, C, lam), 1e-8)


@pytest.mark.parametrize("n", [FEW, MANY])
def test_without_regularisation_the_keys_map_to_the_residuals_as_well_as_they_can(n):
    R, K, C = problem(n)
    best = torch.linalg.lstsq(K.T, R.T).solution.T  # least squares
    assert close(initial(R, K, C, 1e-12) @ K, best @ K, 1e-6)


def whitened(C):
    """S = C^{1/2}, and its inverse."""
    values, U = torch.linalg.eigh(C)
    return U * values.sqrt() @ U.T, U / values.sqrt() @ U.T


@pytest.mark.parametrize("n", [FEW, MANY])
def test_ascend_is_the_iterated_ascent_in_whitened_coordinates(n):
    R, K, C = problem(n)
    delta0, (S, S_inverse), t, steps = initial(R, K, C, 1.0), whitened(C), 0.5, 1000
    M = S_inverse @ K @ K.T @ S_inverse
    rate = t / torch.linalg.eigvalsh(M)[-1] / steps
    X, radius = delta0 @ S, 1.1**0.5 * (delta0 @ S).norm()
    for _ in range(steps):
        X = X + rate * X @ M  # half the gradient of ‖X S⁻¹ K‖²
        X = X * (radius / X.norm()).clamp(max=1)
    X = X * radius / X.norm()
    assert close(ascend(delta0, K, C, t), X @ S_inverse, 1e-3)


@pytest.mark.parametrize("n", [FEW, MANY])
def test_ascend_is_the_iterated_ascent_in_plain_coordinates(n):
    R, K, C = problem(n)
    delta0, t, steps = initial(R, K, C, 1.0), 0.5, 1000
    rate = t / torch.linalg.eigvalsh(K @ K.T)[-1] / steps
    delta, bound = delta0, 1.1 * size(delta0, C)
    for _ in range(steps):
        delta = delta + rate * delta @ K @ K.T
        delta = delta * min(1.0, (bound / size(delta, C)) ** 0.5)
    delta = delta * (bound / size(delta, C)) ** 0.5
    assert close(ascend(delta0, K, C, t, metric="plain"), delta, 1e-3)


@pytest.mark.parametrize("metric", ["whitened", "plain"])
@pytest.mark.parametrize("n", [1, FEW, D, MANY])
def test_of_few_keys_few_rows_ascend_and_nothing_else_changes(n, metric, monkeypatch):
    R, K, C = problem(n)
    delta0, carried = initial(R, K, C, 1.0), []
    expected = ascend(delta0, K, C, 0.5, metric=metric)
    plain = update.exponential
    monkeypatch.setattr(
        update, "exponential", lambda x, onwards, t: carried.append(len(x)) or plain(x, onwards, t)
    )
    assert close(ascend(delta0, K, C, 0.5, metric=metric, rank=n), expected, 1e-11)
    assert carried == [min(n, D)]
    lower = initial(torch.zeros_like(R), K, C, 1.0)
    assert not ascend(lower, K, C, 0.5, metric=metric, rank=n).any()


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("t", [0.1, 0.5, 4.0])
@pytest.mark.parametrize("metric", ["whitened", "plain"])
def test_ascend_is_the_matrix_exponential(n, t, metric):
    R, K, C = problem(n)
    delta0 = initial(R, K, C, 1.0)
    flow = K @ K.T @ torch.linalg.inv(C) if metric == "whitened" else K @ K.T
    largest = torch.linalg.eigvals(flow).real.max()
    expected = delta0 @ torch.linalg.matrix_exp(t / largest * flow)
    found = ascend(delta0, K, C, t, metric=metric)
    assert close(found, as_large_as(expected, found, C), 1e-9)


@pytest.mark.parametrize("n", [1, FEW, MANY])
@pytest.mark.parametrize("t", [0.1, 0.7, 20.0])
@pytest.mark.parametrize("metric", ["whitened", "plain"])
def test_the_sums_give_what_all_keys_give(n, t, metric):
    R, K, C = problem(n)
    delta0 = initial(R, K, C, 1.0)
    assert close(ascend(delta0, K, C, t, metric=metric), by_columns(delta0, K, C, t, metric=metric), 1e-11)


def test_the_largest_eigenvalue_is_found_among_near_ones():
    """Of a matrix far larger than the steps it takes, whose next eigenvalue is a thousandth below."""
    g = torch.Generator().manual_seed(3)
    Q, _ = torch.linalg.qr(torch.randn(300, 300, generator=g, dtype=torch.float64))
    for values in (torch.logspace(0, -6, 300), torch.linspace(1, 0, 300), torch.ones(300)):
        values = values.double()
        values[1] = 0.999
        M = Q * values @ Q.T
        assert update.largest_eigenvalue(lambda v, M=M: M @ v, M) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("n", [1, FEW, MANY])
@pytest.mark.parametrize("budget", [0.5, 1.1, 3.0])
@pytest.mark.parametrize("metric", ["whitened", "plain"])
def test_the_update_uses_its_whole_budget(n, budget, metric):
    R, K, C = problem(n)
    delta0 = initial(R, K, C, 1.0)
    for t in (0.0, 0.5, 5.0):
        found = size(ascend(delta0, K, C, t, budget, metric), C)
        assert found == pytest.approx(budget * size(delta0, C), rel=1e-9)


@pytest.mark.parametrize("metric", ["whitened", "plain"])
def test_no_ascent_only_rescales(metric):
    R, K, C = problem(FEW)
    delta0 = initial(R, K, C, 1.0)
    assert close(ascend(delta0, K, C, 0.0, metric=metric), 1.1**0.5 * delta0, 1e-12)


@pytest.mark.parametrize("n", [FEW, MANY])
def test_longer_ascent_moves_the_keys_further(n):
    R, K, C = problem(n)
    delta0 = initial(R, K, C, 1.0)
    moved = [(ascend(delta0, K, C, t) @ K).square().sum().item() for t in (0, 0.1, 0.3, 0.5, 1, 2, 5, 20)]
    assert all(a < b for a, b in zip(moved, moved[1:], strict=False))


def test_equal_keys_and_keys_of_zero_are_no_trouble():
    R, K, C = problem(FEW)
    delta0 = initial(R, K, C, 1.0)
    doubled = torch.cat([K, K, torch.zeros(F, 2, dtype=K.dtype)], 1) / 2**0.5
    assert close(ascend(delta0, doubled, C, 0.5), ascend(delta0, K, C, 0.5), 1e-9)
    nowhere = ascend(delta0, torch.zeros_like(K), C, 0.5)
    assert close(nowhere, 1.1**0.5 * delta0, 1e-12)


@pytest.mark.parametrize("metric", ["whitened", "plain"])
def test_no_update_stays_no_update(metric):
    _, K, C = problem(FEW)
    zero = torch.zeros(D, F, dtype=torch.float64)
    assert torch.equal(ascend(zero, K, C, 0.5, metric=metric), zero)


def test_size_is_the_mean_move_of_ordinary_keys():
    R, K, C = problem(FEW)
    keys = torch.linalg.cholesky(C) * F**0.5  # F keys whose second moment is C
    delta = initial(R, K, C, 1.0)
    moved = (delta @ keys).square().sum() / keys.square().sum()
    assert size(delta, C) == pytest.approx(moved.item(), rel=1e-12)


def test_a_second_moment_that_is_not_positive_definite_is_refused():
    R, K, C = problem(FEW)
    flat = C.clone()
    flat[0], flat[:, 0] = 0, 0
    for bad in (flat, -C):
        with pytest.raises(ValueError, match="positive definite"):
            solve(bad, K)
        with pytest.raises(ValueError, match="positive definite"):
            EveryLambda(R, K, bad)
        with pytest.raises(ValueError, match="positive definite"):
            ascend(R @ K.T, K, bad, 0.5)
    with pytest.raises(ValueError, match="positive definite"):
        initial(R, torch.zeros_like(K), flat, 1.0)


def test_a_ridge_makes_it_positive_definite_and_adds_a_share_of_the_trace():
    _, K, C = problem(FEW)
    flat = C.clone()
    flat[0], flat[:, 0] = 0, 0
    repaired = regularised(flat, 1e-3)
    assert torch.linalg.eigvalsh(repaired)[0] > 0
    assert repaired.trace().item() == pytest.approx(1.001 * flat.trace().item(), rel=1e-12)
    assert close(repaired @ solve(repaired, K), K, 1e-9)
