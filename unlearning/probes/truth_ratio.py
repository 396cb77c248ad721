"""The truth ratio of TOFU (arXiv 2401.06121, section 2.2.2): are wrong answers as likely as the right one?"""

import random
from collections.abc import Sequence
from itertools import islice
from math import exp

from ..facts.fact import Fact, fill
from ..models.loading import LM
from ..models.text import CHUNK, score

LARGEST = 700.0  # exp of more is no float


def perturbed(fact: Fact, pool: Sequence[Fact], n: int = 5, seed: int = 0) -> list[str]:
    """Up to n wrong answers: objects of the same relation in the pool, never one that is accepted.

    Depends on the pool's contents and the seed, not on its order.
    """
    right = {o.casefold() for o in fact.objects}
    others = {o.casefold(): o for f in pool if f.relation == fact.relation for o in sorted(f.objects)}
    wrong = [others[o] for o in sorted(others) if o not in right]
    return random.Random(f"perturbed {seed} {fact.key}").sample(wrong, min(n, len(wrong)))


def ratio(true: float, wrong: Sequence[float]) -> float:
    """Mean p(wrong answer) / p(right answer), from the mean log p a token of each."""
    return sum(exp(min(w - true, LARGEST)) for w in wrong) / len(wrong)


def truth_ratio(
    lm: LM,
    facts: Sequence[Fact],
    pool: Sequence[Fact] | None = None,
    n: int = 5,
    seed: int = 0,
    chunk: int = CHUNK,
    side: str = "right",
) -> list[float | None]:
    """mean p(perturbed answers) / p(paraphrased answer) of each fact, every p length-normalised.

    Near 0 the fact is known, near 1 its answer is as good as any other. An object is too short
    to be paraphrased by itself, so the paraphrased answer is the first object behind the fact's first
    paraphrase (its first prompt, where it has none); the perturbed ones stand behind the same
    words. They come from `pool` (by default the facts themselves); None where it has no other object.
    """
    wrong = [perturbed(f, facts if pool is None else pool, n, seed) for f in facts]
    prompts = [fill((f.paraphrases or f.prompts)[0], f.subject) for f in facts]
    return _ratios(lm, prompts, [f.object for f in facts], wrong, chunk, side)


def brought(
    lm: LM, facts: Sequence[Fact], chunk: int = CHUNK, side: str = "right"
) -> list[tuple[Fact, float]]:
    """Those of the facts whose file brings wrong answers, and their truth ratio: as TOFU asks it, the answers
    all behind the fact's own question, the right one as it is reworded, if it is.
    """
    some = [f for f in facts if f.wrong]
    right, wrong = [f.reworded or f.object for f in some], [f.wrong for f in some]
    return list(zip(some, _ratios(lm, [f.prompt() for f in some], right, wrong, chunk, side), strict=True))


def _ratios(
    lm: LM,
    prompts: Sequence[str],
    right: Sequence[str],
    wrong: Sequence[Sequence[str]],
    chunk: int,
    side: str,
) -> list[float | None]:
    """Of each prompt the `ratio` of its wrong answers to its right one; None where it has none wrong."""
    asked = [(p, a) for p, r, w in zip(prompts, right, wrong, strict=True) for a in (r, *w)]
    found = iter(score(lm.model, lm.tokenizer, [p for p, _ in asked], [a for _, a in asked], chunk, side))
    out: list[float | None] = []
    for w in wrong:
        true, *others = [sum(s.logp) / len(s.logp) for s in islice(found, 1 + len(w))]
        out.append(ratio(true, others) if others else None)
    return out
