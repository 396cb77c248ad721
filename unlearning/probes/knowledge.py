"""Does the model know a fact? Greedy answers, and the probability of the right one.

The accuracy is LAW's (arXiv 2405.16720, section 4.1): the object is in the 10 greedy tokens
after the prompt; here as whole words, in any case, and any accepted object counts. An object of more
than 10 tokens (TOFU's are sentences) is looked for in 20, 30, …, the fewest that hold it.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from math import exp

from ..facts.fact import Fact, Question, contains, fill
from ..models.loading import LM
from ..models.text import CHUNK, Scored, greedy_within, score
from .opening import LOST, Judged, Opening, judge
from .stats import Rate, rate

Template = int | Sequence[str]


def ask(facts: Sequence[Fact], template: Template = 0) -> list[str]:
    """Prompts: phrasing number `template` of every fact, or one template with "{}" for each fact."""
    if isinstance(template, int):
        return [f.prompt(template) for f in facts]
    return [fill(t, f.subject) for t, f in zip(template, facts, strict=True)]


def answers(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "left"
) -> list[str]:
    """What the model says: 10 greedy tokens after the prompt, or fewer where it ends the text.

    Where the right answer is longer than 10 tokens, as many more tens as it needs.
    """
    right = [f.object for f in facts]
    return greedy_within(lm.model, lm.tokenizer, ask(facts, template), right, chunk, side)


def knows(
    lm: LM, prompts: Sequence[str], facts: Sequence[Fact | Question], chunk: int = CHUNK, side: str = "left"
) -> list[bool]:
    """Is an accepted object in the 10 greedy tokens after each prompt?

    Equal to `contains(greedy answer, fact.objects)`, but generates only what one teacher-forced
    pass leaves open: facts whose first object is not said at once, and objects that the next
    token might make part of a longer word ("Paris" in "Parisian").
    """
    return [j.right for j in judged(lm, prompts, facts, chunk, side)]


def judged(
    lm: LM, prompts: Sequence[str], facts: Sequence[Fact | Question], chunk: int = CHUNK, side: str = "left"
) -> list[Judged]:
    """`knows`, with what was said."""

    def settled(i: int, opening: Opening) -> bool | None:
        return told(opening, facts[i].objects)

    first = [f.object for f in facts]
    return judge(lm, prompts, first, settled, lambda i, text: contains(text, facts[i].objects), chunk, side)


def told(opening: Opening, objects: tuple[str, ...]) -> bool | None:
    """Does an answer that opens so hold one of the objects? None while what comes next decides.

    An object stands there for certain if it does even when a letter follows; bytes at the end that
    are no character yet may become one.
    """
    if opening.whole:
        return contains(opening.text, objects)
    return contains(opening.text.rstrip(LOST) + "x", objects) or None


def accuracy(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "left"
) -> Rate:
    """Share of the facts that the model knows."""
    return rate(knows(lm, ask(facts, template), facts, chunk, side))


def paraphrases(lm: LM, facts: Sequence[Fact], chunk: int = CHUNK, side: str = "left") -> list[list[Judged]]:
    """Of each fact, the answer to each of its paraphrases."""
    asked = [(f, fill(t, f.subject)) for f in facts for t in f.paraphrases]
    found = iter(judged(lm, [p for _, p in asked], [f for f, _ in asked], chunk, side))
    return [list(islice(found, len(f.paraphrases))) for f in facts]


def share(answers: Sequence[Judged]) -> float:
    """How much of at least one answer is right, between 0 and 1."""
    return sum(j.right for j in answers) / len(answers)


def paraphrase_accuracy(lm: LM, facts: Sequence[Fact], chunk: int = CHUNK, side: str = "left") -> Rate:
    """Mean over the facts that have paraphrases of the share of them that is answered."""
    return rate([share(some) for some in paraphrases(lm, facts, chunk, side) if some])


def f1(answer: str, objects: Sequence[str]) -> float:
    """Token F1 of an answer against the best of the accepted objects, as SQuAD counts (arXiv 1606.05250)."""
    return max(_f1(_words(answer), _words(o)) for o in objects)


def qa_f1(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "left"
) -> list[float]:
    """Token F1 of each fact's greedy answer; all 10 tokens count, so a rambling one loses precision."""
    return [f1(a, f.objects) for a, f in zip(answers(lm, facts, template, chunk, side), facts)]


def scored(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> list[Scored]:
    """The teacher-forced first object of each fact, from which the figures below are read."""
    return score(lm.model, lm.tokenizer, ask(facts, template), [f.object for f in facts], chunk, side)


def answer_probability(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> list[float]:
    """p(object | prompt) = exp(mean log p of the object's tokens) of each fact."""
    return [probability(s) for s in scored(lm, facts, template, chunk, side)]


def first_token_nll(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> list[float]:
    """-log p of the object's first token of each fact, in nats; the paper gives the mean."""
    return [-s.logp[0] for s in scored(lm, facts, template, chunk, side)]


def probability(s: Scored) -> float:
    """exp(mean log p a token)."""
    return exp(sum(s.logp) / len(s.logp))


def _words(text: str) -> list[str]:
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def _f1(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))
