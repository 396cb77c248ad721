"""JSON with faults: what is whole is read, what lies between is kept, and time stays linear."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning.facts.mended import parts, place
from unlearning.facts.read import read_text

MANY = [{"subject": f"house {i}", "relation": "colour", "object": f"red {i}"} for i in range(40)]
WROTE = [json.dumps(r) for r in MANY]


def asked(i):
    """A MQuAKE record with two rewrites; its rewrites are records of another kind by themselves."""
    rewrites = [
        {
            "prompt": f"The {what} of {{}} is",
            "subject": f"house {i}",
            "target_new": {"str": "new"},
            "target_true": {"str": f"{what} {i}"},
        }
        for what in ("door", "roof")
    ]
    return {"case_id": i, "requested_rewrite": rewrites, "questions": ["Is it?"], "answer": "yes"}


def subjects(reading):
    return [r.fact.subject for r in reading.facts]


@pytest.mark.parametrize(
    ("faulty", "place"),
    [
        (WROTE[7].replace(":", "", 1), "Expecting ':' delimiter: line 8 column"),
        (WROTE[7].replace('7", "rel', '7, "rel'), "Expecting ',' delimiter: line 8 column"),
        (WROTE[7].replace('red 7"', "red 7"), "Invalid control character at: line 8 column"),
        (WROTE[7][:-1], "Expecting property name enclosed in double quotes: line 9 column 1"),
        (WROTE[7][1:], "Expecting an object: line 8 column 1"),
        (WROTE[7] + "]", "Expecting an object: line 8 column"),
        ("[" + WROTE[7][:-1], "Expecting an object: line 8 column 1"),
        (WROTE[7][:30], "Invalid control character at: line 8 column"),
    ],
)
def test_a_fault_in_one_element_of_an_array_costs_that_one_alone(faulty, place):
    written = [*WROTE[:7], faulty, *WROTE[8:]]
    reading = read_text("[" + ",\n".join(written) + "]")
    (problem,) = reading.problems
    assert reading.format == "json" and problem.field == ""
    assert problem.message.startswith("not valid JSON: ") and place in problem.message
    kept = [s for s in subjects(reading) if s != "house 7"]
    assert kept == [r["subject"] for r in MANY if r is not MANY[7]]
    assert reading.facts[6].row < problem.row < reading.facts[-32].row
    assert problem.raw.rstrip(",") in faulty or faulty in problem.raw


def test_the_text_of_what_is_none_is_kept_to_the_character():
    faulty = WROTE[1].replace(":", "") + ","
    found = list(parts(f"{WROTE[0]},\n  {faulty} \n{WROTE[2]}"))
    assert [p.raw for p in found] == [WROTE[0], faulty, WROTE[2]]
    assert [p.value for p in found] == [MANY[0], None, MANY[2]]


@pytest.mark.parametrize("commas", [" ", ",,", "\n,\n"])
def test_a_comma_too_many_or_too_few_costs_nothing(commas):
    reading = read_text(f"[{commas.join(WROTE)},]")
    assert subjects(reading) == [r["subject"] for r in MANY] and reading.problems == ()
    assert [r.row for r in reading.facts] == list(range(1, 41))


def test_a_file_that_was_cut_off_says_so_and_keeps_what_came_before():
    whole = "[" + ",\n".join(WROTE)
    for cut in (whole, whole + ",", whole + ",\n "):
        reading = read_text(cut)
        assert len(reading.facts) == 40
        (problem,) = reading.problems
        assert problem.row == 41 and "the list does not end with ]: line 4" in problem.message
    reading = read_text(whole[:-5])
    assert len(reading.facts) == 39 and reading.problems[0].row == 40
    assert reading.problems[0].raw == WROTE[-1][:-5]


def test_two_arrays_in_one_file_are_both_read():
    reading = read_text(f"[{', '.join(WROTE[:20])}]\n[{', '.join(WROTE[20:])}]")
    assert subjects(reading) == [r["subject"] for r in MANY]
    assert [p.row for p in reading.problems] == [21]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("k", [0, 3, 5])
@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ('"requested_rewrite":', '"requested_rewrite"'),
        ('"case_id":', '"case_id'),
        ('The door of {} is"', "The door of {} is"),
        ('The roof of {} is"', "The roof of {} is"),
        ('"questions":', '"questions"'),
        ('"answer"', '"answer'),
    ],
)
def test_no_object_within_a_damaged_record_is_taken_for_a_record(indent, k, whole, broken):
    written = [json.dumps(asked(i), indent=indent) for i in range(6)]
    assert written[k].count(whole) == 1
    written[k] = written[k].replace(whole, broken)
    for text in ("[" + ", ".join(written) + "]", "\n".join(written)):
        if text.startswith("{") and indent is None:
            continue  # JSON Lines
        reading = read_text(text)
        said = [(r.fact.subject, r.fact.object) for r in reading.facts]
        assert said == [(f"house {i}", f"{w} {i}") for i in range(6) if i != k for w in ("door", "roof")]
        assert [p.row for p in reading.problems] == [k + 1]


def test_objects_over_several_lines_go_on_after_a_fault():
    written = [json.dumps(r, indent=1) for r in MANY]
    for k in (0, 7, 39):
        broken = written[:k] + [written[k].replace('"relation"', "relation")] + written[k + 1 :]
        reading = read_text("\n".join(broken))
        assert reading.format == "objects" and [p.row for p in reading.problems] == [k + 1]
        assert subjects(reading) == [r["subject"] for r in MANY if r is not MANY[k]]
        assert "relation" in reading.problems[0].raw


def test_one_record_that_cannot_be_held_costs_no_other():
    deep = '{"subject": "deep", "relation": ' + "[" * 5_000 + "]" * 5_000 + "}"
    long = '{"subject": "long", "relation": "r", "object": ' + "1" * 5_000 + "}"
    reading = read_text(f"[{WROTE[0]}, {deep}, {WROTE[1]}, {long}, {WROTE[2]}]")
    assert subjects(reading) == ["house 0", "house 1", "house 2"]
    assert [p.row for p in reading.problems] == [2, 4]
    assert "nested too deeply" in reading.problems[0].message
    assert "5,000 characters: at most" in reading.problems[1].message


def test_records_that_were_cut_off_within_a_list_cost_none_of_those_after_them():
    written = [json.dumps(asked(i)) for i in range(400)]
    cut = range(0, 400, 40)
    for i in cut:
        written[i] = written[i][: written[i].index("roof")]
    reading = read_text("[" + ", ".join(written) + "]")
    whole = [f"house {i}" for i in range(400) if i not in cut for _ in range(2)]
    assert subjects(reading) == whole and len(reading.problems) == len(cut)


@given(st.text(st.sampled_from("\na{ ")), st.integers(0, 30))
def test_a_place_is_told_as_python_tells_it(text, at):
    at = min(at, len(text))
    said = str(json.JSONDecodeError("here", text, at))
    assert f"here: {place([i for i, c in enumerate(text) if c == chr(10)], at)}" == said


PIECES = [*WROTE[:3], *'{}[]",:a\\\n', '{"', '{"b": [', "{}", ' {"a": 1}']


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_what_is_neither_an_object_nor_named_is_but_commas_and_spaces(pieces):
    text, rest = "".join(pieces), ""
    at = 0
    for part in parts(text):
        start = text.index(part.raw, at)
        rest += text[at:start]
        at = start + len(part.raw)
        assert part.raw and bool(part.fault) == (part.value is None)
        assert part.fault or json.loads(part.raw) == part.value
    assert set(rest + text[at:]) <= {",", " ", "\n"}


HOSTILE = {
    "brackets": "[" * 8,
    "closed": "]" * 8,
    "braces": "{" * 8,
    "nested": '{"a":[',
    "in lists": '[0,{"a":',
    "after commas": ',{"a":[0',
    "empty": "{}}",
    "no value": '{"a":,',
    "quotes": ',{"',
    "escapes": ',{"\\"',
    "unfinished": ',{"a":"x',
    "spaces": "{    ",
    "digits": ',{"a":[' + "1" * 5_000,
    "shapes": '{"a":1}x',
    "inner": '"b":[{"a":1},{"c":2}],',
    "cut off": '{"a":[0,{"a":1},',
    "lines": '{"a" 1}\n',
    "one line": '{"a" 1}',
    "long": '{"a":"' + "x" * 5_000 + '"},{"b" 1},',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_eight_times_as_much_of_anything_takes_no_more_than_32_times_as_long(name):
    """Where time grew with the square it would be 64 times. At best of three: other work slows some."""

    def seconds(n):
        text = '[{"a" 1}' + HOSTILE[name] * (n // len(HOSTILE[name]) + 1)
        began = time.thread_time()
        list(parts(text, 1, array=True))
        return time.thread_time() - began

    few, many = min(seconds(30_000) for _ in range(3)), []
    while len(many) < 3 and (not many or min(many) >= 32 * max(few, 0.003)):
        many.append(seconds(240_000))
    assert min(many) < 32 * max(few, 0.003), (few, many)
