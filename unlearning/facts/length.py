"""How long a fact is, and which facts are too long for a model."""

from collections.abc import Callable, Iterable

from .fact import Fact, fill
from .read import Problem, ReadFact

FREE = 8  # one position in so many is left for what is put before a fact and what the model says after it
TOO_LONG = "too long for this model: question and answer have {length:,} tokens together, at most {limit:,}"


def bytes_of(fact: Fact) -> int:
    """Bytes of the longest question and the longest answer together."""
    asked = max(len(t.encode()) for t in fact.prompts + fact.paraphrases) + len(fact.subject.encode())
    own = asked + max(len(o.encode()) for o in fact.objects)
    besides = fact.neighbours + fact.portability
    return max(own, *(len(q.prompt.encode()) + max(len(o.encode()) for o in q.objects) for q in besides), 0)


def tokens_of(fact: Fact, tokenizer) -> int:
    """Tokens of the longest question with its longest answer."""
    asked = [fill(t, fact.subject) if "{}" in t else t for t in fact.prompts + fact.paraphrases]
    texts = [f"{a} {max(fact.objects, key=len)}" for a in asked]
    texts += [f"{q.prompt} {max(q.objects, key=len)}" for q in fact.neighbours + fact.portability]
    return max(map(len, tokenizer(texts)["input_ids"]))


def fitting(
    facts: Iterable[ReadFact], fault: Callable[[Fact], str]
) -> tuple[tuple[ReadFact, ...], tuple[Problem, ...]]:
    """The facts of which `fault` has nothing to say, and the others as problems."""
    kept, problems = [], []
    for r in facts:
        if said := fault(r.fact):
            problems.append(Problem(r.row, "", said, r.raw))
        else:
            kept.append(r)
    return tuple(kept), tuple(problems)


def too_long(tokenizer, positions: int) -> Callable[[Fact], str]:
    """What is wrong with a fact for a model that can look at so many tokens; "" where it fits."""
    limit = positions - positions // FREE

    def fault(fact: Fact) -> str:
        length = bytes_of(fact)  # no byte is more than a token
        if length <= limit or (length := tokens_of(fact, tokenizer)) <= limit:
            return ""
        return TOO_LONG.format(length=length, limit=limit)

    return fault
