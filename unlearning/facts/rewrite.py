"""Correcting one row of a text in the text's own format. Every other row stays as it is, byte for byte."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .fact import Fact
from .formats import Format, Row, cells, format_of, header, is_comment
from .read import MAX_LINE, mark_in, understand
from .records import OBJECT_FIELDS, kind_of, read_fields
from .triples import Unclear, occurrences, relation_named, subject_key, word_fact
from .values import present

BOM = "\ufeff"
FIELDS = ("subject", "relation", "object")
SPACE = re.compile(r"\s*")
LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclass(frozen=True)
class Given:
    """What a row is to say: three fields on one line each, and the fact that they are read as."""

    subject: str
    relation: str
    object: str
    fact: Fact

    @property
    def asks(self) -> bool:
        """Is the relation a prompt, with {} or the subject in it, and not words?"""
        if "{}" in self.relation:
            return True
        named = relation_named(self.relation, self.subject)
        return named is None and bool(occurrences(self.relation, self.subject))


def rewrite(text: str, number: int, subject: str, relation: str, answer: str) -> str:
    """The text with that row saying this: a relation in words or a prompt with {} for the subject.

    Raises Unclear, naming the field at fault, for what could not be read back just so.
    """
    given = as_given(subject, relation, answer)
    bom, body = text[: text.startswith(BOM)], text.removeprefix(BOM)
    form, row = format_of(body), row_at(body, number)
    if isinstance(row.value, dict) and not (kind := kind_of(row.value)).changes:
        raise Unclear(
            "",
            f"a row of this kind ({kind.name}) cannot be changed here: change it in the text, or remove it",
        )
    start, end = span(body, form, number)
    less = row.raw.count("\n")  # lines that a row of several has less, once it is written as one
    others = [(n - less * (n > number), raw) for n, raw in rows(body) if n != number]
    write = {"lines": plain_line, "json": json_object, "jsonl": json_object}.get(form.name, table_line)
    for keep in (True, False):  # how the row asks, if that already asks as is given
        try:
            new = body[:start] + write(body, form, row, given, keep) + body[end:]
            if format_of(new).name != form.name or [r for r in rows(new) if r[0] != number] != others:
                raise Unclear("subject", "written so, the row would change how the whole text is read")
            check(row_at(new, number), given)
            return bom + new
        except Unclear as error:
            fault = error
    raise fault


def remove(text: str, number: int) -> str:
    """The text without that row. Raises Unclear where the other rows would be read in another way."""
    bom, body = text[: text.startswith(BOM)], text.removeprefix(BOM)
    form = format_of(body)
    row_at(body, number)
    start, end = span(body, form, number, whole=True)
    new = body[:start] + body[end:]
    others = [raw for n, raw in rows(body) if n != number]
    if others and (format_of(new).name != form.name or [raw for _, raw in rows(new)] != others):
        raise Unclear("", "without this row the whole text would be read in another way")
    return bom + new


def row_at(text: str, number: int) -> Row:
    """The row of that number in a text. Raises Unclear where there is none."""
    body = text.removeprefix(BOM)
    found = next((r for r in format_of(body).rows(body) if r.number == number), None)
    if found is None:
        raise Unclear("", f"there is no row {number} in the text any more")
    return found


def rows(body: str) -> list[tuple[int, str]]:
    """Number and text of every row, which with the format and the header are all that it is read from."""
    return [(r.number, r.raw) for r in format_of(body).rows(body)]


def parts(row: Row) -> tuple[str, str, str]:
    """As much of subject, relation or prompt, and object as stands in a row, even one at fault."""
    line = row.value
    if isinstance(line, str):
        mark = mark_in(line)
        found = [part.strip() for part in line.split(mark)] if mark else []
        return tuple([*found, "", "", ""][:3])
    if not isinstance(line, dict):
        return "", "", ""
    rewritten = line.get("requested_rewrite")
    if isinstance(rewritten, dict):
        true = rewritten.get("target_true")
        line = {
            **rewritten,
            "object": true.get("str") if isinstance(true, dict) else None,
            "target_true": None,
        }
    names = (("subject",), ("prompt", "relation"), OBJECT_FIELDS)
    return tuple(next((one_line(line[n]) for n in some if present(line, n)), "") for some in names)


def in_fields(fact: Fact) -> tuple[str, str, str]:
    """Subject, relation in words or prompt, and object that read as the fact, as far as three fields can."""
    try:
        words = word_fact(fact.subject, fact.relation, fact.object)[0] == fact
    except Unclear:
        words = False
    return fact.subject, fact.relation if words else fact.prompts[0], fact.object


def one_line(value) -> str:
    """A JSON value as one line of text; "" for what is none."""
    return " ".join(str(value).split()) if isinstance(value, (str, int, float)) else ""


def as_given(*values: str) -> Given:
    """Subject, relation and object, each on one line. Raises Unclear, naming the field."""
    for name, value in zip(FIELDS, values, strict=True):
        if "\n" in value or "\r" in value:
            raise Unclear(name, f"the field {name!r} has a line break in it")
        if not value.strip():
            raise Unclear(name, f"the field {name!r} is empty")
    record = {name: " ".join(value.split()) for name, value in zip(FIELDS, values, strict=True)}
    return Given(**record, fact=read_fields(record, MAX_LINE)[0])


def check(row: Row, given: Given) -> None:
    """Raise Unclear unless the row is read as what was given; a prompt may have a name besides."""
    fact, _, answer = only(understand(row, None, MAX_LINE))
    same = fact == given.fact or (given.asks and fact.prompts[0] == given.fact.prompts[0])
    if not same or answer != given.object or subject_key(fact.subject) != subject_key(given.fact.subject):
        raise Unclear("relation", "this row asks by a prompt: write one, with {} for the subject")


def only(found: list) -> tuple[Fact, str, str]:
    """The one fact of a row. Raises Unclear for another number of them."""
    if len(found) != 1 or isinstance(found[0], Unclear):
        raise Unclear("", "written so, the row would not hold one fact")
    return found[0]


def span(body: str, form: Format, number: int, whole: bool = False) -> tuple[int, int]:
    """Where the row stands; `whole`: with its line's end, or the comma after or before it.

    Raises Unclear for JSON objects that go over several lines, and for rows within one.
    """
    if form.name == "wrapped":
        raise Unclear(
            "", "a row of a list within a JSON object cannot be changed here: change it in the text"
        )
    if form.name == "objects":
        raise Unclear("", "JSON that goes over several lines cannot be changed here: change it in the text")
    if form.name != "json":
        more = row_at(body, number).raw.count("\n")  # of a cell that goes over several lines
        line, *_, last = [m for i, m in enumerate(LINE.finditer(body), 1) if number <= i <= number + more] * 2
        return line.start(), last.end() if whole else last.end(1)
    places = list(elements(body))
    start, end = places[number - 1]
    if whole and number < len(places):
        end = places[number][0]
    elif whole and number > 1:
        start = places[number - 2][1]
    return start, end


def elements(body: str) -> Iterator[tuple[int, int]]:
    """Where the elements of a JSON array stand. Raises Unclear for an array that does not parse."""
    try:
        json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unclear("", "the text is not valid JSON as a whole: mend it there") from error
    decoder, at = json.JSONDecoder(), SPACE.match(body, body.index("[") + 1).end()
    while body[at] != "]":
        _, end = decoder.raw_decode(body, at)
        yield at, end
        at = SPACE.match(body, end).end()
        at = SPACE.match(body, at + (body[at] == ",")).end()


def plain_line(body: str, form: Format, row: Row, given: Given, keep: bool) -> str:
    """subject | relation | object, or with tabs where the line had them."""
    values = given.subject, given.relation, given.object
    for name, value in zip(FIELDS, values, strict=True):
        if "|" in value:
            raise Unclear(name, f"the field {name!r} has | in it, which in a plain line separates the fields")
    line = "\t".join(values) if mark_in(row.raw) == "\t" else " | ".join(values)
    if is_comment(line):
        raise Unclear("subject", "the field 'subject' begins with #, which makes a plain line a comment")
    return line


def table_line(body: str, form: Format, row: Row, given: Given, keep: bool) -> str:
    """The row's cells with the new values; those of other columns stay, if they could be told apart."""
    names = header(body, form.mark)
    values = cells(row.raw, form.mark) if isinstance(row.value, dict) else []
    values += [""] * (len(names) - len(values))
    for name, value in new_values(row, given, keep, names).items():
        if name in names:
            values[names.index(name)] = value
        elif value:
            raise Unclear(name, f"the table has no column {name!r}: add it to the first line of the text")
    out = io.StringIO()
    spaced = any(value[:1].isspace() for value in values)  # which would be skipped
    quoting = csv.QUOTE_ALL if spaced else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=form.mark, lineterminator="", quoting=quoting).writerow(values)
    return out.getvalue()


def json_object(body: str, form: Format, row: Row, given: Given, keep: bool) -> str:
    """The row's object with the new values; a new one in place of what is no object."""
    known = isinstance(row.value, dict)
    record = json.loads(row.raw) if known else {}
    if known and "requested_rewrite" in row.value:
        record = counterfact(record, row, given, keep)
    else:
        for name, value in new_values(row, given, keep).items():
            record = with_value(record, name, value)
    text = json.dumps(record, ensure_ascii=False)
    return json.dumps(record) if any("\ud800" <= c <= "\udfff" for c in text) else text


def new_values(row: Row, given: Given, keep: bool, names: list[str] | None = None) -> dict[str, str]:
    """What the fields of a record become, "" for one that goes; `names` are a table's columns.

    Unless the row is to ask as it does, its own name for the relation goes, too.
    """
    record = row.value if isinstance(row.value, dict) else {}
    fields = OBJECT_FIELDS if names is None else [n for n in OBJECT_FIELDS if n in names] or ["object"]
    answer = next((n for n in fields if present(record, n)), fields[0])
    found = {"subject": given.subject, answer: given.object}
    if keep:
        return found
    if names and "prompt" in names and "relation" not in names:
        return found | {"prompt": given.relation if given.asks else given.fact.prompts[0]}
    if given.asks and present(record, "prompt"):
        return found | {"prompt": given.relation, "relation": ""}
    return found | {"prompt": "", "relation": given.relation}


def with_value(record: dict, name: str, value) -> dict:
    """The record with a value under a name in any case, or without that name for ""."""
    names = [key for key in record if key.strip().lower() == name]
    if value == "":
        return {k: v for k, v in record.items() if k not in names}
    read = name if name in names or not names else names[0]
    return {**record, read: value}


def counterfact(record: dict, row: Row, given: Given, keep: bool) -> dict:
    """A CounterFact record. Another prompt has another relation, whose paraphrases are not known."""
    old = row.value["requested_rewrite"]
    new = dict(old) if isinstance(old, dict) else {}
    if not keep:
        new["prompt"] = given.relation if given.asks else given.fact.prompts[0]
        new.pop("relation_id", None)
        record = with_value(record, "paraphrase_prompts", "")
    true = new.get("target_true")
    same = isinstance(true, dict) and parts(row)[2] == given.object
    new |= {"subject": given.subject, "target_true": {**(true if same else {}), "str": given.object}}
    return with_value(record, "requested_rewrite", new)
