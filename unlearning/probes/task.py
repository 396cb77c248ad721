"""How well does a model do a task? Greedy answers, judged by the task's own metric."""

from collections.abc import Sequence

from ..models.loading import LM
from ..models.text import CHUNK
from ..tasks.task import METRICS, Sample
from .knowledge import told
from .opening import Opening, judge


def does(
    lm: LM, samples: Sequence[Sample], metric: str, chunk: int = CHUNK, side: str = "left"
) -> list[bool]:
    """Is each sample's greedy answer (10 tokens) right by the metric? Generates only what it must."""
    right = METRICS[metric]

    def verdict(i: int, text: str) -> bool:
        return right(text, samples[i].answers)

    def settled(i: int, opening: Opening) -> bool | None:
        if metric == "contains":
            return told(opening, samples[i].answers)
        return verdict(i, opening.text) if opening.whole or "." in opening.text else None

    return judge(lm, [s.prompt for s in samples], [s.answer for s in samples], settled, verdict, chunk, side)
