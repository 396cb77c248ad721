"""A rate with its interval: every figure on a page is one of these."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


# 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom
T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)


@dataclass(frozen=True)
class Rate:
    """A mean over n facts with its 95 % interval; None where there is nothing to say."""

    accuracy: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """The four fields as plain JSON."""
        return asdict(self)


def rate(values: Sequence[bool | float], seed: int = 0, draws: int = 1000, share: bool = True) -> Rate:
    """Mean of one value a fact, with the bootstrap percentile 95 % interval over facts (Efron 1979).

    When all values are equal every bootstrap sample is the sample itself and its interval
    is a point, as if 10 of 10 were certainty. Shares (`share=True`: 0 or 1 a fact, or a mean
    of those, so all within 0 and 1) then get Wilson's score interval (1927) instead, which
    is wide for few facts and never empty; for shares between 0 and 1 it is conservative,
    because they vary less than 0/1 values of the same mean. For anything else (nats, differences:
    `share=False`) there is no such bound, and the interval is None.

    No values: n = 0 and None everywhere. Raises ValueError for values that are not finite, or
    outside 0 to 1 when they should be shares.
    """
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all() or (share and x.size and (x.min() < 0 or x.max() > 1)):
        raise ValueError("the values of a rate lie between 0 and 1" if share else "a value is not finite")
    if x.size == 0:
        return Rate(None, None, None, 0)
    mean = float(x.mean())
    if (x == x[0]).all():
        low, high = wilson(float(x[0]), x.size) if share else (None, None)
        return Rate(float(x[0]), low, high, x.size)
    low, high = np.percentile(_bootstrap_means(x, seed, draws), (2.5, 97.5))
    return Rate(mean, float(low), float(high), x.size)


def paired(differences: Sequence[float]) -> Rate:
    """Mean of one difference a seed, at most 10, with Student's 95 % interval; None for fewer than two."""
    x = np.asarray(differences, dtype=np.float64)
    if x.size == 0:
        return Rate(None, None, None, 0)
    mean = float(x.mean())
    if x.size == 1:
        return Rate(mean, None, None, 1)
    half = T[x.size - 2] * float(x.std(ddof=1)) / sqrt(x.size)
    return Rate(mean, mean - half, mean + half, x.size)


def wilson(p: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share p of n."""
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return (0.0 if p == 0 else max(0.0, centre - half)), (1.0 if p == 1 else min(1.0, centre + half))


def _bootstrap_means(x: np.ndarray, seed: int, draws: int, at_once: int = 4_000_000) -> np.ndarray:
    """Means (draws,) of samples drawn from x with replacement, about `at_once` numbers at a time."""
    r = np.random.default_rng(seed)
    rows = max(1, at_once // x.size)
    parts = [min(rows, draws - at) for at in range(0, draws, rows)]
    return np.concatenate([x[r.integers(x.size, size=(k, x.size))].mean(1) for k in parts])
