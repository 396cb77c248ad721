"""Records with named fields, from any file that has them. A new kind of record is a line in RECORDS."""

from collections.abc import Callable
from dataclasses import replace

from .fact import Fact
from .triples import Unclear, known, prompt_fact, subject_key, template_from, word_fact

OBJECT_FIELDS = ("object", "target", "answer")

# The fact, how it was read in plain words, and its object as it was given.
Read = tuple[Fact, str, str]


def read_record(record: dict, max_text: int) -> Read:
    """Read a record (values by lower-case field name) by the first of RECORDS whose field it has.

    Raises Unclear, naming the field at fault; `max_text` is in characters a field.
    """
    return next(read for field, read in RECORDS if field is None or field in record)(record, max_text)


def read_fields(record: dict, max_text: int) -> Read:
    """subject, prompt or relation, and object, target or answer."""
    subject = text_of(record, ("subject",), max_text)
    answer = text_of(record, OBJECT_FIELDS, max_text)
    if present(record, "prompt"):
        name = text_of(record, ("relation",), max_text) if present(record, "relation") else ""
        fact, how = prompt_fact(subject, text_of(record, ("prompt",), max_text), answer, name)
    else:
        fact, how = word_fact(subject, text_of(record, ("relation", "prompt"), max_text), answer)
    return fact, f"fields, {how}", answer


def read_counterfact(record: dict, max_text: int) -> Read:
    """CounterFact (ROME, Meng et al. 2022): the fact to wash is target_true; paraphrases are only probed."""
    rewrite = record["requested_rewrite"]
    if not isinstance(rewrite, dict):
        raise Unclear("requested_rewrite", "the field 'requested_rewrite' is not one object with a prompt")
    true = rewrite.get("target_true")
    true = {"target_true.str": true.get("str") if isinstance(true, dict) else None}
    subject = text_of(rewrite, ("subject",), max_text)
    prompt = text_of(rewrite, ("prompt",), max_text)
    answer = text_of(true, ("target_true.str",), max_text)
    name = text_of(rewrite, ("relation_id",), max_text) if present(rewrite, "relation_id") else ""
    fact, how = prompt_fact(subject, prompt, answer, name)
    given = record.get("paraphrase_prompts")
    given = [p for p in given if isinstance(p, str)] if isinstance(given, list) else []
    # Full texts: usable as templates where the subject stands exactly once.
    texts = [" ".join(p.split()) for p in given if "{}" not in p and len(p) <= max_text]
    templates = dict.fromkeys(template_from(t, subject) for t in texts)
    templates = tuple(t for t in templates if t and t not in fact.prompts)
    if templates and (subject_key(fact.subject), fact.relation) not in known().facts:
        fact = replace(fact, paraphrases=templates)
        how += f", {len(templates)} of {len(given)} paraphrases"
    return fact, f"CounterFact, {how}", answer


# Tried in this order: the field that tells the kind (None takes every record), and its reader.
RECORDS: tuple[tuple[str | None, Callable[[dict, int], Read]], ...] = (
    ("requested_rewrite", read_counterfact),
    (None, read_fields),
)


def present(record: dict, name: str) -> bool:
    """Is the field there, and not empty?"""
    value = record.get(name)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def text_of(record: dict, names: tuple[str, ...], max_text: int) -> str:
    """The first of these fields that is there, as one line of text. Raises Unclear naming the field."""
    name = next((n for n in names if present(record, n)), None)
    if name is None:
        others = f" (or {', '.join(map(repr, names[1:]))})" if names[1:] else ""
        raise Unclear(names[0], f"the field {names[0]!r}{others} is missing or empty")
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unclear(name, f"the field {name!r} is not text")
    value = " ".join(str(value).split())
    if len(value) > max_text:
        raise Unclear(name, f"the field {name!r} has {len(value):,} characters: at most {max_text:,}")
    if "{}" in value and name not in ("prompt", "relation"):
        raise Unclear(name, f"the field {name!r} has {{}} in it, which in a prompt stands for the subject")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise Unclear(name, f"the field {name!r} has half a character in it (a lone surrogate)")
    return value
