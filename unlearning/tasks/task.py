"""What a task is: questions with answers, to learn or to forget, and how an answer is judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..facts.fact import contains

if TYPE_CHECKING:
    from ..models.loading import LM

MAX_NEW = 10  # greedy tokens in which the answer must come


class UnknownTask(ValueError):
    """No bundled task of this name."""


@dataclass(frozen=True)
class Sample:
    """A prompt and the answers that are right, the taught one first. `kind`: which task of a mixed one."""

    prompt: str
    answers: tuple[str, ...]
    kind: str = ""

    @property
    def answer(self) -> str:
        return self.answers[0]


def exact(text: str, answers: tuple[str, ...]) -> bool:
    """Is what stands before the text's first full stop one of the answers, in any case?"""
    said = text.split(".")[0].strip().lower()
    return any(said == a.strip().lower() for a in answers)


METRICS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {"exact": exact, "contains": contains}


@dataclass(frozen=True)
class Task:
    """Disjoint samples to train on (or to let the model answer by itself) and to be asked.

    metric      "exact": the greedy answer up to its first full stop is a right one;
                "contains": a right one is in the greedy answer, as whole words
    end         what follows an answer in training; "" for end of text
    relations   of the bundled facts, those whose answers the task is about
    families    of reasoning, those it is about
    """

    name: str
    title: str
    about: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    metric: str = "exact"
    end: str = "."
    relations: tuple[str, ...] = ()
    families: tuple[str, ...] = ()

    def right(self, samples: Sequence[Sample], said: Sequence[str]) -> list[bool]:
        """Which of the greedy answers are right."""
        judge = METRICS[self.metric]
        return [judge(text, s.answers) for s, text in zip(samples, said, strict=True)]


def asked(lm: "LM", samples: Sequence[Sample]) -> list[str]:
    """The model's greedy answers, 10 tokens or up to end of text."""
    from ..models.text import greedy

    return greedy(lm.model, lm.tokenizer, [s.prompt for s in samples], MAX_NEW)
