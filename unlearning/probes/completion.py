"""From which word on does the model complete a sentence by itself? And reading facts with its help.

Greedy decoding from a beginning of the sentence goes on with all the rest when every token of the rest
is the most probable one after those before it. So one teacher-forced pass over whole sentences tells it
for all their beginnings at once.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ..facts.completed import split_at, told
from ..facts.read import Reading
from ..facts.sentences import Guess

if TYPE_CHECKING:
    from ..models.loading import LM

MAX_SENTENCES = 200  # that a model is asked about in one reading


def read_with(lm: Callable[[], "LM"], read: Callable[[Guess], Reading]) -> Reading:
    """What `read` reads with a guess: the model splits the first 200 sentences that nothing else does.

    `lm()` is called only where there is such a sentence; its lock is held while it is asked.
    """
    asked: dict[str, None] = {}
    reading = read(lambda sentence: asked.setdefault(sentence))
    sentences = [s for s in asked if len(told(s)) > 1][:MAX_SENTENCES]
    if not sentences:
        return reading
    model = lm()
    with model.lock:
        found = said_from(model, sentences)
    guesses = {s: split_at(s, n) for s, n in zip(sentences, found) if n is not None}
    return read(guesses.get)


def said_from(
    lm: "LM", sentences: Sequence[str], chunk: int | None = None, side: str = "right"
) -> list[int | None]:
    """The least number of words after which the greedy continuation begins with all the rest of a sentence.

    A last full stop is left out. None where not even the last word is said, and for a sentence of one word
    or of more bytes than the model has positions. Batched; `chunk` rows at once, or as many as is usual.
    """
    from ..models.adapters import max_positions
    from ..models.text import CHUNK, answer_ids, prompt_ids, score_ids

    room = max_positions(lm.model.config) - 1  # one for what comes next; no byte is more than a token
    words = [told(s) for s in sentences]
    fits = [i for i, w in enumerate(words) if len(w) > 1 and len(" ".join(w).encode()) < room]
    begin = prompt_ids(lm.tokenizer, [words[i][0] for i in fits])
    rest = [answer_ids(lm.tokenizer, words[i][1:]) for i in fits]  # token ids by word
    whole = [list(chain.from_iterable(tokens)) for tokens in rest]
    out: list[int | None] = [None] * len(sentences)
    for i, tokens, s in zip(fits, rest, score_ids(lm.model, begin, whole, chunk or CHUNK, side)):
        best = list(s.best)
        if goes_on(lm.tokenizer, tokens[-1], s.then):
            continue
        for n in range(len(tokens), 0, -1):
            if not all(best.pop() for _ in tokens[n - 1]):
                break
            out[i] = n
    return out


def goes_on(tokenizer, word: Sequence[int], then: int) -> bool:
    """Would the token `then` make the word longer ("Paris" + "ian")?"""
    from .opening import LOST

    end = tokenizer.decode(word, skip_special_tokens=True)
    more = tokenizer.decode([*word, then], skip_special_tokens=True)[len(end) :]
    return more[:1].isalnum() or more[:1] == LOST
