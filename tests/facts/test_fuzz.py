"""Damaged files: nothing is raised but what is documented, and no row is dropped silently."""

import io
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from seed_records import LINES, SEEDS, rewrite

from unlearning.facts.formats import FORMATS, format_of
from unlearning.facts.read import UnreadableFile, read_file, read_rows, read_text
from unlearning.facts.records import RECORDS
from unlearning.tasks.read import BadTask, reading, reading_of_file

N = 12_000  # mutated files


def accounted(text: str, found) -> None:
    """Every row of the text is a fact or a problem; what is neither is blank, a comment or the header."""
    text = text.removeprefix("\ufeff")
    rows = list(format_of(text).rows(text))
    told = [f.row for f in found.facts] + [p.row for p in found.problems]
    assert sorted(set(told)) == sorted({r.number for r in rows}) and len({r.number for r in rows}) == len(
        rows
    )
    several = ("requested_rewrite", "messages")
    if not any(isinstance(r.value, dict) and isinstance(r.value.get(n), list) for r in rows for n in several):
        assert len(told) == len(rows)
    if found.format in ("json", "objects", "wrapped"):
        return
    lines = list(enumerate(io.StringIO(text, newline=None), 1))
    told = {n for r in rows for n in range(r.number, r.number + r.raw.count("\n") + 1)}
    rest = [line.strip() for n, line in lines if n not in told]
    said = [line for line in rest if line and not (found.format == "lines" and set(line.split()[0]) == {"#"})]
    assert len(said) == (found.format in ("csv", "tsv"))  # the header


@pytest.mark.timeout(240)
def test_twelve_thousand_damaged_files_lose_no_row(tmp_path):
    path, formats, unreadable = tmp_path / "damaged", set(), 0
    kinds = dict.fromkeys((k.name for k in RECORDS), 0)
    for data in mutated(SEEDS | {"lines": LINES}, N):
        path.write_bytes(data)
        try:
            found = read_file(path, max_rows=None, max_bytes=None)
        except UnreadableFile as error:
            assert "damaged is not text" in str(error)
            unreadable += 1
            continue
        accounted(data.decode("utf-8"), found)
        formats.add(found.format)
        for f in found.facts:
            f.fact.prompt()
            assert f.how and f.fact.object
        for name in {n for n in kinds for f in found.facts if f.how.startswith(n.split()[0])}:
            kinds[name] += 1
    assert formats == {f.name for f in FORMATS} and 500 < unreadable < N / 2
    assert all(
        kinds[name] for name in ("MQuAKE", "CounterFact", "zsRE", "MEMIT request", "chat")
    )  # not vacuous


@pytest.mark.timeout(240)
def test_three_thousand_damaged_files_make_a_task_or_say_why_not(tmp_path):
    path, read = tmp_path / "damaged", 0
    for data in mutated(SEEDS | {"lines": LINES}, 3_000, seed=1):
        path.write_bytes(data)
        try:
            found = reading_of_file(path)
        except BadTask as error:
            assert "damaged is not text" in str(error)
            continue
        told = [s.row for s in found.samples] + [p.row for p in found.problems]
        several = [row for row in told if told.count(row) > 1]
        assert len(told) == len(set(told)) or any(n in data for n in (b"requested_rewrite", b"messages")), (
            several
        )
        read += len(found.samples)
        assert all(s.sample.prompt and s.sample.answer and s.how for s in found.samples)
    assert read > 500


N_RECORDS = 6


def of_fields(i: int) -> dict:
    return {"subject": f"house {i}", "relation": "colour", "object": f"red {i}"}


def of_counterfact(i: int) -> dict:
    new = rewrite("The colour of {} is", "P1", f"house {i}", f"red {i}", "blue")
    said = {
        "paraphrase_prompts": [f"Of house {i} I say:"],
        "neighborhood_prompts": ["The sea is", "The sky is"],
    }
    return {"case_id": i, "requested_rewrite": new} | said


def of_mquake(i: int) -> dict:
    new = [
        rewrite(f"The {what} of {{}} is", what, f"house {i}", f"red {i}", "blue") for what in ("door", "roof")
    ]
    return {"case_id": i, "requested_rewrite": new, "questions": ["Is it?", "Is that?"], "answer": "yes"}


def of_knowedit(i: int) -> dict:
    asks = [{"prompt": "Is it?", "ground_truth": [["no"]]}, {"prompt": "Is that?", "ground_truth": [["no"]]}]
    told = {"subject": f"house {i}", "prompt": f"The colour of house {i} is", "target_new": f"red {i}"}
    return told | {"portability": {"Reasoning": asks}, "locality": {"Other": asks[:1]}}


WAYS = {  # indent of a record, and what stands before, between and after them
    "json": (None, "[", ", ", "]"),
    "a line each": (None, "[\n", ",\n", "\n]"),
    "indented": (2, "[\n", ",\n", "\n]"),
    "jsonl": (None, "", "\n", ""),
    "objects": (2, "", "\n", ""),
}


def with_damage(record: str, r: random.Random) -> str:
    """One character deleted, put in or changed; or the record cut off within."""
    at, mark = r.randrange(len(record)), r.choice('"{}[],:\\ a1\n')
    if r.random() < 0.2:
        return record[: at + 1]
    return record[:at] + r.choice(["", mark, mark + record[at]]) + record[at + 1 :]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("made", [of_fields, of_counterfact, of_mquake, of_knowedit])
def test_damage_to_one_record_costs_no_other_and_makes_up_no_fact(made, how):
    """Which facts must be read is known from what was written, not from any reader."""
    r = random.Random(f"{made.__name__} {how}")
    each = 2 if made is of_mquake else 1
    indent, begin, between, end = WAYS[how]
    for _ in range(300):
        k = r.randrange(N_RECORDS)
        written = [json.dumps(made(i), indent=indent) for i in range(N_RECORDS)]
        written[k] = with_damage(written[k], r)
        text = begin + between.join(written) + end
        found = read_text(text)
        said = [(f.fact.subject, f.fact.object) for f in found.facts]
        others = [(f"house {i}", f"red {i}") for i in range(N_RECORDS) if i != k for _ in range(each)]
        left = list(said)
        for fact in others:
            assert fact in left, text
            left.remove(fact)
        assert len(left) + len(found.problems) >= 1 and len(left) <= each, text
        assert not {"no", "yes", "blue"} & {o for _, o in left}, text
        before = [f.row for f in found.facts if f.fact.subject in [f"house {i}" for i in range(k)]]
        after = [
            f.row for f in found.facts if f.fact.subject in [f"house {i}" for i in range(k + 1, N_RECORDS)]
        ]
        assert all(max(before, default=0) < p.row < min(after, default=99) for p in found.problems), text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "{}", "The {} is", "Rome"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["str", "prompt", "text"]), inner)
    ),
    max_leaves=8,
)
NAMES = sorted(
    {name for records in SEEDS.values() for r in records for name in r} | {"opa", "cop", "label_text"}
)


@settings(max_examples=400)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), max_size=4))
def test_fields_of_any_format_in_any_mixture_and_of_any_type_are_read_or_named(records):
    text = json.dumps(records)
    accounted(text, read_text(text))
    found = reading(text)
    told = sorted({s.row for s in found.samples} | {p.row for p in found.problems})
    assert told == list(range(1, len(records) + 1))


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(SEEDS)), min_size=1, max_size=5))
def test_records_of_several_formats_in_one_file_are_read_each_as_its_own(names):
    records = [r for name in names for r in SEEDS[name]]
    lines = "\n".join(map(json.dumps, records))
    alone = [f.fact for name in dict.fromkeys(names) for f in read_text(json.dumps(SEEDS[name])).facts]
    found = [f.fact for f in read_text(lines).facts]
    assert all(f in alone for f in found) and {f.key for f in found} == {f.key for f in alone}


def test_rows_can_be_read_one_after_another_without_the_whole_text():
    from unlearning.facts.formats import Row

    endless = (Row(i, "", {"subject": f"s{i}", "relation": "r", "object": "o"}) for i in range(1, 10**9))
    found = read_rows(endless, "stream", max_rows=50)
    assert len(found.facts) == 50 and found.problems[0].row == 51
