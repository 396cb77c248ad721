"""Tasks that people bring: questions with answers, as CSV, TSV, JSON, JSON Lines, or lines with | between."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from ..facts.formats import Row, formats
from ..facts.read import MAX_BYTES, MAX_LINE, UnreadableFile, text_of_file
from ..facts.triples import Unclear
from .task import Sample, Task

QUESTION, ANSWER = ("question", "prompt", "instruction"), ("answer", "output", "completion")
MAX_ROWS = 20_000
MIN_ROWS = 20
SHARE = 0.2  # of the rows are asked, the others trained on
TOLD = 5  # row numbers in a message


class BadTask(ValueError):
    """A file that makes no task; the message names the rows and fields at fault."""


def read_task_file(path: Path, seed: int = 0) -> Task:
    """The task in a UTF-8 file, split by seed. Raises `BadTask`."""
    try:
        return read_task(text_of_file(Path(path)), Path(path).stem, seed)
    except UnreadableFile as error:
        raise BadTask(str(error)) from error


def read_task(
    text: str,
    name: str,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
    longest: int | None = None,
) -> Task:
    """The task in a text: a fifth of its rows, drawn by seed, are asked, and never trained on.

    A question may stand there once only, so that none is both trained on and asked. An answer counts as
    right when it is in the model's. `longest`: bytes that a question and its answer may have together, where
    a model cannot look at more. Raises `BadTask` with the rows at fault, all kinds of fault at once.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise BadTask(f"the text is larger than {max_bytes:,} bytes")
    samples: dict[str, tuple[int, Sample]] = {}
    faults: dict[str, list[str]] = {}
    count = 0
    for count, row in enumerate(_rows(text), 1):
        if count > max_rows:
            raise BadTask(f"more than {max_rows:,} rows")
        try:
            question, answer = _pair(row)
        except Unclear as fault:
            faults.setdefault(fault.message, []).append(str(row.number))
            continue
        key = question.lower()
        size = len(f"{question} {answer}".encode("utf-8", "surrogatepass"))
        if longest is not None and size > longest:
            message = f"question and answer have more than {longest} bytes together, too long for this model"
            faults.setdefault(message, []).append(str(row.number))
        elif key in samples:
            faults.setdefault(
                "the same question twice, and one would be trained on and the other asked", []
            ).append(f"{samples[key][0]} and {row.number}")
        else:
            samples[key] = row.number, Sample(question, (answer,))
    if faults:
        raise BadTask("; ".join(f"{_some(rows)}: {what}" for what, rows in faults.items()))
    if len(samples) < MIN_ROWS:
        raise BadTask(f"{len(samples)} rows are too few for a task: at least {MIN_ROWS}")
    found = [s for _, s in samples.values()]
    random.Random(f"split {seed}").shuffle(found)
    n = max(1, round(SHARE * len(found)))
    return Task(
        name,
        name,
        f"Brought by you: {len(found):,} questions with answers, {n:,} of which are asked.",
        tuple(found[n:]),
        tuple(found[:n]),
        metric="contains",
        end="",
    )


def digest(task: Task) -> str:
    """A hash of all questions and answers, the split included: says whether two tasks are the same."""
    return hashlib.sha256(repr((task.train, task.test)).encode()).hexdigest()[:16]


def _rows(text: str) -> Iterator[Row]:
    text = text.removeprefix("\ufeff")
    every = formats(lambda names: bool(names & {*QUESTION}) and bool(names & {*ANSWER}))
    return iter(next(f for f in every if f.recognises(text)).rows(text))


def _pair(row: Row) -> tuple[str, str]:
    """Question and answer of a row. Raises `Unclear`."""
    value = row.value
    if isinstance(value, Unclear):
        raise value
    if isinstance(value, str):
        mark = "|" if "|" in value else "\t"
        parts = [p.strip() for p in value.split(mark)]
        if len(parts) != 2:
            raise Unclear("", "not a question and an answer with | between them")
        value = {"question": parts[0], "answer": parts[1]}
    if "messages" in value:
        value = _of_messages(value["messages"])
    question, answer = _field(value, QUESTION), _field(value, ANSWER)
    if str(value.get("input") or "").strip():
        question += "\n" + str(value["input"]).strip()
    for name, said in (("question", question), ("answer", answer)):
        if len(said) > MAX_LINE:
            raise Unclear(name, f"the field '{name}' has more than {MAX_LINE:,} characters")
    return question, answer


def _of_messages(messages) -> dict:
    """The last two turns of a chat: what the user asks and the assistant answers."""
    turns = [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    said = {m.get("role"): m.get("content") for m in turns[-2:]}
    return {"question": said.get("user"), "answer": said.get("assistant")}


def _field(record: dict, names: tuple[str, ...]) -> str:
    value = next((record[n] for n in names if record.get(n) is not None), None)
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
        raise Unclear(names[0], f"the field {names[0]!r} is missing or empty")
    return str(value).strip()


def _some(rows: list[str]) -> str:
    more = f" and {len(rows) - TOLD} more" if len(rows) > TOLD else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(rows[:TOLD])}{more}"
