"""Tasks that people bring: rows of any of FORMS, as CSV, TSV, JSON, JSON Lines, or lines with | between."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..facts.formats import Columns, Row, formats, renamed
from ..facts.read import MAX_BYTES, Problem, UnreadableFile, shorten, text_of_file
from ..facts.records import names_facts
from ..facts.triples import Unclear
from .forms import Form, Understood, from_zero, names_task, understood
from .task import Sample, Task

MAX_ROWS = 20_000
MIN_ROWS = 20
SHARE = 0.2  # of the rows are asked, the others trained on
TOLD = 5  # row numbers in a message
TWICE = "the same question as in row {row}: one would be trained on and the other asked"


class BadTask(ValueError):
    """A file that makes no task; the message names the rows and fields at fault."""


@dataclass(frozen=True)
class ReadSample:
    """A question with its answers, the row it came from, from 1, and in plain words how it was read."""

    row: int
    sample: Sample
    how: str


@dataclass(frozen=True)
class TaskReading:
    """What a text or a data set held: the form that its rows have (None: no row was read)."""

    form: Form | None
    samples: tuple[ReadSample, ...]
    problems: tuple[Problem, ...]

    def told(self) -> tuple[str, ...]:
        """The problems, those that say the same together: "rows 3, 4: …"."""
        rows: dict[str, list[int]] = {}
        for p in self.problems:
            rows.setdefault(p.message, []).append(p.row)
        return tuple(f"{_some(n)}: {what}" for what, n in rows.items())

    def about(self) -> str:
        """In a sentence or two: how the rows were read, and which were left out."""
        ways = Counter(s.how for s in self.samples).most_common(TOLD)
        said = f"Read as {'; '.join(f'{how} ({n:,})' for how, n in ways)}."
        return said + (f" Left out: {'; '.join(self.told()[:TOLD])}." if self.problems else "")


def read_task_file(path: Path, seed: int = 0, columns: Columns | None = None) -> Task:
    """The task in a UTF-8 file of any size, split by seed. Raises `BadTask`."""
    return made(reading_of_file(path, columns), Path(path).stem, seed)


def reading_of_file(path: Path, columns: Columns | None = None) -> TaskReading:
    """How the rows of a UTF-8 file are read. Raises `BadTask`."""
    try:
        return reading(text_of_file(Path(path), None), columns=columns, max_bytes=None, max_rows=None)
    except UnreadableFile as error:
        raise BadTask(str(error)) from error


def read_task(text: str, name: str, seed: int = 0, **limits) -> Task:
    """The task in a text: a fifth of its rows, drawn by seed, are asked, and never trained on.

    Rows that cannot be read are left out, and named in `Task.left_out`; `limits` as of `reading`.
    Raises `BadTask` where too few are left.
    """
    return made(reading(text, **limits), name, seed)


def reading(
    text: str,
    columns: Columns | None = None,
    max_bytes: int | None = MAX_BYTES,
    max_rows: int | None = MAX_ROWS,
    longest: int | None = None,
) -> TaskReading:
    """How each row of a text is read. Raises `BadTask` for a text of more bytes or rows than allowed."""
    if max_bytes is not None and len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise BadTask(f"the text is larger than {max_bytes:,} bytes")
    text = text.removeprefix("\ufeff")
    needed = {c.split(".")[0] for c in (columns or {}).values()}
    enough = (lambda names: needed <= names) if columns else lambda n: names_task(n) or names_facts(n)
    form = next(f for f in formats(enough) if f.recognises(text))
    return read_rows(renamed(form.rows(text), columns), max_rows, longest)


def read_rows(
    rows: Iterable[Row], max_rows: int | None = MAX_ROWS, longest: int | None = None
) -> TaskReading:
    """How each row is read; all that are used have the form of the first that could be.

    All are held, as only all of them tell how MedMCQA's count (`from_zero`). A question may stand there once
    only, so that none is both trained on and asked. `longest`: bytes that a question and its answer may have
    together, where a model cannot look at more. Raises `BadTask`.
    """
    form, found, problems = None, {}, []
    kept = list(rows if max_rows is None else islice(rows, max_rows + 1))
    for count, row in enumerate(from_zero(kept), 1):
        if max_rows is not None and count > max_rows:
            raise BadTask(f"more than {max_rows:,} rows")
        try:
            parts = understood(row)
        except Unclear as fault:
            parts = [fault]
        for part in parts:
            try:
                if isinstance(part, Unclear):
                    raise part
                form = form or part[0]
                mine = checked(row.number, part, form, longest)
                first = found.setdefault(mine.sample.prompt.lower(), mine)
                if first is not mine:
                    raise Unclear("question", TWICE.format(row=first.row))
            except Unclear as fault:
                problems.append(Problem(row.number, fault.field, fault.message, shorten(row.raw)))
    return TaskReading(form, tuple(found.values()), tuple(problems))


def checked(row: int, part: Understood, form: Form, longest: int | None) -> ReadSample:
    """A question of the form that all have, and not too long. Raises Unclear."""
    mine, sample, how = part
    if mine is not form:
        raise Unclear("", f"read as {mine.name}, where the rows before are {form.name}")
    size = len(f"{sample.prompt} {sample.answer}".encode("utf-8", "surrogatepass"))
    if longest is not None and size > longest:
        what = f"question and answer have more than {longest} bytes together, too long for this model"
        raise Unclear("", what)
    return ReadSample(row, sample, how)


def made(found: TaskReading, name: str, seed: int = 0, test: TaskReading | None = None) -> Task:
    """The task of what was read: a fifth of it is asked, or what `test` holds, and never trained on.

    Raises `BadTask` for too few rows.
    """
    if len(found.samples) < MIN_ROWS:
        why = f"; {'; '.join(found.told()[:TOLD])}" if found.problems else ""
        raise BadTask(f"{len(found.samples)} rows are too few for a task: at least {MIN_ROWS}{why}")
    samples = [s.sample for s in found.samples]
    random.Random(f"split {seed}").shuffle(samples)
    n = max(1, round(SHARE * len(samples)))
    asked, trained = samples[:n], samples[n:]
    if test is not None:
        asked = [s.sample for s in test.samples]
        prompts = {s.prompt.lower() for s in asked}
        trained = [s for s in samples if s.prompt.lower() not in prompts]
        if not asked or not trained or test.form is not found.form:
            raise BadTask("its test split has no rows, or rows of another form than those to train on")
    brought = f"Brought by you: {len(trained) + len(asked):,} questions with answers"
    return Task(
        name,
        name,
        f"{brought}, {len(asked):,} of which are asked. {found.about()}",
        tuple(trained),
        tuple(asked),
        metric=found.form.metric,
        end=found.form.end,
        max_new=found.form.max_new,
        left_out=found.told() + (test.told() if test else ()),
    )


def only(found: TaskReading, kind: str) -> TaskReading:
    """Of what was read the samples of one kind, such as a subject of MedMCQA; no other is a fault."""
    return replace(found, samples=tuple(s for s in found.samples if s.sample.kind == kind))


def digest(task: Task) -> str:
    """A hash of all questions and answers, the split included: says whether two tasks are the same."""
    return hashlib.sha256(repr((task.train, task.test)).encode()).hexdigest()[:16]


def _some(rows: list[int]) -> str:
    more = f" and {len(rows) - TOLD} more" if len(rows) > TOLD else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:TOLD]))}{more}"
