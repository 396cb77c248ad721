"""Can the model still reason? Exact match of greedy answers, and multiple choice as lm-eval scores it."""

from collections.abc import Sequence
from itertools import islice

from ..models.loading import LM
from ..models.text import CHUNK, MAX_NEW, score
from ..tasks.reasoning import Item, test_set
from .opening import Judged, Opening, judge
from .stats import Rate, rate


def reading(text: str) -> str:
    """The answer in a generated text: what stands before its first full stop."""
    return text.split(".")[0].strip()


def solves(lm: LM, items: Sequence[Item], chunk: int = CHUNK, side: str = "left") -> list[bool]:
    """Is the greedy answer (10 tokens, up to the first full stop or end of text) exactly the right one?

    Generates only what one teacher-forced pass leaves open. An answer with a full stop in it is never met.
    """
    return [j.right for j in judged(lm, items, chunk, side)]


def judged(lm: LM, items: Sequence[Item], chunk: int = CHUNK, side: str = "left") -> list[Judged]:
    """`solves`, with what was said."""

    def right(i: int, text: str) -> bool:
        return reading(text) == items[i].answer.strip()

    def settled(i: int, opening: Opening) -> bool | None:
        return right(i, opening.text) if opening.whole or "." in opening.text else None

    prompts, expected = [x.prompt for x in items], [x.answer for x in items]
    return judge(lm, prompts, expected, settled, right, chunk, side, MAX_NEW)


def reasoning(
    lm: LM, n_per_family: int = 50, seed: int = 0, chunk: int = CHUNK, side: str = "left"
) -> dict[str, Rate]:
    """Exact match on test items of every family, and "all" over all items; one batch for all of them."""
    sets = test_set(n_per_family, seed)
    return by_family(sets, solves(lm, everything(sets), chunk, side))


def choose(lm: LM, items: Sequence[Item], chunk: int = CHUNK, side: str = "right") -> list[tuple[bool, bool]]:
    """(acc, acc_norm) of each item: is its answer the choice of largest Σ log p, and of largest Σ log p
    divided by the choice's characters? lm-evaluation-harness's rule; the earlier choice wins a tie.

    Raises ValueError when an item's answer is not among its choices.
    """
    asked = [(x.prompt, c) for x in items for c in x.choices]
    found = iter(score(lm.model, lm.tokenizer, [p for p, _ in asked], [c for _, c in asked], chunk, side))
    out = []
    for x in items:
        sums = [sum(s.logp) for s in islice(found, len(x.choices))]
        right = x.choices.index(x.answer)
        raw, norm = chosen(sums, x.choices)
        out.append((raw == right, norm == right))
    return out


def chosen(sums: Sequence[float], choices: Sequence[str]) -> tuple[int, int]:
    """Which choice has the largest Σ log p, and which the largest a character? The first wins a tie."""
    norm = [s / len(c) for s, c in zip(sums, choices)]
    return sums.index(max(sums)), norm.index(max(norm))


def multiple_choice(
    lm: LM, n_per_family: int = 50, seed: int = 0, chunk: int = CHUNK, side: str = "right"
) -> dict[str, dict[str, Rate]]:
    """{"acc": ..., "acc_norm": ...}, each by family and "all", over the test items that have choices."""
    sets = {f: [x for x in items if x.choices] for f, items in test_set(n_per_family, seed).items()}
    sets = {f: items for f, items in sets.items() if items}
    acc, acc_norm = zip(*choose(lm, everything(sets), chunk, side))
    return {"acc": by_family(sets, acc), "acc_norm": by_family(sets, acc_norm)}


def everything(sets: dict[str, list[Item]]) -> list[Item]:
    """The items of all families, one family after the other."""
    return [x for items in sets.values() for x in items]


def by_family(sets: dict[str, list[Item]], values: Sequence[bool]) -> dict[str, Rate]:
    """Rates of `everything(sets)`'s values: each family's, and "all"."""
    rest = iter(values)
    return {f: rate(list(islice(rest, len(items)))) for f, items in sets.items()} | {"all": rate(values)}
