"""Does the model still write? Variety of sampled text, and perplexity of held-out text."""

import re
from collections import Counter
from collections.abc import Sequence
from math import exp, log2

from ..models.loading import LM
from ..models.text import CHUNK, prompt_ids, sample, score_ids, start_id

WEIGHTS = {2: 2 / 3, 3: 4 / 3}  # MEMIT's


def entropy(words: Sequence[str], n: int) -> float:
    """H_n in bits: the entropy of the n-grams' frequencies; 0 when there is none."""
    counts = Counter(zip(*(words[i:] for i in range(n))))
    total = counts.total()
    return sum(c / total * log2(total / c) for c in counts.values())


def n_gram_entropy(text: str) -> float:
    """(2/3 · H₂ + 4/3 · H₃) / 2 in bits, over words and marks (MEMIT, arXiv 2210.07229).

    Low means repetition. It grows with the length of the text, so compare like with like.
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    return sum(w * entropy(words, n) for n, w in WEIGHTS.items()) / len(WEIGHTS)


def texts(
    lm: LM,
    n: int = 32,
    seed: int = 0,
    max_new: int = 64,
    prompts: Sequence[str] = ("",),
    chunk: int = CHUNK,
    side: str = "left",
) -> list[str]:
    """n texts sampled at temperature 1, without their prompts, which take turns; by default from nothing."""
    starts = [prompts[i % len(prompts)] for i in range(n)]
    return sample(lm.model, lm.tokenizer, starts, max_new, seed, chunk, side)


def fluency(
    lm: LM,
    n: int = 32,
    seed: int = 0,
    max_new: int = 64,
    prompts: Sequence[str] = ("",),
    chunk: int = CHUNK,
    side: str = "left",
) -> list[float]:
    """n-gram entropy in bits of each of n sampled texts; the figure is their mean."""
    return [n_gram_entropy(t) for t in texts(lm, n, seed, max_new, prompts, chunk, side)]


def perplexity(lm: LM, held_out: Sequence[str], chunk: int = 32, side: str = "right") -> float | None:
    """exp of the mean NLL a token over all texts, from each text's first real token on; None without a token.

    The token that starts a text is given, and put there where the tokenizer does not.
    """
    start = start_id(lm.tokenizer)
    ids = [i[1:] if i[0] == start else i for i in prompt_ids(lm.tokenizer, held_out)]
    logp = [x for s in score_ids(lm.model, [[start]] * len(ids), ids, chunk, side) for x in s.logp]
    return exp(-sum(logp) / len(logp)) if logp else None
