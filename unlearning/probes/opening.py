"""What teacher forcing already tells about greedy decoding, so that most answers need no generation.

When every token of an answer is the most probable one, the greedy continuation begins with
exactly that answer. One pass over all prompts then replaces up to ten. What cannot be told for
certain is left to be generated, so that the result is that of greedy decoding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..models.loading import LM
from ..models.text import CHUNK, answer_ids, greedy_within, prompt_ids, score_ids, widths

LOST = "\N{REPLACEMENT CHARACTER}"  # stands for bytes that are not yet a character


@dataclass(frozen=True)
class Opening:
    """The greedy continuation's first words. `whole`: nothing comes after them."""

    text: str
    whole: bool


@dataclass(frozen=True)
class Judged:
    """Is an answer right? And its words, as far as they had to be read for that."""

    right: bool
    said: str


def openings(
    lm: LM, prompts: Sequence[str], answers: Sequence[str], chunk: int = CHUNK, new: int | None = None
) -> list[Opening | None]:
    """The answer and one token more, where the greedy continuation of the prompt begins so; else None.

    `new`: tokens that the continuation has, as in `widths`.
    """
    tokens = answer_ids(lm.tokenizer, answers)
    scored = score_ids(lm.model, prompt_ids(lm.tokenizer, prompts), tokens, chunk)
    out: list[Opening | None] = []
    for ids, s, most in zip(tokens, scored, widths(lm.model, lm.tokenizer, prompts, answers, new)):
        if not all(s.best) or not ids or len(ids) > most:
            out.append(None)
            continue
        whole = len(ids) == most or s.then == lm.tokenizer.eos_token_id
        text = lm.tokenizer.decode(ids if whole else [*ids, s.then], skip_special_tokens=True)
        out.append(Opening(text, whole))
    return out


def judge(
    lm: LM,
    prompts: Sequence[str],
    answers: Sequence[str],
    settled: Callable[[int, Opening], bool | None],
    verdict: Callable[[int, str], bool],
    chunk: int = CHUNK,
    side: str = "left",
    new: int | None = None,
) -> list[Judged]:
    """`verdict(i, greedy text)` of every prompt, generated only where `settled(i, opening)` is None.

    `new`: as in `openings`.
    """
    found = openings(lm, prompts, answers, chunk, new)
    verdicts = [None if o is None else settled(i, o) for i, o in enumerate(found)]
    out = [None if v is None else Judged(v, o.text.strip()) for o, v in zip(found, verdicts)]
    rest = [i for i, v in enumerate(verdicts) if v is None]
    asked, right = [prompts[i] for i in rest], [answers[i] for i in rest]
    texts = greedy_within(lm.model, lm.tokenizer, asked, right, chunk, side, new)
    for i, text in zip(rest, texts):
        out[i] = Judged(verdict(i, text), text)
    return out
