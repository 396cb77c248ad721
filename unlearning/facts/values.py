"""Values of a record's fields: text, texts, and the questions that lie nested in some."""

from collections.abc import Iterator

from .fact import Question
from .triples import Unclear

PLACEHOLDER = "<|endoftext|>"  # EasyEdit's for "no ground truth"
MAX_DEPTH = 6  # of nested lists and objects


def present(record: dict, name: str) -> bool:
    """Is the field there, and not empty?"""
    value = record.get(name)
    return bool(value.strip()) if isinstance(value, str) else value is not None and value != []


def text_of(record: dict, names: tuple[str, ...], max_text: int) -> str:
    """The first of these fields that is there, as one line of text. Raises Unclear naming the field."""
    name = first_of(record, names)
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unclear(name, f"the field {name!r} is not text")
    return checked(name, value, max_text)


def texts_of(record: dict, names: tuple[str, ...], max_text: int) -> tuple[str, ...]:
    """As `text_of`, where the field may also be a list of texts, or an object with the text as "str"."""
    name = first_of(record, names)
    value = record[name]
    if isinstance(value, dict):
        value = value.get("str")
    found = dict.fromkeys(checked(name, v, max_text) for v in flat(value) if str(v).strip())
    if not found:
        raise Unclear(name, f"the field {name!r} is not text, nor a list of texts")
    return tuple(found)


def first_of(record: dict, names: tuple[str, ...]) -> str:
    """The first of these fields that is there. Raises Unclear naming them."""
    name = next((n for n in names if present(record, n)), None)
    if name is None:
        others = f" (or {', '.join(map(repr, names[1:]))})" if names[1:] else ""
        raise Unclear(names[0], f"the field {names[0]!r}{others} is missing or empty")
    return name


def checked(name: str, value: str | int | float, max_text: int) -> str:
    """A value as one line of text. Raises Unclear naming its field where it cannot be one."""
    value = " ".join(str(value).split())
    if len(value) > max_text:
        raise Unclear(name, f"the field {name!r} has {len(value):,} characters: at most {max_text:,}")
    if "{}" in value and name not in ("prompt", "relation"):
        raise Unclear(name, f"the field {name!r} has {{}} in it, which in a prompt stands for the subject")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise Unclear(name, f"the field {name!r} has half a character in it (a lone surrogate)")
    return value


def flat(value, depth: int = MAX_DEPTH) -> Iterator[str | int | float]:
    """The texts and numbers in a value: itself, or those of a list, which may have lists in it."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list) and depth:
        for v in value:
            yield from flat(v, depth - 1)


def usable(value, max_text: int) -> tuple[str, ...]:
    """The texts in a value that can be asked or expected: not empty, short enough, without {}."""
    texts = (" ".join(str(v).split()) for v in flat(value))
    return tuple(
        dict.fromkeys(t for t in texts if t and len(t) <= max_text and "{}" not in t and sendable(t))
    )


def each_usable(value, max_text: int) -> list[str | None]:
    """Of each text that a field gives, alone or in a list, what can be asked; None for one that cannot be."""
    given = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return [text for v in given for text in usable(v, max_text) or (None,)]


def told_true(record: dict) -> list[str | int | float]:
    """What EasyEdit and KnowEdit tell as ground_truth, without their mark for none."""
    return [t for t in flat(record.get("ground_truth")) if t != PLACEHOLDER and str(t).strip()]


def as_asked(text: str) -> str:
    """A question as "Q: … A:", any other prompt as it is, to be gone on with."""
    return f"Q: {text} A:" if text.endswith("?") else text


def sendable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def questions_in(value, max_text: int, depth: int = MAX_DEPTH) -> Iterator[Question | None]:
    """Every question in nested lists and objects: `prompt` with `ground_truth`, one each or lists of both.

    None for each that cannot be used, and for what is no question.
    """
    if isinstance(value, list) and depth:
        for v in value:
            yield from questions_in(v, max_text, depth - 1)
    elif isinstance(value, dict) and depth:
        pairs = pairs_in(value)
        for p, a in pairs:
            asked, right = usable(p, max_text), usable(a, max_text)
            yield Question(as_asked(asked[0]), right) if len(asked) == 1 and right else None
        inner = [v for name, v in value.items() if not pairs or name not in ("prompt", "ground_truth")]
        if not pairs and any(isinstance(v, str) and v.strip() for v in inner):
            yield None
        for v in inner:
            if isinstance(v, (dict, list)):
                yield from questions_in(v, max_text, depth - 1)
    elif value not in (None, "", [], {}):
        yield None


def pairs_in(value: dict) -> list[tuple]:
    """The prompts of an object, each with its answer, or with None where their numbers are not the same."""
    prompt, answer = value.get("prompt"), value.get("ground_truth")
    if isinstance(prompt, list) and isinstance(answer, list) and len(prompt) == len(answer):
        return list(zip(prompt, answer))
    if isinstance(prompt, list) and len(prompt) > 1:
        return [(p, None) for p in prompt]
    return [(prompt, answer)] if prompt or answer else []
