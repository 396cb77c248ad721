"""How well does a model do a task? Greedy answers, judged by the task's own metric."""

from collections.abc import Sequence

from ..models.loading import LM
from ..models.text import CHUNK
from ..tasks.task import METRICS, Sample
from .knowledge import told
from .opening import Opening, judge


def does(
    lm: LM,
    samples: Sequence[Sample],
    metric: str,
    chunk: int = CHUNK,
    side: str = "left",
    new: int | None = None,
) -> list[bool]:
    """Is each sample's greedy answer right by the metric? Generates only what it must.

    `new`: tokens of an answer; by default 10, or as many more tens as the right one has.
    """
    right = METRICS[metric]

    def verdict(i: int, text: str) -> bool:
        return right(text, samples[i].answers)

    def settled(i: int, opening: Opening) -> bool | None:
        if metric == "contains":
            return told(opening, samples[i].answers)
        settles = opening.whole or (metric == "exact" and "." in opening.text)
        return verdict(i, opening.text) if settles else None

    prompts, answers = [s.prompt for s in samples], [s.answer for s in samples]
    return [j.right for j in judge(lm, prompts, answers, settled, verdict, chunk, side, new)]
