"""Records with named fields, from any file that has them. A new kind of record is a line in RECORDS."""

from collections.abc import Callable
from dataclasses import dataclass

from .editing import EXTRA, read_counterfact, read_edit, read_mquake, read_request, read_zsre
from .fact import Fact
from .questions import ANSWER, CHOICES, QUESTION, read_chat, read_choices, read_passage, read_question
from .triples import Unclear, prompt_fact, word_fact
from .values import present, text_of, texts_of, told_true

OBJECT_FIELDS = ("object", "target", "answer", "target_true")

# The fact, how it was read in plain words, and its object as it was given.
Read = tuple[Fact, str, str]


@dataclass(frozen=True)
class Kind:
    """A kind of record: its name, how to tell it by its lower-case fields, how it is read.

    `changes`: can one of its rows be rewritten from subject, relation and object alone (`rewrite.py`)?
    """

    name: str
    recognises: Callable[[dict], bool]
    read: Callable[[dict, int], Read | list[Read | Unclear]]
    changes: bool = False


def read_record(record: dict, max_text: int) -> list[Read | Unclear]:
    """Read a record (values by lower-case field name) as the first of RECORDS that recognises it.

    A record may hold several facts, some of them at fault. Raises Unclear, naming the field, where all of it
    is; `max_text` is in characters a field.
    """
    found = kind_of(record).read(record, max_text)
    return found if isinstance(found, list) else [found]


def kind_of(record: dict) -> Kind:
    """The first of RECORDS that recognises the record."""
    return next(kind for kind in RECORDS if kind.recognises(record))


def read_fields(record: dict, max_text: int) -> Read:
    """subject, prompt or relation, and object, target or answer."""
    subject = text_of(record, ("subject",), max_text)
    answer = text_of(record, OBJECT_FIELDS, max_text)
    if present(record, "prompt"):
        name = text_of(record, ("relation",), max_text) if present(record, "relation") else ""
        fact, how = prompt_fact(subject, text_of(record, ("prompt",), max_text), answer, name)
    elif present(record, "question") and not present(record, "relation"):
        question = text_of(record, ("question",), max_text)
        fact, how = prompt_fact(subject, f"Q: {question} A:", answer, field="question")
    else:
        fact, how = word_fact(subject, text_of(record, ("relation", "prompt"), max_text), answer)
    return fact, f"fields, {how}", answer


def has(*names: str) -> Callable[[dict], bool]:
    """Does a record have one of these fields?"""
    return lambda record: any(name in record for name in names)


def is_question(record: dict) -> bool:
    return "subject" not in record and has(*QUESTION)(record) and has(*ANSWER)(record)


def is_request(record: dict) -> bool:
    """Of MEMIT: what is to be said, as an object; or of CounterFact, with what is true beside it."""
    told = present(record, "target_true") and "subject" in record and "prompt" in record
    asked = isinstance(record.get("target_new"), dict) or ("target_new" in record and told)
    return asked and not told_true(record)


def is_edit(record: dict) -> bool:
    """Of EasyEdit and KnowEdit: a prompt, and what is to be said, as text."""
    told = has("target_new", "labels", "ground_truth")(record)
    true = told_true(record) or ("target_new" in record and present(record, "target_true"))
    answered = has(*EXTRA)(record) and not true
    return told and has("prompt", "text")(record) and not answered


# Tried in this order; the last takes every record.
RECORDS: tuple[Kind, ...] = (
    Kind("MQuAKE", lambda r: isinstance(r.get("requested_rewrite"), list), read_mquake),
    Kind("CounterFact", has("requested_rewrite"), read_counterfact, changes=True),
    Kind("zsRE", has("src"), read_zsre),
    Kind("multiple choice", has(*CHOICES), read_choices),
    Kind("MEMIT request", is_request, read_request),
    Kind("EasyEdit or KnowEdit", is_edit, read_edit),
    Kind("MUSE verbmem", lambda r: "gt" in r and "prompt" in r, read_passage),
    Kind("chat", has("messages"), read_chat),
    Kind("question and answer", is_question, read_question),
    Kind("fields", lambda r: True, read_fields, changes=True),
)


def names_facts(names: set[str]) -> bool:
    """Are these lower-case names those of a table of facts, of any kind?"""
    if "subject" in names and {"prompt", "relation", "question", *OBJECT_FIELDS} & names:
        return True
    asks, says = {*QUESTION} & names, {*ANSWER, *CHOICES, "target_new", "ground_truth", "gt"} & names
    return (
        bool(asks and says)
        or bool({"src", "requested_rewrite", "messages"} & names)
        or {
            "text",
            "labels",
        }
        <= names
    )


__all__ = ["ANSWER", "OBJECT_FIELDS", "QUESTION", "Read", "kind_of", "names_facts", "read_record", "texts_of"]
