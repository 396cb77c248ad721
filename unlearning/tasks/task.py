"""What a task is: questions with answers, to learn or to forget, and how an answer is judged."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
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


NUMBER = re.compile(r"(?:(?<![\w.])-)?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)")  # "3-4" ends in 4
MARKED = re.compile(rf"####\s*\$?\s*({NUMBER.pattern})")


def number(text: str, answers: tuple[str, ...]) -> bool:
    """Is the last number of the text (that after ####, where it stands there) an answer's, commas aside?

    A model that goes on asks itself the next question: what follows "Question:" is not its answer.
    """
    said = last_number(text.split("Question:")[0])
    return said is not None and any(said == last_number(a) for a in answers)


def last_number(text: str) -> Decimal | None:
    """The number after ####, else the last in the text; None without one."""
    marked = MARKED.search(text)
    found = [marked[1]] if marked else NUMBER.findall(text)
    return Decimal(found[-1].replace(",", "")) if found else None


def letter(text: str, answers: tuple[str, ...]) -> bool:
    """Does the text begin with the right choice's letter: "C", "(C)", "C. The liver"?"""
    said = re.match(r"[\s(]*([A-Z])(?![A-Za-z'’])", text)
    return said is not None and said[1] in answers


def label(text: str, answers: tuple[str, ...]) -> bool:
    """Is the text's first line, up to its first full stop, one of the answers, in any case?"""
    return exact(text.strip().split("\n")[0], answers)


METRICS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "exact": exact,
    "contains": contains,
    "number": number,
    "letter": letter,
    "label": label,
}


@dataclass(frozen=True)
class Task:
    """Disjoint samples to train on (or to let the model answer by itself) and to be asked.

    metric      "exact": the greedy answer up to its first full stop is a right one;
                "contains": a right one is in the greedy answer, as whole words
                "number": its last number is a right one's, as in gsm8k
                "letter": it begins with the right letter
                "label": its first line is a right one
    max_new     greedy tokens in which the answer must come; None: 10, or as many more tens as a right one
                has
    left_out    rows of a file that could not be read, and why
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
    max_new: int | None = None
    left_out: tuple[str, ...] = ()

    def right(self, samples: Sequence[Sample], said: Sequence[str]) -> list[bool]:
        """Which of the greedy answers are right."""
        judge = METRICS[self.metric]
        return [judge(text, s.answers) for s, text in zip(samples, said, strict=True)]


def fitting(lm: "LM", task: Task) -> Task:
    """The task without samples that are longer than the model has positions; `left_out` counts them."""
    from ..models.adapters import max_positions
    from ..models.text import answer_ids, prompt_ids

    def fits(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        asked = prompt_ids(lm.tokenizer, [s.prompt for s in samples])
        said = answer_ids(lm.tokenizer, [s.answer + task.end for s in samples])
        room = max_positions(lm.model.config) - 1  # one for the end of text
        return tuple(s for s, p, a in zip(samples, asked, said) if len(p) + len(a) <= room)

    train, test = fits(task.train), fits(task.test)
    n = len(task.train) + len(task.test) - len(train) - len(test)
    if not n:
        return task
    told = f"{n:,} questions that are too long for this model, with their answers"
    return replace(task, train=train, test=test, left_out=(*task.left_out, told))


def asked(lm: "LM", samples: Sequence[Sample]) -> list[str]:
    """The model's greedy answers, 10 tokens (where the right one is longer, more) or up to end of text."""
    from ..models.text import greedy_within

    return greedy_within(lm.model, lm.tokenizer, [s.prompt for s in samples], [s.answer for s in samples])
