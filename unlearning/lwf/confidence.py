"""Forgetting confidence: how much what a sample asks of the parameters conflicts with the learning task.

Our reading of arXiv 2505.19715 (its abstract and published summaries). The posterior of the parameters
given the learning task is approximated by Laplace's method, with F the diagonal of the Fisher information
of D_L; a sample's intended update is Δ_x = -η ∇ℓ(x; θ₀), the task's Δ_L = -η ∇ℓ(D_L; θ₀):

    FC(x) = ½ Σ_i F_i (Δ_x,i - Δ_L,i)²
          = ½ η² (Σ F g_x² - 2 Σ F g_x g_L + Σ F g_L²)

The last term is the same for every sample, and so much larger than the others that it drowns them in
float32: the three are kept apart, and samples are compared by the first two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.func import functional_call, grad, vmap

from .batches import AnswerLoss, Tokens, batch

Gradients = dict[str, Tensor]  # by parameter name; per sample with a leading (B,)


@dataclass(frozen=True)
class Confidence:
    """The terms of one sample, without ½ η²: Σ F g_x², Σ F g_x g_L, Σ F g_L²."""

    own: float
    cross: float
    task: float

    @property
    def score(self) -> float:
        """FC / (½ η²) without the term that all samples share: what ranks them."""
        return self.own - 2 * self.cross

    def value(self, eta: float) -> float:
        """FC(x) with its constant."""
        return 0.5 * eta**2 * (self.score + self.task)

    @property
    def cosine(self) -> float:
        """Σ F g_x g_L / √(Σ F g_x² · Σ F g_L²): ours, not the paper's. +1 pulls the way of the task.

        0 where a gradient vanishes.
        """
        size = (self.own * self.task) ** 0.5
        return self.cross / size if size else 0.0

    @property
    def conflict(self) -> float:
        """-cosine: how far the sample pulls against the task."""
        return -self.cosine


def per_sample_gradients(
    loss: AnswerLoss, samples: Sequence[Tokens], names: Sequence[str], chunk: int
) -> Iterator[Gradients]:
    """∇ℓ(x; θ) of each sample, for the named parameters of `loss`, `chunk` samples at a time.

    Memory: chunk times the named parameters. Samples come in their order.
    """
    parameters = dict(loss.named_parameters())
    moving = {n: parameters[n].detach() for n in names}
    rest = {n: p.detach() for n, p in parameters.items() if n not in moving}
    device = next(iter(parameters.values())).device

    def of_one(moving: Gradients, *tensors: Tensor) -> Tensor:
        one = [t[None] for t in tensors]
        return functional_call(loss, {**rest, **moving}, tuple(one))[0]

    of_all = vmap(grad(of_one), in_dims=(None, 0, 0, 0, 0))
    for at in range(0, len(samples), chunk):
        yield of_all(moving, *batch(samples[at : at + chunk], device).tensors())


@dataclass(frozen=True)
class TaskGradient:
    """Of D_L at θ₀: g_L, the mean gradient; F, the mean of squared gradients (empirical Fisher); Σ F g_L²."""

    mean: Gradients
    fisher: Gradients
    size: float


def task_gradient(
    loss: AnswerLoss, samples: Sequence[Tokens], names: Sequence[str], chunk: int
) -> TaskGradient:
    """One pass over D_L."""
    mean: Gradients = {}
    fisher: Gradients = {}
    for g in per_sample_gradients(loss, samples, names, chunk):
        for n, x in g.items():
            mean[n] = mean.get(n, 0) + x.sum(0)
            fisher[n] = fisher.get(n, 0) + (x * x).sum(0)
    mean = {n: x / len(samples) for n, x in mean.items()}
    fisher = {n: x / len(samples) for n, x in fisher.items()}
    size = sum((fisher[n] * mean[n] ** 2).sum().double().item() for n in names)
    return TaskGradient(mean, fisher, size)


def confidences(
    loss: AnswerLoss, samples: Sequence[Tokens], task: TaskGradient, chunk: int
) -> Iterator[list[Confidence]]:
    """The terms of each sample, `chunk` at a time, in order."""
    weighted = {n: f * task.mean[n] for n, f in task.fisher.items()}  # F g_L
    for g in per_sample_gradients(loss, samples, list(task.mean), chunk):
        own = cross = 0.0
        home = next(iter(g.values())).device  # a model's parameters may be on several
        for n, x in g.items():
            x = x.flatten(1)
            own = own + (x * x * task.fisher[n].flatten()).sum(1).double().to(home)
            cross = cross + (x * weighted[n].flatten()).sum(1).double().to(home)
        yield [Confidence(o, c, task.size) for o, c in zip(own.tolist(), cross.tolist())]
