"""Steps 3 and 4 of LAW for one layer: the initial update, and the ascent in closed form.

With the keys K (f, n), the residuals R (d, n) and C (f, f), let P = C⁻¹K and G = Kᵀ C⁻¹ K
(n, n). Then (push-through identity)

    Δ₀ = R Kᵀ (λC + K Kᵀ)⁻¹ = R (λ + G)⁻¹ Pᵀ                                    (MEMIT eq. 14)

and the gradient flow that maximises ‖Δ K‖² under tr(Δ C Δᵀ) ≤ β tr(C), in the coordinates
Δ C^{1/2} in which the bound is a ball, is

    Δ(t) ∝ Δ₀ exp(t K Kᵀ C⁻¹) = Δ₀ + Δ₀ K φ(tG) Pᵀ,    φ(tG) = (exp(tG) - 1) G⁻¹.

So one eigendecomposition of an n × n matrix a layer makes every λ and every t cheap.
The paper's code ascends in plain coordinates and rescales radially: `metric="plain"` gives
that flow, Δ₀ exp(t K Kᵀ), by the same formula with P = K.
"""

import torch
from torch import Tensor


def initial(R: Tensor, K: Tensor, C: Tensor, lam: float) -> Tensor:
    """Δ₀ = R Kᵀ (λC + K Kᵀ)⁻¹ (d, f), for R (d, n), K (f, n), C (f, f), all float64."""
    return solve(lam * C + K @ K.T, K @ R.T).T


class EveryLambda:
    """Δ₀ for every λ from one eigendecomposition G = U Λ Uᵀ: Δ₀(λ) = R U (λ + Λ)⁻¹ Uᵀ Pᵀ."""

    def __init__(self, R: Tensor, K: Tensor, C: Tensor):
        P = solve(C, K)
        self.eigenvalues, U = torch.linalg.eigh(K.T @ P)
        self.left, self.right = R @ U, U.T @ P.T

    def initial(self, lam: float) -> Tensor:
        """Δ₀ (d, f) for this λ > 0."""
        return self.left / (lam + self.eigenvalues.clamp(min=0)) @ self.right


def solve(C: Tensor, K: Tensor) -> Tensor:
    """C⁻¹ K by Cholesky, in float64."""
    L, info = torch.linalg.cholesky_ex(C)
    if info.item():
        raise ValueError("the second moment C is not positive definite: take more text for it")
    return torch.cholesky_solve(K, L)


def regularised(C: Tensor, ridge: float) -> Tensor:
    """C + ridge · tr(C)/f · I, so that directions that the text never used cost something too."""
    f = C.shape[0]
    return C + ridge * C.trace() / f * torch.eye(f, dtype=C.dtype, device=C.device)


def size(delta: Tensor, C: Tensor) -> float:
    """tr(Δ C Δᵀ) / tr(C): how much the update moves ordinary text."""
    return ((delta @ C) * delta).sum().item() / C.trace().item()


def ascend(
    delta0: Tensor, K: Tensor, C: Tensor, t: float, budget: float = 1.1, metric: str = "whitened"
) -> Tensor:
    """Δ(t) (d, f) from Δ₀ along the gradient flow, rescaled to `budget` times the size of Δ₀.

    t is in units of 1 / largest eigenvalue of G; 0 only rescales (the control "scaled").
    """
    if K.shape[1] > K.shape[0]:  # only K Kᵀ matters: f columns hold all of it
        K = torch.linalg.qr(K.T, mode="r").R.T
    P = solve(C, K) if metric == "whitened" else K
    eigenvalues, U = torch.linalg.eigh(K.T @ P)
    eigenvalues = eigenvalues.clamp(min=0)
    x = t * eigenvalues / eigenvalues[-1].clamp(min=1e-300)
    phi = torch.expm1(x) / eigenvalues.clamp(min=1e-300)
    delta = delta0 + ((delta0 @ K @ U) * phi) @ U.T @ P.T
    now = size(delta, C)
    return delta * (budget * size(delta0, C) / now) ** 0.5 if now > 0 else delta  # 0 stays 0
