"""What scoring a sample costs, beside a training step of that sample.

python -m unlearning bench scoring --model lethe-llama
"""

import time
from collections.abc import Callable, Iterator
from statistics import median

from ..models.loading import LM
from ..tasks.bundled import forgetting, learning
from .batches import AnswerLoss
from .confidence import confidences, task_gradient
from .experiment import encoded
from .settings import Settings
from .train import train
from .trainable import trainable_copy

SAMPLES, ROUNDS = 32, 5


def scoring(lm: LM, learn: str = "employer-to-home-town", forget: str = "employer") -> dict:
    """Seconds a sample, the median of five rounds: scored in chunks, and trained on in batches of 1 and 8."""
    task, against = learning(learn), forgetting(forget)
    some = encoded(lm, against.train, against)[:SAMPLES]
    s = Settings()
    copy = trainable_copy(lm, s)
    lm.adapter.sample_by_sample(copy)
    loss = AnswerLoss(copy)
    gradient = task_gradient(
        loss, encoded(lm, task.train, task)[:8], list(dict(loss.named_parameters())), s.chunk
    )

    def steps(batch: int) -> Callable[[], object]:
        here = Settings(steps=SAMPLES // batch, batch=batch)
        return lambda: list(train(trainable_copy(lm, here), some, [], here))

    jobs = {
        "scored": lambda: list(confidences(loss, some, gradient, s.chunk)),
        "step of 1": steps(1),
        "step of 8": steps(8),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            seconds[name].append(_seconds(job) / SAMPLES)
    found = {name: median(s) for name, s in seconds.items()}
    return {"model": lm.name, "seconds": found}


def table(result: dict) -> Iterator[str]:
    """The result as Markdown."""
    yield "| a sample | milliseconds |"
    yield "|---|---|"
    scored = result["seconds"]["scored"]
    for name, s in result["seconds"].items():
        beside = "" if name == "scored" else f" (scoring is {scored / s:.2f} ×)"
        yield f"| {name} | {1000 * s:.1f}{beside} |"


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
