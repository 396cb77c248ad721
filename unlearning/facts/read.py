"""Reading the facts people bring: plain lines, CSV, TSV, JSON and JSON Lines.

Every row that is not blank (nor a comment in plain lines) becomes facts, mostly one, or a problem, or both.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .fact import Fact
from .formats import Columns, Row, format_of, renamed
from .records import Read, read_record
from .records import read_fields as read_triple
from .sentences import Guess, split_sentence
from .triples import Unclear

MAX_ROWS = 10_000  # of what is pasted; None where it is a limit: none
MAX_LINE = 2_000  # characters of one plain line, or of one field of a record
MAX_BYTES = 20_000_000
MAX_RAW = 120  # characters of a faulty row that are kept to show it
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # no text file has these


class UnreadableFile(ValueError):
    """A file that cannot be read as a whole; the message says why and what to do."""


@dataclass(frozen=True)
class ReadFact:
    """A fact, the line (in JSON, but for JSON Lines: element) it is from, from 1, and in plain words how."""

    row: int
    raw: str
    fact: Fact
    how: str


@dataclass(frozen=True)
class Problem:
    """A row that gave no fact and why; `field` is "" when the whole row is at fault."""

    row: int
    field: str
    message: str
    raw: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"


@dataclass(frozen=True)
class Reading:
    """What a text held. `format` is "lines", "csv", "tsv", "json", "jsonl", "objects", or "wrapped".

    Wrapped is a list in a field of one JSON object.
    """

    facts: tuple[ReadFact, ...]
    problems: tuple[Problem, ...]
    format: str


def read_file(path: Path, models_guess: Guess | None = None, **limits: int | None) -> Reading:
    """Read a UTF-8 file, with or without BOM; `models_guess` and `limits` as in `read_text`.

    Raises UnreadableFile for a file that is too large, cannot be opened or is not text in UTF-8.
    """
    text = text_of_file(Path(path), limits.get("max_bytes", MAX_BYTES))
    return read_text(text, models_guess, **limits)


def text_of_file(path: Path, max_bytes: int | None = MAX_BYTES) -> str:
    """The text of a UTF-8 file, its BOM with it. Raises UnreadableFile."""
    try:
        with open(path, "rb") as f:
            data = f.read() if max_bytes is None else f.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be opened: {error.strerror}") from error
    if max_bytes is not None and len(data) > max_bytes:
        raise UnreadableFile(f"{path.name} is larger than {max_bytes:,} bytes: split it into smaller files")
    at = first_bad_byte(data)
    if at is not None:
        raise UnreadableFile(
            f"{path.name} is not text (byte 0x{data[at]:02x} at position {at}): "
            "save it as CSV or plain text in UTF-8"
        )
    return data.decode("utf-8")


def first_bad_byte(data: bytes) -> int | None:
    """The 0-based position of the first byte that no UTF-8 text has there, or None."""
    control = CONTROL.search(data)
    places = [control.start()] if control else []
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        places.append(error.start)
    return min(places, default=None)


def read_text(
    text: str,
    models_guess: Guess | None = None,
    *,
    max_rows: int | None = MAX_ROWS,
    max_line: int = MAX_LINE,
    max_bytes: int | None = MAX_BYTES,
    columns: Columns | None = None,
) -> Reading:
    """Read facts in whichever of FORMATS the text is.

    `models_guess(sentence)` gives (subject, prompt with "{}", object) or None; it is asked for sentences
    that nothing else splits. `columns`: which of a record's own fields stands for which of ours.
    Raises UnreadableFile for a text of more than `max_bytes` bytes in UTF-8. The first row after `max_rows`
    is a problem that stands for all the rest; a line or a field of more than `max_line` characters is a
    problem too.
    """
    too_long = len(text) > max_bytes if max_bytes is not None else False
    if too_long or (max_bytes is not None and len(text.encode("utf-8", "surrogatepass")) > max_bytes):
        raise UnreadableFile(f"the text is larger than {max_bytes:,} bytes: split it into smaller texts")
    text = text.removeprefix("\ufeff")
    form = format_of(text, columns)
    return read_rows(renamed(form.rows(text), columns), form.name, models_guess, max_rows, max_line)


def read_rows(
    rows: Iterable[Row],
    name: str,
    models_guess: Guess | None = None,
    max_rows: int | None = MAX_ROWS,
    max_line: int = MAX_LINE,
) -> Reading:
    """Read the rows of a file, or of a data set, of the format `name`; the limits as in `read_text`."""
    facts: dict[tuple[str, str], tuple[ReadFact, str]] = {}  # by key, each with its object as it was given
    problems: list[Problem] = []
    for count, row in enumerate(rows, 1):
        more = max_rows is not None and count > max_rows
        try:
            if more:
                raise Unclear("", f"not read, nor any row after it: at most {max_rows:,} rows at a time")
            found = understand(row, models_guess, max_line)
        except Unclear as fault:
            found = [fault]
        for part in found:
            try:
                if isinstance(part, Unclear):
                    raise part
                fact, how, given = part
                mine = ReadFact(row.number, row.raw, fact, how)
                first, first_given = facts.setdefault(fact.key, (mine, given))
                if first is not mine:
                    both = together(first.fact, fact)
                    facts[fact.key] = replace(first, fact=both), first_given
                    raise repeated(first, first_given, row.number, fact, given, probes(both))
            except Unclear as fault:
                problems.append(Problem(row.number, fault.field, fault.message, shorten(row.raw)))
        if more:
            break
    return Reading(tuple(f for f, _ in facts.values()), tuple(problems), name)


def understand(row: Row, models_guess: Guess | None, max_line: int) -> list[Read | Unclear]:
    """The facts in a row, each with how it was read and its object as given. Raises Unclear."""
    line = row.value
    if isinstance(line, Unclear):
        raise line
    if isinstance(line, dict):
        found = read_record(line, max_line)
        return [f if isinstance(f, Unclear) else (f[0], f[1] + row.note, f[2]) for f in found]
    if len(line) > max_line:
        raise Unclear("", f"a line of {len(line):,} characters: at most {max_line:,}")
    mark = mark_in(line)
    if mark is None:
        fact, how = split_sentence(line, models_guess)
        return [(fact, how, fact.object)]
    names, parts = ("subject", "relation", "object"), [part.strip() for part in line.split(mark)]
    if len(parts) != 3:
        raise Unclear("", f"{len(parts)} fields where three are expected: subject | relation | object")
    if tuple(map(str.lower, parts)) == names:
        raise Unclear("", "the names of the fields, not a fact")
    for name, part in zip(names, parts, strict=True):
        if not part:
            raise Unclear(name, f"the field {name!r} is missing or empty")
    fact, how, given = read_triple(dict(zip(names, parts, strict=True)), max_line)
    return [(fact, how.replace("fields", "triple", 1), given)]


def mark_in(line: str) -> str | None:
    """What stands between the fields of a plain line; None in a sentence."""
    return "|" if "|" in line else "\t" if "\t" in line.strip() else None


def together(first: Fact, other: Fact) -> Fact:
    """The first fact with the probes that the same fact brings elsewhere; alone beside another answer."""
    if not same(first, other):
        return first
    said = [t for t in other.paraphrases if t not in first.prompts]
    return replace(
        first,
        paraphrases=tuple(dict.fromkeys((*first.paraphrases, *said))),
        neighbours=tuple(dict.fromkeys(first.neighbours + other.neighbours)),
        portability=tuple(dict.fromkeys(first.portability + other.portability)),
    )


def same(first: Fact, other: Fact) -> bool:
    """Do two facts with one key accept the same answers, in any case?"""
    return {o.lower() for o in first.objects} == {o.lower() for o in other.objects}


def probes(fact: Fact) -> int:
    return len(fact.paraphrases) + len(fact.neighbours) + len(fact.portability)


def repeated(first: ReadFact, first_given: str, row: int, fact: Fact, given: str, asked: int) -> Unclear:
    """What to say of a row that asks what an earlier row asked: the same fact, or a contradiction.

    `asked`: the probes of both together.
    """
    if same(first.fact, fact):
        more = asked - probes(first.fact)
        brings = f", with {more} more probe{'s' if more > 1 else ''} from this row" if more else ""
        return Unclear("", f"the same fact as row {first.row}: washed once{brings}")
    return Unclear("object", f"row {row} says {given} where row {first.row} says {first_given}: not kept")


def shorten(raw: str) -> str:
    """At most MAX_RAW characters, so that a faulty megabyte does not fill the page."""
    return raw if len(raw) <= MAX_RAW else raw[: MAX_RAW - 3] + "..."


def describe(reading: Reading) -> list[dict]:
    """Rows for a preview, in the order of the file: row, subject, relation, object, how, problem."""
    facts = [(r.row, r.fact.subject, r.fact.relation, r.fact.object, r.how, "") for r in reading.facts]
    problems = [(p.row, "", "", "", "", p.message) for p in reading.problems]
    names = ("row", "subject", "relation", "object", "how", "problem")
    return [dict(zip(names, row, strict=True)) for row in sorted(facts + problems)]
