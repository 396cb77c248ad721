"""How much of an answer's wording is still in the model, from one teacher-forced pass.

Extraction strength: Carlini et al., arXiv 2012.07805; exact memorisation: Tirumala et al.,
arXiv 2205.10770; both as used to judge unlearning in OpenUnlearning, arXiv 2506.12618.
"""

from collections.abc import Sequence

from ..facts.fact import Fact
from ..models.loading import LM
from ..models.text import CHUNK
from .knowledge import Template, scored


def extraction_strength(best: Sequence[bool]) -> float:
    """1 - k/T, with k the shortest prefix of T answer tokens after which all the rest are argmax.

    `best[t]`: is token t the most probable one, given the right tokens before it?
    """
    k = next((t + 1 for t in reversed(range(len(best))) if not best[t]), 0)
    return 1 - k / len(best)


def exact_memorisation(best: Sequence[bool]) -> float:
    """Share of the answer's tokens that are the most probable one, given the right tokens before them."""
    return sum(best) / len(best)


def extraction_strengths(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> list[float]:
    """Extraction strength of each fact's first object, 0 to 1."""
    return [extraction_strength(s.best) for s in scored(lm, facts, template, chunk, side)]


def exact_memorisations(
    lm: LM, facts: Sequence[Fact], template: Template = 0, chunk: int = CHUNK, side: str = "right"
) -> list[float]:
    """Exact memorisation of each fact's first object, 0 to 1."""
    return [exact_memorisation(s.best) for s in scored(lm, facts, template, chunk, side)]
