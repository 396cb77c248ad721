"""Which facts are longer than a model can look at, by hand."""

from unlearning.facts.fact import Fact, Question
from unlearning.facts.length import FREE, bytes_of, fitting, tokens_of, too_long
from unlearning.facts.read import ReadFact


def words(text: str) -> list[str]:
    return text.split()


def tokenizer(texts):
    """A token a word."""
    return {"input_ids": list(map(words, texts))}


def fact(prompt="a b {} d", objects=("x",), **more) -> Fact:
    return Fact("Ümla", "r", objects, (prompt,), **more)


def test_bytes_and_tokens_are_those_of_the_longest_question_with_the_longest_answer():
    plain = fact(objects=("x", "y zz"))
    assert bytes_of(plain) == len("a b {} d") + 5 + len("y zz")
    assert tokens_of(plain, tokenizer) == 6
    asked = fact(paraphrases=("one two three four five six",), neighbours=(Question("q " * 9, ("o", "p r")),))
    assert tokens_of(asked, tokenizer) == 11


def test_what_fits_is_kept_and_what_does_not_is_told_by_row():
    """Long in bytes is not yet long: an eighth of the positions is left free."""
    limit = 64 - 64 // FREE
    prompt = "{} " + " ".join(["word"] * (limit - 2))
    rows = [
        ReadFact(n, "raw", fact(p), "given") for n, p in ((1, prompt), (2, prompt + " word"), (3, "{} is"))
    ]
    kept, problems = fitting(rows, too_long(tokenizer, 64))
    assert [r.row for r in kept] == [1, 3]
    (problem,) = problems
    assert (problem.row, problem.raw) == (2, "raw")
    assert f"have {limit + 1} tokens together, at most {limit}" in problem.message
