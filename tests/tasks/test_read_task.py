"""Tasks from files: every shape, the split by seed, and refusals that name rows."""

import json
import re

import pytest

from unlearning.facts.read import read_text
from unlearning.facts.world import world
from unlearning.tasks.find import find_forgetting, find_learning
from unlearning.tasks.read import MIN_ROWS, BadTask, read_task, read_task_file, reading
from unlearning.tasks.task import UnknownTask

PAIRS = [(f"What is {n} doubled?", str(2 * n)) for n in range(30)]


def shapes():
    yield "lines", "\n".join(f"{q} | {a}" for q, a in PAIRS)
    yield "tabs", "\n".join(f"{q}\t{a}" for q, a in PAIRS)
    yield "csv", "question,answer\n" + "\n".join(f"{q},{a}" for q, a in PAIRS)
    yield "tsv", "prompt\tcompletion\n" + "\n".join(f"{q}\t{a}" for q, a in PAIRS)
    yield "json", json.dumps([{"instruction": q, "output": a} for q, a in PAIRS])
    yield "jsonl", "\n".join(json.dumps({"question": q, "answer": int(a)}) for q, a in PAIRS)
    yield "bom", "\ufeffquestion;answer\r\n" + "\r\n".join(f"{q};{a}" for q, a in PAIRS)
    turns = [
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": q},
            {"role": "assistant", "content": a},
        ]
        for q, a in PAIRS
    ]
    yield "messages", "\n".join(json.dumps({"messages": t}) for t in turns)


@pytest.mark.parametrize("shape", dict(shapes()))
def test_every_shape_is_the_same_task(shape):
    task = read_task(dict(shapes())[shape], "doubles")
    assert {(s.prompt, s.answer) for s in task.train + task.test} == set(PAIRS)
    assert (len(task.train), len(task.test)) == (24, 6)


def test_a_field_that_is_not_read_beside_another_of_its_name_is_named():
    asked = {"question": "a?", "Question": "c?", "answer": "b"}
    assert reading(json.dumps([asked])).samples[0].how == (
        "question and answer, 'Question' not read beside 'question'"
    )
    fact = {"subject": "Rome", "Subject": "Bonn", "relation": "mayor", "object": "x"}
    assert reading(json.dumps([fact])).samples[0].how.count("not read") == 1


def test_the_split_is_by_seed_and_not_by_order():
    text = dict(shapes())["csv"]
    first = read_task(text, "x", seed=1)
    assert first == read_task(text, "x", seed=1)
    assert first.test != read_task(text, "x", seed=2).test
    assert not {s.prompt for s in first.train} & {s.prompt for s in first.test}


def test_an_instruction_may_have_an_input():
    rows = [{"instruction": "Double it.", "input": str(n), "output": str(2 * n)} for n in range(20)]
    task = read_task(json.dumps(rows), "x")
    assert "Double it.\n7" in {s.prompt for s in task.train + task.test}


@pytest.mark.parametrize(
    "answer, right",
    [(["London", "Londres"], ("London", "Londres")), ([["a"], "", 3], ("a", "3")), ({"str": "a"}, ("a",))],
)
def test_a_list_of_answers_are_all_right_as_for_a_wash(answer, right):
    text = json.dumps([{"instruction": "Name it.", "output": answer}])
    (found,) = reading(text).samples
    assert found.sample.answers == right == read_text(text).facts[0].fact.objects


def test_a_list_in_place_of_an_input_is_named_by_both_readers():
    text = json.dumps([{"instruction": "Name it.", "input": ["a", "b"], "output": "c"}])
    (task,), (wash,) = reading(text).problems, read_text(text).problems
    assert task.field == wash.field == "input" and task.message == wash.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\n".join(f"{q} | {a}" for q, a in PAIRS[:5]),
            f"5 rows are too few for a task: at least {MIN_ROWS}",
        ),
        ("", "0 rows are too few"),
        ('[{"messages": 3}]', "0 rows are too few .*row 1: the field 'messages' is empty"),
        ('[{"question": ["a"], "answer": true}]', "row 1: the field 'question' is not text"),
        ('[{"question": "a", "answer": true}]', "row 1: the field 'answer' is not text, nor a list of texts"),
        ('[{"question": "a", "input": ["b"], "answer": "c"}]', "row 1: the field 'input' is not text"),
    ],
)
def test_what_makes_no_task_is_refused_with_its_rows(text, said):
    with pytest.raises(BadTask, match=said):
        read_task(text, "x")


@pytest.mark.parametrize(
    ("shape", "more", "said"),
    [
        (
            "lines",
            "what is 3 doubled? | 7",
            ("row 31: the same question as in row 4: one would be trained .*",),
        ),
        ("csv", "huh,", ("row 32: the field 'answer' is missing or empty",)),
        ("csv", ",4\n,5", ("rows 32, 33: the field 'question' is missing or empty",)),
        ("lines", "no mark at all", ("row 31: not a question and an answer with . between them, nor a .*",)),
        (
            "lines",
            "The capital of France is Paris.",
            ("row 31: read as fact, where the rows before are question and .*",),
        ),
        ("jsonl", "{not json", ("row 31: not valid JSON.*",)),
        ("csv", "huh,\n,4", ("row 32: the field 'answer' .*", "row 33: the field 'question' .*")),
        (
            "lines",
            "Rome | is in | Italy",
            ("row 31: read as fact, where the rows before are question and .*",),
        ),
    ],
)
def test_rows_at_fault_are_named_and_the_rest_goes_on(shape, more, said):
    task = read_task(dict(shapes())[shape] + "\n" + more, "x")
    assert len(task.left_out) == len(said)
    assert all(re.fullmatch(a, b) for a, b in zip(said, task.left_out, strict=True)), task.left_out
    assert {(s.prompt, s.answer) for s in task.train + task.test} == set(PAIRS)
    assert task.left_out[0] in task.about


def test_files_and_names(tmp_path):
    path = tmp_path / "doubles.csv"
    path.write_text(dict(shapes())["csv"], encoding="utf-8")
    assert find_learning(str(path)) == read_task_file(path)
    assert find_learning("topic").name == "topic"
    both = find_forgetting(f"capital,{path}")
    assert {"capital", ""} == {s.kind for s in both.train}
    with pytest.raises(UnknownTask, match="bundled are"):
        find_learning(str(tmp_path / "none.csv"))
    with pytest.raises(UnknownTask, match="no forgetting task is named"):
        find_forgetting(" ,")
    with pytest.raises(BadTask, match="cannot be opened|not text"):
        path.write_bytes(b"\x00\xff")
        find_learning(str(path))


HOUSES = [("door", "red", i) for i in range(20)] + [("roof", "blue", i) for i in range(20)]
ASKED = {(f"The {what} of house {i} is", f"{colour} {i}") for what, colour, i in HOUSES}


def rewrites(i):
    return [
        {
            "prompt": f"The {what} of {{}} is",
            "subject": f"house {i}",
            "target_new": {"str": "new"},
            "target_true": {"str": f"{colour} {i}"},
        }
        for what, colour in (("door", "red"), ("roof", "blue"))
    ]


def facts_as():
    yield "MQuAKE", json.dumps([{"case_id": i, "requested_rewrite": rewrites(i)} for i in range(20)])
    table = "subject,prompt,object\n"
    yield (
        "spelled out",
        table + "\n".join(f"house {i},The {what} of house {i} is,{colour} {i}" for what, colour, i in HOUSES),
    )
    yield (
        "with {}",
        table + "\n".join(f"house {i},The {what} of {{}} is,{colour} {i}" for what, colour, i in HOUSES),
    )
    yield "CounterFact", json.dumps([{"requested_rewrite": r} for i in range(20) for r in rewrites(i)])
    yield (
        "triples",
        "\n".join(f"house {i} | The {what} of {{}} is | {colour} {i}" for what, colour, i in HOUSES),
    )


@pytest.mark.parametrize("shape", dict(facts_as()))
def test_every_fact_of_a_file_is_a_question(shape):
    found = reading(dict(facts_as())[shape])
    assert {(s.sample.prompt, s.sample.answer) for s in found.samples} == ASKED and found.problems == ()
    assert found.form.name == "fact"


def test_sentences_are_the_questions_of_their_facts():
    facts = [f for f in world() if f.relation == "capital"][:30]
    task = read_task("\n".join(f"{f.prompt()} {f.object}." for f in facts), "capitals")
    assert {(s.prompt, s.answers) for s in task.train + task.test} == {(f.prompt(), f.objects) for f in facts}


def test_of_two_facts_in_a_record_the_one_at_fault_is_named_and_a_repeated_one_too():
    records = [{"requested_rewrite": rewrites(i)} for i in range(2)]
    del records[0]["requested_rewrite"][1]["target_true"]
    records[1]["requested_rewrite"][1] = records[1]["requested_rewrite"][0]
    found = reading(json.dumps(records))
    assert [(s.row, s.sample.answer) for s in found.samples] == [(1, "red 0"), (2, "red 1")]
    assert [(p.row, p.field) for p in found.problems] == [(1, "target_true.str"), (2, "question")]
    assert "rewrite 2 of 2" in found.problems[0].message and "as in row 2" in found.problems[1].message
