"""One arm of the experiment: fine-tuning, with or without periodic unlearning (arXiv 2505.19715).

Vanilla fine-tuning is LWF with an empty D_U: the same code, data order and number of learning steps.

Adam divides a gradient by its own size, so a weight α on the unlearning loss would hardly matter: in a
step of its own it cancels, and beside the learning loss it is lost wherever that one's gradient is small.
So unlearning takes steps of its own, of α times the learning rate: no weight moves by more than about α · lr.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from .batches import AnswerLoss, Tokens, batch
from .settings import Settings

BETAS = (0.9, 0.95)  # of both AdamWs, as in the authors' scripts
RUNAWAY = 4.0  # times log V, the loss of a model that knows nothing


class Diverged(RuntimeError):
    """A loss is no number any more, or the forgetting loss has run away; the message says what to change."""


@dataclass(frozen=True)
class Step:
    """After learning step `n` of `total`: losses in nats, None where that was not done in this step."""

    n: int
    total: int
    learning: float | None
    forgetting: float | None


def train(
    model, learn: Sequence[Tokens], unlearn: Sequence[Tokens], settings: Settings, extra: bool = False
) -> Iterator[Step]:
    """Train `model` in place, its parameters that take gradients; a `Step` after each learning step.

    `unlearn`: D_U, empty for vanilla. With `extra` it is learned in place of being unlearned: a control for
    what more gradient alone does. Through `accelerate`: bfloat16 autocast on a GPU that has it; gradients
    are accumulated over `accumulate` parts of a batch. The same for the same settings on a CPU.
    Raises `Diverged`.
    """
    s, both = settings, _Optimizers(model, settings)
    sign, kind = (1, "nll") if extra else (-1, "nll") if s.loss == "ga" else (1, "entropy")
    order = draws(len(learn), s.batch, f"learn {s.seed}")
    gone = draws(len(unlearn), s.unlearn_batch, f"unlearn {s.seed}") if unlearn and s.alpha else None

    def forget(n: int) -> float:
        return both.step(both.unlearning, n, [unlearn[i] for i in next(gone)], sign, kind)

    for _ in range(s.steps // s.interval if gone and s.ahead else 0):
        yield Step(0, s.steps, None, forget(0))
    for n in range(1, s.steps + 1):
        learning = both.step(both.learning, n - 1, [learn[i] for i in next(order)], parts=s.accumulate)
        due = gone and not s.ahead and n % s.interval == 0
        yield Step(n, s.steps, learning, forget(n - 1) if due else None)


class _Optimizers:
    """AdamW for learning and AdamW for unlearning, of the same weights and on one schedule."""

    def __init__(self, model, settings: Settings):
        from accelerate import Accelerator

        s = self.settings = settings
        self.moving = [p for p in model.parameters() if p.requires_grad]
        self.device = self.moving[0].device
        half = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.accelerator = Accelerator(
            cpu=self.device.type == "cpu", device_placement=False, mixed_precision="bf16" if half else "no"
        )
        self.limit = RUNAWAY * math.log(model.config.vocab_size)
        self.warm = max(1, round(s.warmup * s.steps))
        self.loss, self.learning, self.unlearning = self.accelerator.prepare(
            AnswerLoss(model),
            torch.optim.AdamW(self.moving, s.lr, BETAS, weight_decay=s.weight_decay, fused=True),
            torch.optim.AdamW(self.moving, s.alpha * s.lr, BETAS, weight_decay=0.0, fused=True),
        )

    def step(
        self, optimizer, n: int, samples: Sequence[Tokens], sign: int = 1, kind: str = "nll", parts: int = 1
    ) -> float:
        """One step at place n = 0, 1, … of the schedule, with `sign` -1 up the mean loss; returns that."""
        s, total = self.settings, 0.0
        for part in (samples[i::parts] for i in range(min(parts, len(samples)))):
            loss = self.loss(*batch(part, self.device).tensors(), kind).sum() / len(samples)
            self.accelerator.backward(sign * loss)
            total += loss.item()
        self._check(n + 1, total, optimizer is self.learning, kind)
        self.accelerator.clip_grad_norm_(self.moving, s.clip or math.inf)
        weight = 1.0 if optimizer is self.learning else s.alpha
        for group in optimizer.param_groups:
            group["lr"] = weight * s.lr * cosine(n, s.steps, self.warm)
        optimizer.step()
        optimizer.zero_grad()
        return total

    def _check(self, n: int, loss: float, learning: bool, kind: str) -> None:
        s = self.settings
        if learning and not math.isfinite(loss):
            raise Diverged(
                f"the learning loss was no number in step {n}: lower the learning rate, now {s.lr:g}"
            )
        if not learning and (not math.isfinite(loss) or (kind == "nll" and loss > self.limit)):
            raise Diverged(
                f"the forgetting loss ran away to {loss:.3g} in step {n}, beyond {self.limit:.3g}. Lower "
                f"α (now {s.alpha:g}) or the learning rate ({s.lr:g}), or unlearn less often ({s.interval})"
            )


def cosine(n: int, total: int, warm: int) -> float:
    """Factor on the learning rate in step n = 0, 1, …: up over `warm` steps, then down half a cosine."""
    if n < warm:
        return (n + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (n - warm) / max(1, total - warm)))


def draws(n: int, size: int, seed: str) -> Iterator[list[int]]:
    """Endless batches of row numbers: each round is all rows, shuffled; a batch may reach into the next."""
    r = random.Random(seed)
    deck: list[int] = []
    while True:
        while len(deck) < size:
            fresh = list(range(n))
            r.shuffle(fresh)
            deck += fresh
        yield deck[:size]
        del deck[:size]
