"""The kinds of file: how to tell each and how to cut it into rows. A new one is a line in FORMATS."""

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .mended import parts
from .records import names_facts
from .triples import Unclear

MAX_HEADER = 2_000  # characters
MAX_LINES = 100  # of a table that one row may have
MAX_CELL = 20_000  # characters of a cell that is taken for a list or an object
OBJECT = re.compile(r'\s*\{[ \t]*"')  # the beginning of one, with a field on the same line
ANOTHER = re.compile(r"[ \t]*,?[ \t]*\{")
ARRAY = re.compile(r'\s*\[[^{|]*\{\s*"')  # the beginning of one, with something in it that is no element
PART = re.compile(r'\s*(?:[\[\]{}]+,?\s*$|"[^"]*"\s*:)')  # a line of an object over several
QUOTED = re.compile(r'\s*"[^"]*",?\s*')
# Fields that hold lists or objects, in a table as JSON or as Python writes them.
NESTED = {*"requested_rewrite paraphrase_prompts neighborhood_prompts target_new target_true answers".split()}
NESTED |= {
    *"ground_truth portability locality choices options messages perturbed_answer answer_alias".split()
}
NESTED |= {*"questions labels".split()}
# An object with one of these is a record itself, and no list in it holds others.
OF_RECORDS = {"messages", "locality", "portability", "subject", "prompt", "question", "instruction", "src"}
OF_RECORDS |= {"text", "target_new", "ground_truth", "target_true", "requested_rewrite"}


@dataclass(frozen=True)
class Row:
    """A row not yet understood: a plain line, a record by lower-case field names, or what is wrong.

    `note`: what of a record is not in its value, to be said after how it was read.
    """

    number: int
    raw: str
    value: str | dict | Unclear
    note: str = ""


@dataclass(frozen=True)
class Format:
    """A kind of file: its name, how to tell it from its text, its rows, and what stands between its cells."""

    name: str
    recognises: Callable[[str], bool]
    rows: Callable[[str], Iterable[Row]]
    mark: str = ""


Columns = Mapping[str, str]  # our field -> the record's own; a dot goes into an object: "answers.text"


def format_of(text: str, columns: "Columns | None" = None) -> Format:
    """The first of FORMATS that recognises the text; it must have no byte order mark.

    With `columns`, a table is one whose header has all those that are named.
    """
    found = (
        formats(lambda names: {c.split(".")[0] for c in columns.values()} <= names) if columns else FORMATS
    )
    return next(f for f in found if f.recognises(text))


def renamed(rows: Iterable[Row], columns: "Columns | None") -> Iterable[Row]:
    """The rows with the records' own fields under our names; a field that is not there stays missing."""
    if not columns:
        return rows
    return (Row(r.number, r.raw, _mapped(r.value, columns), r.note) for r in rows)


def _mapped(value, columns: Columns):
    if not isinstance(value, dict):
        return value if isinstance(value, Unclear) else Unclear("", "not a record with named columns")
    return {ours: found for ours, path in columns.items() if (found := _within(value, path)) is not None}


def _within(record: dict, path: str):
    """The value of a field, or of one within it."""
    if path in record:
        return record[path]
    head, _, rest = path.partition(".")
    inner = record.get(head)
    if not rest or not isinstance(inner, dict):
        return None
    return _within({k.lower(): v for k, v in inner.items() if isinstance(k, str)}, rest)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank, split where editors split them."""
    for i, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            yield i, line.removesuffix("\n")


def plain_rows(text: str) -> Iterator[Row]:
    """Every line that is neither blank nor a comment."""
    return (Row(i, line, line) for i, line in lines(text) if not is_comment(line))


def is_comment(line: str) -> bool:
    """Is the first word of a plain line "#", or several? "#1" and "#MeToo" are names."""
    return not line.split(maxsplit=1)[0].strip("#")


def cells(line: str, mark: str) -> list[str]:
    """One line of a table, or several where a cell in quotes goes on over their ends. Raises Unclear."""
    try:
        found = list(
            csv.reader(io.StringIO(line, newline=""), delimiter=mark, strict=True, skipinitialspace=True)
        )
    except csv.Error as error:
        raise Unclear("", f"the quotes on this line do not fit together ({error})") from error
    if len(found) != 1:
        raise Unclear("", "the quotes on this line do not fit together")
    return found[0]


Enough = Callable[[set[str]], bool]  # are these lower-case names those of a table's header?


def header(text: str, mark: str, enough: Enough = names_facts) -> list[str] | None:
    """The field names in the first line, or None if they are not enough."""
    _, first = next(lines(text), (0, ""))
    try:
        names = [c.strip().lower() for c in cells(first, mark)] if 0 < len(first) <= MAX_HEADER else []
    except Unclear:
        return None
    return names if enough(set(names)) else None


def table_rows(text: str, mark: str, enough: Enough = names_facts) -> Iterator[Row]:
    """Every line after the header, as a record; of several lines where a cell in quotes has line ends."""
    names = header(text, mark, enough)
    table = list(enumerate(io.StringIO(text, newline=None), 1))
    at = next(i for i, line in table if line.strip())
    while at < len(table):
        i, line = table[at]
        at += 1
        if not line.strip():
            continue
        try:
            whole, n = closed([line for _, line in table[at - 1 : at - 1 + MAX_LINES]], mark, len(names))
            values = cells(whole, mark)
        except Unclear as fault:
            yield Row(i, line.removesuffix("\n"), fault)
            continue
        at += n - 1
        if len(values) > len(names):
            count = f"{len(values)} fields where the header has {len(names)}"
            yield Row(i, whole, Unclear("", f"{count}: quote a field that has {mark!r} in it"))
        else:
            pairs = ((n, nested(v) if n in NESTED else v) for n, v in zip(names, values, strict=False))
            yield record_row(i, whole, pairs)


def closed(following: list[str], mark: str, n: int) -> tuple[str, int]:
    """The first of these lines, with as many after it as its quotes ask for; and how many lines that is.

    Only where all of them then make a row of n cells: an open quote costs no other row.
    """
    first = following[0].removesuffix("\n")
    if first.count('"') % 2 == 0:
        return first, 1
    quotes = 0
    for i, line in enumerate(following, 1):
        quotes += line.count('"')
        if quotes % 2 == 0:
            whole = "".join(following[:i]).removesuffix("\n")
            try:
                return (whole, i) if len(cells(whole, mark)) == n else (first, 1)
            except Unclear:
                break
    return first, 1


def nested(cell: str):
    """The list or object that a table's cell writes out as JSON or Python; any other cell as it is."""
    if cell[:1] not in ("[", "{") or len(cell) > MAX_CELL:
        return cell
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, (list, dict)) else cell
    return cell


def json_rows(text: str) -> Iterator[Row]:
    """Every element of a JSON array, numbered from 1; of one with a fault, as in `mended_rows`."""
    try:
        elements = json.loads(text)
    except (ValueError, RecursionError):
        yield from mended_rows(text, text.index("[") + 1, array=True)
        return
    yield from element_rows(elements)


def element_rows(elements: list) -> Iterator[Row]:
    """Every element of a list, numbered from 1."""
    for i, element in enumerate(elements, 1):
        try:
            raw = json.dumps(element, ensure_ascii=False)
        except RecursionError:  # read at the very limit of nesting
            raw = ""
        yield _object(i, raw, element)


def lists_in(text: str, enough: Enough) -> dict[str, list]:
    """The lists of objects in the fields of the one JSON object that a text is; none where that is a record.

    Of several those whose first object has enough fields, where any has.
    """
    if not text.lstrip().startswith("{"):
        return {}
    try:
        around = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    names = {name.strip().lower() for name in around}
    if names & OF_RECORDS or enough(names):
        return {}
    found = {n: v for n, v in around.items() if isinstance(v, list) and any(isinstance(x, dict) for x in v)}
    records = {n: v for n, v in found.items() if enough(first_names(v))}
    return records or found


def first_names(values: list) -> set[str]:
    """The lower-case names of the fields of the first object in a list."""
    return {name.strip().lower() for name in next(v for v in values if isinstance(v, dict))}


def wrapped_rows(text: str, enough: Enough) -> Iterator[Row]:
    """Every element of the one list of objects in a JSON object; of several lists none is read."""
    found = lists_in(text, enough)
    if len(found) > 1:
        names = " and ".join(map(repr, found))
        message = f"one JSON object with several lists of records, in the fields {names}: keep one of them"
        yield Row(1, text.strip(), Unclear(next(iter(found)), message))
        return
    yield from element_rows(*found.values())


def mended_rows(text: str, at: int = 0, array: bool = False) -> Iterator[Row]:
    """The JSON objects from a place on, numbered from 1; what is none between two of them is a faulty row."""
    for i, part in enumerate(parts(text, at, array), 1):
        yield Row(i, part.raw, Unclear("", part.fault)) if part.fault else _object(i, part.raw, part.value)


def jsonl_rows(text: str) -> Iterator[Row]:
    """Every line as a JSON object; a comma after it, as in an array, costs nothing."""
    for i, line in lines(text):
        if line.rstrip().endswith(","):
            line = line.rstrip()[:-1]
        try:
            yield _object(i, line, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield Row(i, line, Unclear("", f"not valid JSON: {error}"))


def over_lines(text: str) -> bool:
    """Does it begin with a JSON object that goes on in the lines after it, or with two on one line?"""
    start = text.lstrip()
    if not start.startswith("{"):
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return False
    return "\n" in start[:end] or "\r" in start[:end] or ANOTHER.match(start, end) is not None


def mostly_over_lines(text: str) -> bool:
    """Are more of its lines parts of JSON objects that go over several than are anything else?

    Text in quotes alone is neither: an item of a list, or a sentence.
    """
    found = [PART.match(line) is not None for _, line in lines(text) if not QUOTED.fullmatch(line)]
    return 2 * sum(found) > len(found)


def mostly_lines(text: str) -> bool:
    """Do more than half of its lines begin a JSON object, whatever stands in the first?"""
    found = [OBJECT.match(line) is not None for _, line in lines(text)]
    return 2 * sum(found) > len(found)


def _object(number: int, raw: str, value) -> Row:
    if not isinstance(value, dict):
        return Row(number, raw, Unclear("", "not a JSON object with field names"))
    return record_row(number, raw, value.items())


def record_row(number: int, raw: str, pairs: Iterable[tuple]) -> Row:
    """A record by lower-case field names. Of fields of one name that spelled so counts, else the first."""
    found: dict[str, list[tuple]] = {}
    for name, value in pairs:
        found.setdefault(name.strip().lower(), []).append((name, value))
    record, note = {}, ""
    for key, fields in found.items():
        kept, record[key] = next((f for f in fields if f[0] == key), fields[0])
        for name, value in fields:
            if value != record[key] and value is not None and str(value).strip():
                beside = f"beside {kept!r:.60}" if name != kept else "the second time"
                note += f", {name!r:.60} not read {beside}"
    return Row(number, raw, record, note)


def _table(name: str, mark: str, enough: Enough) -> Format:
    def recognises(text: str) -> bool:
        return header(text, mark, enough) is not None

    return Format(name, recognises, lambda text: table_rows(text, mark, enough), mark)


def formats(enough: Enough) -> tuple[Format, ...]:
    """All of them, with tables by their header. Tried in this order; the last takes everything.

    First by how a text begins, then by most of its lines: a fault in the first must not cost the others.
    Spreadsheets of half of Europe write CSV with semicolons.
    """
    return (
        Format("json", lambda text: re.match(r"\s*\[\s*(\{|\]\s*$)", text) is not None, json_rows),
        Format("wrapped", lambda text: bool(lists_in(text, enough)), lambda text: wrapped_rows(text, enough)),
        Format("objects", over_lines, mended_rows),
        Format("jsonl", lambda text: OBJECT.match(text) is not None, jsonl_rows),
        _table("csv", ",", enough),
        _table("csv", ";", enough),
        _table("tsv", "\t", enough),
        Format("json", lambda text: ARRAY.match(text) is not None, json_rows),
        Format("objects", mostly_over_lines, mended_rows),
        Format("jsonl", mostly_lines, jsonl_rows),
        Format("lines", lambda text: True, plain_rows),
    )


FORMATS = formats(names_facts)
