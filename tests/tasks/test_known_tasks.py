"""The sets of LWF's paper: prompts, answers and metrics, from files and through the hub's loading."""

import json

import pytest
from hub_shapes import SHAPES, hub_folder

from unlearning.facts.hub import NoSet, source
from unlearning.models.text import greedy, prompt_ids
from unlearning.probes.task import does
from unlearning.tasks.find import find_forgetting, find_learning, read_source
from unlearning.tasks.forms import form_of
from unlearning.tasks.read import BadTask, read_task, reading
from unlearning.tasks.task import METRICS, UnknownTask, fitting, last_number


def first(name):
    record = next(SHAPES[name](1, 3))
    record = {k.lower(): v for k, v in record.items()}
    form = form_of(record)
    return form, form.sample(record)


def test_gsm8k_teaches_the_solution_and_is_judged_by_its_last_number():
    form, s = first("gsm8k")
    assert s.prompt == "Question: How many are 3 thousand twice?\nAnswer:"
    assert s.answer.endswith("#### 6,000") and (form.metric, form.end) == ("number", "")
    assert form.max_new == 256


def test_qasc_is_asked_with_its_letters():
    form, s = first("qasc")
    assert s.prompt.startswith("Question: What is thing 3?\nA. thing 3\nB. thing 4\n")
    assert s.prompt.endswith("\nH. thing 10\nAnswer:") and s.answers == ("D",) and form.metric == "letter"


def test_sst5_is_answered_in_words():
    form, s = first("sst5")
    assert (s.prompt, s.answer) == ("Review: film number 3 .\nSentiment:", "positive")
    assert (form.metric, form.end) == ("label", ".")


def test_medmcqa_counts_from_0_and_its_subject_is_the_kind():
    form, s = first("medmcqa")
    assert s.prompt.endswith("\nC. finding c 3\nD. finding d 3\nAnswer:")
    assert (s.answer, s.kind, form.metric) == ("D", "Dental", "letter")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"cop": 4}, "the field 'cop' is '4', not a choice's number from 0 to 3"),
        ({"cop": -1}, "a row of the test split"),
        ({"opc": ""}, "the field 'opc' is missing or empty"),
        ({"question": None}, "the field 'question' is missing or empty"),
    ],
)
def test_a_row_of_medmcqa_that_cannot_be_says_which_field(change, said):
    rows = list(SHAPES["medmcqa"](30))
    rows[7] |= change
    task = read_task(json.dumps(rows), "x")
    assert len(task.left_out) == 1 and task.left_out[0].startswith("row 8: ") and said in task.left_out[0]
    assert len(task.train + task.test) == 29


@pytest.mark.parametrize("write", [int, float, str])
def test_medmcqa_that_counts_from_1_is_the_same_task(write):
    rows = list(SHAPES["medmcqa"](40))
    from_1 = [r | {"cop": write(r["cop"] + 1)} for r in rows]
    task, other = reading(json.dumps(rows)), reading(json.dumps(from_1))
    assert [s.sample for s in other.samples] == [s.sample for s in task.samples] and other.problems == ()
    assert all(s.how.endswith(", its cop counts from 1") for s in other.samples)
    assert "cop" not in "".join(s.how for s in task.samples)


def test_medmcqa_counts_from_0_unless_all_its_rows_say_otherwise():
    rows = [r | {"cop": i % 3 + 1} for i, r in enumerate(SHAPES["medmcqa"](30))]
    assert {s.sample.answer for s in reading(json.dumps(rows)).samples} == set("BCD")
    rows[4]["cop"] = 4
    assert {s.sample.answer for s in reading(json.dumps(rows)).samples} == set("ABCD")
    rows[5]["cop"] = 0
    (problem,) = reading(json.dumps(rows)).problems
    assert (problem.row, problem.field) == (5, "cop")


@pytest.mark.parametrize(
    "metric, text, answers, right",
    [
        ("number", "She has 3 + 4 = 7 apples.\n#### 7", ("work\n#### 7",), True),
        ("number", "So it is $1,234.50.", ("#### 1234.5",), True),
        ("number", "It is 12. No, 13", ("#### 12",), False),
        ("number", "#### 12\n\nQuestion: What is 5?", ("#### 12",), True),
        ("number", "from 3-4", ("#### 4",), True),
        ("number", "minus: -4", ("#### -4",), True),
        ("number", "no number", ("#### 4",), False),
        ("letter", " C", ("C",), True),
        ("letter", "(C) the liver", ("C",), True),
        ("letter", "C. the liver, not A", ("C",), True),
        ("letter", "Clearly A", ("C",), False),
        ("letter", "B", ("C",), False),
        ("label", "very negative\nReview: ...", ("very negative",), True),
        ("label", "very negative.", ("negative",), False),
        ("label", "Negative", ("negative",), True),
    ],
)
def test_the_metrics_by_hand(metric, text, answers, right):
    assert METRICS[metric](text, answers) is right


def test_a_number_has_many_spellings():
    assert last_number("1,000") == last_number("1000.0") == last_number("#### 1000 of 7")
    assert last_number("") is None


@pytest.mark.parametrize("end", ["json", "jsonl", "parquet"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_file_is_the_same_task_in_every_kind_of_file(name, end, tmp_path):
    from datasets import Dataset

    rows, path = list(SHAPES[name](40)), tmp_path / f"rows.{end}"
    if end == "parquet":
        Dataset.from_list(rows).to_parquet(path)
    else:
        lines = map(json.dumps, rows)
        path.write_text(json.dumps(rows) if end == "json" else "\n".join(lines), encoding="utf-8")
    task = find_learning(str(path))
    assert (len(task.train), len(task.test), task.left_out) == (32, 8, ())
    (tmp_path / "again.json").write_text(json.dumps(rows), encoding="utf-8")
    again = find_learning(str(tmp_path / "again.json"))
    assert (task.train, task.test, task.metric) == (again.train, again.test, again.metric)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A place where `datasets` finds sets by owner/name without a network: folders of that name."""
    monkeypatch.chdir(tmp_path)
    for id, name, config, other in (
        ("openai/gsm8k", "gsm8k", "main", "test"),
        ("allenai/qasc", "qasc", None, "validation"),
        ("SetFit/sst5", "sst5", None, "test"),
        ("openlifescienceai/medmcqa", "medmcqa", None, "validation"),
        ("locuslab/TOFU", "tofu", "forget10", "other"),
    ):
        splits = {"train": SHAPES[name](90), other: SHAPES[name](30, 1000)}
        hub_folder(tmp_path, id, config, splits)
    return tmp_path


@pytest.mark.parametrize(
    "name, train, test",
    [("gsm8k", 90, 30), ("qasc", 90, 30), ("sst5", 90, 30), ("dental", 30, 10), ("psychol", 30, 10)],
)
def test_a_known_set_comes_by_its_name_with_its_own_splits(hub, name, train, test):
    task = find_learning(name)
    assert (len(task.train), len(task.test)) == (train, test)
    assert all("100" in s.prompt or "101" in s.prompt or "102" in s.prompt for s in task.test)
    kind = {"dental": {"Dental"}, "psychol": {"Psychiatry"}}.get(name, {""})
    assert {s.kind for s in task.train + task.test} == kind
    assert find_forgetting(name) == task


def test_forgetting_tasks_of_one_kind_keep_their_metric(hub):
    both = find_forgetting("dental,psychol")
    assert both.metric == "letter" and {s.kind for s in both.train} == {"Dental", "Psychiatry"}
    mixed = find_forgetting("dental,capital")
    assert mixed.metric == "contains" and find_forgetting("gsm8k,dental").max_new == 256


def test_any_set_of_the_hub_comes_by_its_id_and_columns_can_be_mapped(hub):
    task = find_learning("hub:locuslab/TOFU:forget10")
    assert len(task.train) + len(task.test) == 90 and task.metric == "contains"
    turned = find_learning(
        "hub:locuslab/TOFU:forget10@other", columns={"question": "answer", "answer": "question"}
    )
    assert {s.answer[:5] for s in turned.train} == {"Where"} and len(turned.train) + len(turned.test) == 30
    assert [s.row for s in read_source("hub:openai/gsm8k:main@test").samples] == list(range(1, 31))


def test_a_file_stands_in_for_a_known_set(hub):
    rows = list(SHAPES["medmcqa"](90))
    (hub / "mine.json").write_text(json.dumps(rows), encoding="utf-8")
    assert len(find_learning("psychol=mine.json").train) == 24
    (hub / "mine.json").write_text(json.dumps([r | {"subject_name": "ENT"} for r in rows]), encoding="utf-8")
    with pytest.raises(BadTask, match="no row has the subject_name 'Dental': there are ENT"):
        find_learning("dental=mine.json")


@pytest.mark.parametrize(
    "name, said",
    [
        ("hub:nobody/nothing", "hub:nobody/nothing@train cannot be fetched: HF_HUB_OFFLINE is set"),
        ("hub:openai/gsm8k:socratic", "hub:openai/gsm8k:socratic@train cannot be read: .*socratic"),
        ("hub:openai/gsm8k:main@validation", "hub:openai/gsm8k:main@validation cannot be read: .*validation"),
        ("hub:openai", "names no data set: write hub:owner/name"),
        ("hub:../../etc", "names no data set"),
        ("gsm9k", "no learning task 'gsm9k'"),
    ],
)
def test_a_set_that_cannot_be_had_is_told_in_a_sentence(hub, name, said):
    with pytest.raises((BadTask, UnknownTask), match=said):
        find_learning(name)


def test_an_id_is_checked_before_anything_is_asked():
    assert str(source("hub:a/b:c@d[:10%]")) == "hub:a/b:c@d[:10%]"
    for bad in (
        "hub:a/b/c",
        "hub:a",
        "hub:/b",
        "hub:a/..",
        "hub:a b/c",
        "hub:a/b:",
        "a/b",
        "hub:https://x/y",
    ):
        with pytest.raises(NoSet):
            source(bad)


def test_questions_longer_than_the_model_looks_are_left_out_and_counted(tiny_gpt2):
    room = tiny_gpt2.model.config.max_position_embeddings
    rows = [{"question": f"What is {i}?", "answer": str(i)} for i in range(30)]
    rows[3]["answer"], rows[4]["question"] = "x y " * room, "z w " * 400 + "?"
    task = read_task(json.dumps(rows), "x")
    short = fitting(tiny_gpt2, task)
    assert len(short.train) + len(short.test) == 28 and fitting(tiny_gpt2, short) == short
    assert short.left_out == ("2 questions that are too long for this model, with their answers",)


def test_a_reasoned_answer_has_its_tokens_but_no_more_than_the_model_has_positions(tiny_gpt2):
    samples = [form_of(r).sample(r) for r in SHAPES["gsm8k"](6)]
    prompts = [s.prompt for s in samples]
    right = does(tiny_gpt2, samples, "number", new=256)
    assert right == does(tiny_gpt2, samples, "number", new=256, chunk=1, side="right")
    room = tiny_gpt2.model.config.max_position_embeddings
    ids = prompt_ids(tiny_gpt2.tokenizer, prompts)
    texts = [
        greedy(tiny_gpt2.model, tiny_gpt2.tokenizer, [p], min(256, room - len(i)))[0]
        for p, i in zip(prompts, ids, strict=True)
    ]
    assert right == [METRICS["number"](t, s.answers) for t, s in zip(texts, samples, strict=True)]
