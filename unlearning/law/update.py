"""Steps 3 and 4 of LAW for one layer: the initial update, and the ascent in closed form.

Of the keys K (f, n) and the residuals R (d, n) only the sums G = K Kᵀ (f, f) and R Kᵀ (d, f) are needed,
whatever n. With C (f, f):

    Δ₀ = R Kᵀ (λC + G)⁻¹                                                          (MEMIT eq. 14)

and the gradient flow that maximises ‖Δ K‖² under tr(Δ C Δᵀ) ≤ β tr(C), in the coordinates
Δ C^{1/2} in which the bound is a ball, is

    Δ(t) ∝ Δ₀ exp(t G C⁻¹).

The eigenvalues of G C⁻¹ are not negative, so nothing cancels in the exponential's Taylor series: each of its
terms is the one before, times t G C⁻¹ / k, and none larger than d × f is held.
The paper's code ascends in plain coordinates and rescales radially: `metric="plain"` gives
that flow, Δ₀ exp(t G).
"""

from collections.abc import Callable

import torch
from torch import Tensor

ENOUGH = 1e-12  # of the series' sum: a smaller term is far below what a float32 weight can hold
SURE = 1e-10  # residual of the largest eigenvalue, relative to it; its own error is of the residual's square


def initial(RK: Tensor, G: Tensor, C: Tensor, lam: float) -> Tensor:
    """Δ₀ = R Kᵀ (λC + K Kᵀ)⁻¹ (d, f), for RK = R Kᵀ (d, f), G = K Kᵀ (f, f), C (f, f), all float64."""
    return solve(torch.add(G, C, alpha=lam), RK.T).T


class EveryLambda:
    """Δ₀ for every λ from one eigendecomposition of n × n: with P = C⁻¹ K and Kᵀ P = U Λ Uᵀ (push-through
    identity) Δ₀(λ) = R U (λ + Λ)⁻¹ Uᵀ Pᵀ."""

    def __init__(self, R: Tensor, K: Tensor, C: Tensor):
        P = solve(C, K)
        self.eigenvalues, U = torch.linalg.eigh(K.T @ P)
        self.left, self.right = R @ U, U.T @ P.T

    def initial(self, lam: float) -> Tensor:
        """Δ₀ (d, f) for this λ > 0."""
        return self.left / (lam + self.eigenvalues.clamp(min=0)) @ self.right


def solve(C: Tensor, K: Tensor) -> Tensor:
    """C⁻¹ K by Cholesky, in float64."""
    return torch.cholesky_solve(K, cholesky(C))


def cholesky(C: Tensor) -> Tensor:
    """The lower factor of C. Raises ValueError where C is not positive definite."""
    L, info = torch.linalg.cholesky_ex(C)
    if info.item():
        raise ValueError("the second moment C is not positive definite: take more text for it")
    return L


def regularised(C: Tensor, ridge: float) -> Tensor:
    """C + ridge · tr(C)/f · I, so that directions that the text never used cost something too."""
    f = C.shape[0]
    return C + ridge * C.trace() / f * torch.eye(f, dtype=C.dtype, device=C.device)


def size(delta: Tensor, C: Tensor) -> float:
    """tr(Δ C Δᵀ) / tr(C): how much the update moves ordinary text."""
    return ((delta @ C) * delta).sum().item() / C.trace().item()


def ascend(
    delta0: Tensor,
    G: Tensor,
    C: Tensor,
    t: float,
    budget: float = 1.1,
    metric: str = "whitened",
    rank: int | None = None,
) -> Tensor:
    """Δ(t) (d, f) from Δ₀ along the gradient flow, rescaled to `budget` times the size of Δ₀.

    G = K Kᵀ (f, f). t is in units of 1 / largest eigenvalue of G C⁻¹ (of G, if plain); 0 only rescales (the
    control "scaled"). `rank`: what Δ₀'s is at most, such as the number of keys that it was found for.
    """
    L = cholesky(C) if metric == "whitened" else None
    first = size(delta0, C)

    def onwards(x: Tensor) -> Tensor:
        """x G C⁻¹ (d, f), or x G."""
        return x @ G if L is None else torch.cholesky_solve((x @ G).T, L).T

    def symmetric(v: Tensor) -> Tensor:
        """L⁻¹ G L⁻ᵀ v (f), of the same eigenvalues, or G v."""
        if L is None:
            return G @ v
        inner = G @ torch.linalg.solve_triangular(L.T, v[:, None], upper=True)
        return torch.linalg.solve_triangular(L, inner, upper=False)[:, 0]

    top = largest_eigenvalue(symmetric, G) if t else 0.0
    delta = delta0
    if top > 0 and rank is not None and rank < len(delta0):
        left, rows = thin(delta0, rank)
        delta = left @ exponential(rows, onwards, t / top)
    elif top > 0:
        delta = exponential(delta0, onwards, t / top)
    now = size(delta, C)
    return delta * (budget * first / now) ** 0.5 if now > 0 else delta  # 0 stays 0


def thin(x: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """x (d, f) of this rank at most as a product (d, rank) (rank, f), the rows of the second orthonormal.

    They span the rows of x: those of as many random combinations of them do, with probability 1.
    """
    mixed = torch.randn(len(x), rank, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    Q = torch.linalg.qr(x.T @ mixed.to(x.device)).Q
    return x @ Q, Q.T


def exponential(x: Tensor, onwards: Callable[[Tensor], Tensor], t: float) -> Tensor:
    """x exp(t A) by its series, for x (d, f) and `onwards(x)` = x A, A's eigenvalues not negative."""
    total, term, k = x.clone(), x, 0
    while term.norm() > ENOUGH * total.norm():
        k += 1
        term = onwards(term) * (t / k)
        total += term
    return total


def largest_eigenvalue(apply: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """Of a symmetric matrix as large as `like`, by Lanczos' method with full reorthogonalisation.

    Its residual is below SURE times the eigenvalue, so the eigenvalue's error is far below that.
    """
    start = torch.randn(len(like), generator=torch.Generator().manual_seed(0), dtype=like.dtype)
    q = (start / start.norm()).to(like.device)
    basis, diagonal, beside = [], [], []
    while True:
        basis.append(q)
        w, Q = apply(q), torch.stack(basis)  # (m, f)
        diagonal.append((w @ q).item())
        for _ in range(2):
            w = w - (Q @ w) @ Q
        beside.append(w.norm().item())
        T = torch.diag(torch.tensor(diagonal, dtype=like.dtype))
        off = torch.diag(torch.tensor(beside[:-1], dtype=like.dtype), 1) if len(basis) > 1 else 0
        values, vectors = torch.linalg.eigh(T + off, UPLO="U")
        top = values[-1].item()
        if beside[-1] * abs(vectors[-1, -1].item()) <= SURE * abs(top) or len(basis) == len(like):
            return top
        q = w / beside[-1]
