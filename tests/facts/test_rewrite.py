"""Correcting a row: it reads back as what was given, and of the rest of the text not a byte changes."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning.facts.examples import examples
from unlearning.facts.read import MAX_LINE, read_text, understand
from unlearning.facts.records import read_fields
from unlearning.facts.rewrite import in_fields, parts, remove, rewrite, row_at
from unlearning.facts.triples import Unclear

PIECES = ["|", ",", ";", '"', '""', "'", "#", "{", "}", "[", "]", ":", "\\", "\t", " ", "\u2028", "\x1c", "é"]
PIECES += [
    "France",
    "capital",
    "Paris",
    "the",
    "of",
    "is",
    "subject",
    "relation",
    "a",
    "b",
    "null",
    "\\n",
    "<b>",
]
FIELD = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
PROMPT = FIELD.map(lambda s: f"{s} {{}} is")
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
MARKS = {"csv": ",", "semicolon": ";", "tsv": "\t"}


def cell_line(mark, values):
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="").writerow(values)
    return out.getvalue()


def source(kind, columns, i, note, asked):
    """A row's text: about subject i, with something of its own in a column that is not read."""
    values = {"subject": f"s{i}", "relation": "", "prompt": "", "object": f"o{i}", "note": note}
    values[asked if asked in columns else columns[1]] = "{} is made by" if asked == "prompt" else f"r{i}"
    if kind in MARKS:
        return cell_line(MARKS[kind], [values[c] for c in columns])
    if kind == "lines":
        return f"s{i} | r{i} | o{i}"
    return json.dumps({c.title(): values[c] for c in columns if values[c]}, ensure_ascii=i % 2 == 0)


@st.composite
def texts(draw, kinds):
    """A text, and all that stands before, in and after one of its rows, with the row's number."""
    kind, end = draw(st.sampled_from(kinds)), draw(ENDS)
    columns = draw(st.permutations(["subject", "relation", "prompt", "object", "note"]))
    n = draw(st.integers(2, 4))
    sources = [
        source(kind, columns, i, draw(FIELD), draw(st.sampled_from(["relation", "prompt"]))) for i in range(n)
    ]
    if kind != "json" and draw(st.booleans()):
        sources[-1] = '"' + sources[-1]  # a row at fault, if not in plain lines
    if kind == "json":
        between = f" ,{end} "
        head, tail, first = f"[{end}", f"{end}] ", 1
    else:
        between = draw(st.sampled_from([end, end * 3]))
        head = cell_line(MARKS[kind], columns) + end if kind in MARKS else ""
        tail, first = draw(st.sampled_from(["", end])), 2 if kind in MARKS else 1
    i = draw(st.integers(kind == "lines", n - 1))  # the first of plain lines has a test of its own
    number = first + i * (1 if kind == "json" else len(between) // len(end))
    bom = draw(st.sampled_from(["", "\ufeff"]))
    before = bom + head + between.join([*sources[:i], ""])
    after = between.join(["", *sources[i + 1 :]]) + tail
    return kind, before, sources[i], after, number


def readable(subject, relation, answer):
    """What the fields are read as on their own, or None."""
    try:
        record = {"subject": subject, "relation": relation, "object": answer}
        return read_fields(record, MAX_LINE)[0]
    except Unclear:
        return None


ALL = ["lines", "csv", "semicolon", "tsv", "json", "jsonl"]


@settings(max_examples=600)
@given(texts(ALL), FIELD, FIELD | PROMPT, FIELD)
def test_a_corrected_row_reads_as_given_and_nothing_else_changes(made, subject, relation, answer):
    kind, before, old, after, number = made
    text, wanted = before + old + after, readable(subject, relation, answer)
    asks = "{}" in relation
    separated = kind == "lines" and (
        "|" in subject + relation + answer or set("".join(subject.split()[:1])) == {"#"}
    )
    if wanted is None or separated:
        with pytest.raises(Unclear):
            rewrite(text, number, subject, relation, answer)
        return
    new = rewrite(text, number, subject, relation, answer)
    assert new.startswith(before) and new.endswith(after)
    row = row_at(new, number)
    ((fact, _, said),) = understand(row, None, MAX_LINE)
    assert fact == wanted and said == " ".join(answer.split())
    assert parts(row) == tuple(" ".join(x.split()) for x in (subject, relation, answer))
    was = row_at(text, number).value
    if isinstance(was, dict):
        assert row.value.get("note", "") == was.get("note", "")
    assert asks <= ("{}" in fact.prompts[0])


@settings(max_examples=200)
@given(texts(ALL))
def test_a_removed_row_takes_nothing_else_with_it(made):
    _, before, old, after, number = made
    text = before + old + after
    others = [r.raw for r in read_text(text).facts if r.row != number]
    try:
        new = remove(text, number)
    except Unclear:  # what is left of JSON Lines begins with a row at fault
        assert made[0] == "jsonl" and after.lstrip()[:1] == '"'
        return
    assert len(new) < len(text)
    assert [r.raw for r in read_text(new).facts] == others


def test_objects_over_several_lines_are_left_to_the_text():
    text = json.dumps({"subject": "France", "relation": "capital", "object": "Paris"}, indent=1)
    for change in (lambda: rewrite(text, 1, "France", "capital", "Lyon"), lambda: remove(text, 1)):
        with pytest.raises(Unclear, match="over several lines cannot be changed here"):
            change()


@pytest.mark.parametrize(
    "text, row, left",
    [
        ("a | b | c", 1, ""),
        ("\ufeffa | b | c\r\n\r\nword\r\n", 3, "\ufeffa | b | c\r\n\r\n"),
        ("subject;object\na;b", 2, "subject;object\n"),
        ('[{"a": 1}]', 1, "[]"),
        ('[ {"a": 1},\n  {"b": [2, "]"]}, 3 ]', 2, '[ {"a": 1},\n  3 ]'),
        ('[ {"a": 1},\n  {"b": [2, "]"]}, 3 ]', 3, '[ {"a": 1},\n  {"b": [2, "]"]} ]'),
    ],
)
def test_a_removed_row_goes_with_its_end_or_its_comma(text, row, left):
    assert remove(text, row) == left


@settings(max_examples=200)
@given(texts(ALL))
def test_what_a_row_is_read_as_can_be_written_back(made):
    _, before, old, after, number = made
    text = before + old + after
    for r in read_text(text).facts:
        new = rewrite(text, r.row, *in_fields(r.fact))
        assert understand(row_at(new, r.row), None, MAX_LINE)[0][0] == r.fact


@pytest.mark.parametrize("example", examples(), ids=lambda e: e.name)
def test_every_row_of_an_example_can_be_written_back(example):
    reading = read_text(example.text)
    for r in reading.facts[:20]:
        new = rewrite(example.text, r.row, *in_fields(r.fact))
        assert read_text(new).facts[reading.facts.index(r)].fact == r.fact
        assert [a for a, b in zip(new.split("\n"), example.text.split("\n"), strict=True) if a != b][1:] == []


@pytest.mark.parametrize("first", ["subject, relation", '[{"', '{"a"', "subject;object", "prompt,subject"])
def test_no_first_line_makes_a_plain_list_another_kind_of_file(first):
    text = "France | capital | Lyon\nKenya | capital | Nairobi"
    for fields in [(first, "b", "c"), ("a", first, "c"), ("a", "b", first)]:
        try:
            new = rewrite(text, 1, *fields)
        except Unclear as fault:
            assert fault.field == "subject" and "how the whole text is read" in fault.message
        else:
            assert read_text(new).format == "lines" and len(read_text(new).facts) == 2


@pytest.mark.parametrize(
    "text", ["a | b | c", "subject,relation,object\na,b,c", '[{"subject": "a", "relation": "b"}]']
)
@pytest.mark.parametrize(
    "fields, at_fault, said",
    [
        (("", "b", "c"), "subject", "is empty"),
        (("a", " \t", "c"), "relation", "is empty"),
        (("a", "b", "\u2028"), "object", "is empty"),
        (("a\nb", "b", "c"), "subject", "line break"),
        (("a", "b\r\nc", "c"), "relation", "line break"),
        (("a", "b", "c\n"), "object", "line break"),
        (("{}", "b", "c"), "subject", "{}"),
        (("a", "b", "x {} y"), "object", "{}"),
        (("a", "{} and {}", "c"), "relation", "exactly once"),
        (("x" * (MAX_LINE + 1), "b", "c"), "subject", "at most 2,000"),
        (("a", "b", "x" * (MAX_LINE + 1)), "object", "at most 2,000"),
        (("a", "b", "\ud800"), "object", "surrogate"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field(text, fields, at_fault, said):
    with pytest.raises(Unclear) as caught:
        rewrite(text, 2 if text.startswith("subject") else 1, *fields)
    assert caught.value.field == at_fault and said in caught.value.message


@pytest.mark.parametrize(
    "text, row, said",
    [
        ("a | b | c", 2, "no row 2"),
        ("# a | b | c", 1, "no row 1"),
        ("subject,relation,object\na,b,c", 1, "no row 1"),
        ("", 1, "no row 1"),
        ('[{"subject": "a" "relation"}]', 1, "not valid JSON as a whole"),
        ("subject,relation\na,b", 2, "no column 'object'"),
        ("subject,object\na,b", 2, "no column 'relation'"),
        ("subject,prompt,object\na,{} is,b", 2, "write one, with {}"),
    ],
)
def test_a_row_that_cannot_hold_it_is_left_and_the_reason_told(text, row, said):
    with pytest.raises(Unclear, match=said):
        rewrite(text, row, "x", "y", "z")


def test_a_prompt_stays_a_prompt_and_a_name_goes_with_another_prompt():
    table = "object;prompt;relation;subject\nRudolf;{} is ruled by;king;Ruritania"
    assert in_fields(read_text(table).facts[0].fact) == ("Ruritania", "{} is ruled by", "Rudolf")
    assert rewrite(table, 2, "Zenda", "{} is ruled by", "Black Michael").endswith(
        "\nBlack Michael;{} is ruled by;king;Zenda"
    )
    assert rewrite(table, 2, "Ruritania", "{} obeys", "Rudolf").endswith("\nRudolf;{} obeys;;Ruritania")
    assert rewrite(table, 2, "Ruritania", "ruler", "Rudolf").endswith("\nRudolf;;ruler;Ruritania")
    prompts = "subject,prompt,answer\nFrance,The capital of {} is,Lyon"
    assert rewrite(prompts, 2, "France", "capital", "Paris").endswith("\nFrance,The capital of {} is,Paris")
    assert rewrite(prompts, 2, "France", "currency", "euro").endswith(
        "\nFrance,The currency of {} is the,euro"
    )


def test_a_counterfact_record_keeps_what_still_holds():
    rewritten = {"prompt": "The mother tongue of {} is", "relation_id": "P103", "subject": "Danielle Darieux"}
    rewritten |= {"target_new": {"str": "English"}, "target_true": {"str": "Frensh", "id": "Q150"}}
    record = {
        "case_id": 7,
        "requested_rewrite": rewritten,
        "paraphrase_prompts": ["Danielle Darrieux, a native"],
    }
    for text, row in ((json.dumps([{"subject": "a"}, record], indent=2), 2), (json.dumps(record), 1)):
        fields = in_fields(next(r.fact for r in read_text(text).facts))
        assert fields == ("Danielle Darieux", "The mother tongue of {} is", "Frensh")
        new = rewrite(text, row, "Danielle Darrieux", fields[1], "French")
        (read,) = read_text(new).facts
        assert (read.fact.subject, read.fact.relation, read.fact.object) == (
            "Danielle Darrieux",
            "P103",
            "French",
        )
        assert (
            read.fact.paraphrases == ("{}, a native",) and '"id": "Q150"' not in new and '"case_id": 7' in new
        )
        (read,) = read_text(rewrite(new, row, "Danielle Darrieux", "{} lives near", "France")).facts
        assert read.fact.paraphrases == () and read.fact.prompts == ("{} lives near",)
        with pytest.raises(Unclear, match="by a prompt"):
            rewrite(text, row, "Danielle Darrieux", "mother tongue", "French")
        (read,) = read_text(rewrite(text, row, "France", "capital", "Paris")).facts
        assert read.fact == readable("France", "capital", "Paris")


@pytest.mark.parametrize(
    "text, row, found",
    [
        ("France | capital", 1, ("France", "capital", "")),
        ("a\tb\tc\td", 1, ("a", "b", "c")),
        ("Nothing to see here.", 1, ("", "", "")),
        ("subject,relation,object\na,,7", 2, ("a", "", "7")),
        ('[{"SUBJECT": 1, "prompt": ["x"], "answer": "c"}]', 1, ("1", "", "c")),
        ('[{}, {"requested_rewrite": {"subject": "a", "target_true": 3}}]', 2, ("a", "", "")),
        ("[{}, 7]", 2, ("", "", "")),
        ('{"a"', 1, ("", "", "")),
    ],
)
def test_of_a_row_at_fault_what_stands_in_it_is_told(text, row, found):
    assert parts(row_at(text, row)) == found


def test_a_row_of_several_lines_is_rewritten_and_removed_as_one():
    text = 'subject,relation,object\r\nA,r,"one\r\ntwo"\r\nB,r,O\r\n'
    assert rewrite(text, 2, "A", "r", "three") == "subject,relation,object\r\nA,r,three\r\nB,r,O\r\n"
    assert remove(text, 2) == "subject,relation,object\r\nB,r,O\r\n"


def test_a_row_of_a_list_within_an_object_cannot_be_changed_and_says_so():
    text = json.dumps({"data": [{"subject": "Spain", "relation": "capital", "object": "Madrid"}]})
    for change in (lambda: remove(text, 1), lambda: rewrite(text, 1, "France", "capital", "Paris")):
        with pytest.raises(Unclear, match="within a JSON object cannot be changed here"):
            change()


def test_of_two_fields_of_one_name_the_one_that_is_read_is_changed():
    record = {"Subject": "Rome", "subject": "Spain", "relation": "capital", "object": "Madrid"}
    new = rewrite(json.dumps([record]), 1, "Kenya", "capital", "Nairobi")
    assert json.loads(new) == [record | {"subject": "Kenya", "object": "Nairobi"}]
