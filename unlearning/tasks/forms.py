"""The forms of a task's records: how each is told by its fields, asked, answered and judged.

gsm8k, qasc, sst5 and MedMCQA's dental and psychol are the tasks of LWF (arXiv 2505.19715). How that paper
words their prompts is not known here: the prompts below are ours, in the manner of lm-evaluation-harness.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..facts.formats import Row
from ..facts.questions import ANSWER, MAX_PASSAGE, QUESTION, answered_turns
from ..facts.read import MAX_LINE, mark_in, understand
from ..facts.records import OBJECT_FIELDS, kind_of
from ..facts.triples import Unclear
from ..facts.values import flat, present
from .task import MARKED, Sample

LETTERS = "ABCDEFGHIJ"  # of choices
NEITHER = "not a question and an answer with | between them, nor a sentence that could be split into a fact"
REASONED = 256  # greedy tokens for a reasoned answer, as lm-evaluation-harness gives gsm8k


@dataclass(frozen=True)
class Form:
    """A kind of record of a task.

    recognises  does a record, by lower-case field names, have its fields?
    sample      the record's prompt and answers, of at most so many characters each. Raises Unclear.
    metric, end, max_new: as of a `Task`
    """

    name: str
    recognises: Callable[[dict], bool]
    sample: Callable[[dict], Sample]
    metric: str = "contains"
    end: str = ""
    max_new: int | None = None


def form_of(record: dict) -> Form:
    """The first of FORMS that recognises the record."""
    return next(f for f in FORMS if f.recognises(record))


Understood = tuple[Form, Sample, str]  # and how it was read, in plain words


def understood(row: Row) -> list[Understood | Unclear]:
    """The questions in a row, mostly one; with those of its facts that are at fault. Raises Unclear."""
    value = row.value
    if isinstance(value, Unclear):
        raise value
    if isinstance(value, str):
        mark = "|" if "|" in value else "\t"
        parts = [p.strip() for p in value.split(mark)]
        if len(parts) != 2:
            return of_facts(row)
        value = {"question": parts[0], "answer": parts[1]}
    form = form_of(value)
    if form is FACT:
        return of_facts(row)
    if form is CHAT:
        return [f if isinstance(f, Unclear) else (*f[:2], f[2] + row.note) for f in of_chat(value)]
    sample = form.sample(value)
    most = MAX_PASSAGE if form.sample is passage else MAX_LINE
    for name, said in (("question", sample.prompt), *(("answer", a) for a in sample.answers)):
        if len(said) > most:
            raise Unclear(name, f"the field '{name}' has more than {most:,} characters")
    return [(form, sample, f"{form.name}{f', {sample.kind}' if sample.kind else ''}{row.note}")]


def of_chat(record: dict) -> list[Understood | Unclear]:
    """Every question of a chat with its answer. Raises Unclear."""
    found = []
    for turn in answered_turns(record["messages"]):
        if isinstance(turn, Unclear):
            found.append(turn)
        elif max(len(turn.question), len(turn.answer)) > MAX_LINE:
            where = f"turn {turn.number} of the field 'messages', or the one before it,"
            found.append(Unclear("messages", f"{where} has more than {MAX_LINE:,} characters"))
        else:
            found.append((CHAT, Sample(turn.question, (turn.answer,)), turn.how))
    return found


def of_facts(row: Row) -> list[Understood | Unclear]:
    """A row that states facts, as washing reads it, holds the questions that they ask. Raises Unclear."""
    try:
        found = understand(row, None, MAX_LINE)
    except Unclear as fault:
        if isinstance(row.value, str) and mark_in(row.value) is None:
            raise Unclear("", NEITHER) from fault
        raise
    return [
        part
        if isinstance(part, Unclear)
        else (FACT, Sample(part[0].prompt(), part[0].objects), f"fact: {part[1]}")
        for part in found
    ]


def field(record: dict, *names: str) -> str:
    """The first of these fields that is there, as text with its line breaks. Raises Unclear."""
    name = there(record, *names)
    value = record[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise Unclear(name, f"the field {name!r} is not text")
    return str(value).strip()


def there(record: dict, *names: str) -> str:
    """The first of these fields that is there, and not empty. Raises Unclear."""
    name = next((n for n in names if present(record, n)), None)
    if name is None:
        raise Unclear(names[0], f"the field {names[0]!r} is missing or empty")
    return name


def texts(record: dict, *names: str) -> tuple[str, ...]:
    """As `field`, where it may also be a list of texts, or an object with the text as "str"."""
    name = there(record, *names)
    value = record[name]
    value = value.get("str") if isinstance(value, dict) else value
    found = tuple(dict.fromkeys(t for v in flat(value) if (t := str(v).strip())))
    if not found:
        raise Unclear(name, f"the field {name!r} is not text, nor a list of texts")
    return found


def answered(record: dict) -> Sample:
    """question (or prompt, or instruction with input) and answer (or output, or completion)."""
    question = field(record, *QUESTION)
    if present(record, "input"):
        question += "\n" + field(record, "input")
    return Sample(question, texts(record, *ANSWER))


def is_worked(record: dict) -> bool:
    answer = record.get("answer")
    return "question" in record and isinstance(answer, str) and "####" in answer


def worked(record: dict) -> Sample:
    """gsm8k: a worked solution, its last line "#### 42"; taught whole, judged by its last number."""
    solution = field(record, "answer")
    if not MARKED.search(solution):
        raise Unclear("answer", "the field 'answer' has no number after ####")
    return Sample(f"Question: {field(record, 'question')}\nAnswer:", (solution,))


def choices(record: dict) -> Sample:
    """A question with lettered choices: QASC, ARC ({text, label} and answerKey), WMDP, MMLU (a list)."""
    given = record.get("choices", record.get("options"))
    if isinstance(given, dict):
        texts, labels = given.get("text"), given.get("label")
        if not (isinstance(texts, list) and isinstance(labels, list) and len(texts) == len(labels)):
            raise Unclear("choices", "the field 'choices' needs lists 'text' and 'label' of the same length")
        key = field(record, "answerkey", "answer")
        if key not in labels:
            raise Unclear(
                "answerkey", f"the field 'answerKey' is {key!r:.20}, which is no label of the choices"
            )
        return lettered(field(record, "question"), texts, labels.index(key), "choices")
    if not isinstance(given, list):
        raise Unclear("choices", "the field 'choices' is not a list")
    key = field(record, "answer", "answerkey")
    at = LETTERS.find(key) if len(key) == 1 and key.isalpha() else numbered("answer", key, len(given))
    return lettered(field(record, "question"), given, at, "choices")


def medical(record: dict) -> Sample:
    """MedMCQA: opa to opd; cop counts from 0, as in openlifescienceai/medmcqa; kind: the subject.

    A file whose cop counts from 1 is first brought `from_zero`.
    """
    options = [field(record, name) for name in ("opa", "opb", "opc", "opd")]
    key = field(record, "cop")
    if key == "-1":
        raise Unclear("cop", "the field 'cop' is -1: a row of the test split, whose answer is not told")
    sample = lettered(field(record, "question"), options, numbered("cop", key, 4), "cop")
    about = record.get("subject_name")
    return Sample(sample.prompt, sample.answers, about.strip() if isinstance(about, str) else "")


def from_zero(rows: list[Row]) -> list[Row]:
    """MedMCQA's rows with `cop` from 0. Where it is 4 somewhere and 0 nowhere, it counts from 1 in all."""
    cops = {row.number: cop_of(row) for row in rows}
    if 0 in cops.values() or 4 not in cops.values():
        return rows
    note = ", its cop counts from 1"
    return [
        replace(row, value=row.value | {"cop": cop - 1}, note=row.note + note)
        if (cop := cops[row.number]) in (1, 2, 3, 4)
        else row
        for row in rows
    ]


def cop_of(row: Row) -> int | None:
    """The number in a row's field `cop`; None where there is none, or the row is not MedMCQA's."""
    record = row.value if isinstance(row.value, dict) and "opa" in row.value else {}
    found = re.fullmatch(r"\s*(\d)(\.0)?\s*", str(record.get("cop")))
    return int(found[1]) if found else None


def numbered(name: str, key: str, n: int) -> int:
    """A choice's number, from 0. Raises Unclear."""
    if not re.fullmatch(r"\d{1,2}(\.0)?", key) or int(float(key)) >= n:
        raise Unclear(name, f"the field {name!r} is {key!r:.20}, not a choice's number from 0 to {n - 1}")
    return int(float(key))


def lettered(question: str, texts: list, right: int, name: str) -> Sample:
    """A multiple-choice question, answered by its letter."""
    if not 2 <= len(texts) <= len(LETTERS) or not 0 <= right < len(texts):
        raise Unclear(name, f"the field {name!r} needs 2 to {len(LETTERS)} choices, one of them the answer")
    told = [str(t).strip() for t in texts if isinstance(t, str | int | float)]
    if len(told) != len(texts) or not all(told):
        raise Unclear(name, f"the field {name!r} has a choice that is no text, or empty")
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, told, strict=False)]
    return Sample("\n".join([f"Question: {question}", *lines, "Answer:"]), (LETTERS[right],))


def sentiment(record: dict) -> Sample:
    """sst5: a text, and its sentiment in words."""
    return Sample(f"Review: {field(record, 'text')}\nSentiment:", (field(record, "label_text").lower(),))


def passage(record: dict) -> Sample:
    """MUSE verbmem: a passage and how it goes on."""
    return Sample(field(record, "prompt"), (field(record, "gt"),))


def asks_itself(record: dict) -> bool:
    """Of what washing knows by name (CounterFact, zsRE, …): a record that is no question of its own."""
    return kind_of(record).name not in (
        "question and answer",
        "fields",
        "multiple choice",
        "chat",
        "MUSE verbmem",
    )


def is_fact(record: dict) -> bool:
    """A record that washing reads as a fact and that is no question as it stands."""
    if "subject" not in record or asks_itself(record):
        return asks_itself(record)
    told = any(name in record for name in OBJECT_FIELDS) and not any(name in record for name in ANSWER)
    return told or "relation" in record or "{}" in str(record.get("prompt"))


CHAT = Form("chat", lambda r: "messages" in r, answered)
FACT = Form("fact", is_fact, answered)
# Tried in this order; the last takes every record.
FORMS = (
    CHAT,
    Form("multiple choice (MedMCQA)", lambda r: "opa" in r, medical, "letter"),
    Form("multiple choice", lambda r: "choices" in r or "options" in r, choices, "letter"),
    Form("worked solution (gsm8k)", is_worked, worked, "number", max_new=REASONED),
    Form("sentiment (sst5)", lambda r: "text" in r and "label_text" in r, sentiment, "label", "."),
    Form("passage (MUSE verbmem)", lambda r: "prompt" in r and "gt" in r, passage),
    FACT,
    Form("question and answer", lambda r: True, answered),
)


def names_task(names: set[str]) -> bool:
    """Are these lower-case names those of a table of questions, of any form?"""
    if {"opa", "cop"} <= names or {"text", "label_text"} <= names or {"prompt", "gt"} <= names:
        return True
    return bool(names & {*QUESTION}) and bool(names & {*ANSWER, "answerkey"}) or "messages" in names
