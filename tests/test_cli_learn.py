"""`learn` and `tasks` on the command line: what they write, and how bad input ends."""

import csv
import json

import pytest

from unlearning.cli import FAILED, OK, WRONG, main
from unlearning.models.delta import applied, load_delta
from unlearning.models.loading import load
from unlearning.models.text import score

SMALL = "--samples 8 --steps 4 --seeds 2 --no-frontier --portion 0.5".split()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Statistics are kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("task") / "doubles.csv"
    path.write_text(
        "question,answer\n" + "\n".join(f"Twice {n} is,{2 * n}" for n in range(30)), encoding="utf-8"
    )
    return path


def learn(tiny, questions, out, *more):
    """On a model that knows nothing, of a task of one's own: quick, and every step is real."""
    args = [
        "learn",
        "--model",
        tiny.folder,
        "--task",
        questions,
        "--forget",
        questions,
        "--out",
        out,
        *SMALL,
        *more,
    ]
    return main([str(a) for a in args])


@pytest.fixture(scope="module")
def out(tiny_llama, questions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned") / "out"
    assert learn(tiny_llama, questions, folder) == OK
    return folder


def same(a, b):
    """Answers and weights to the last bit; safetensors writes its metadata in any order."""
    assert (a / "answers.csv").read_bytes() == (b / "answers.csv").read_bytes()
    for name in ("delta-vanilla.safetensors", "delta-lwf.safetensors"):
        assert load_delta(a / name).digest == load_delta(b / name).digest


def test_it_leaves_its_files(out):
    names = {p.name for p in out.iterdir()}
    deltas = {"delta-vanilla.safetensors", "delta-lwf.safetensors"}
    assert names == {"run.json", "confidence.csv", "answers.csv", "events.jsonl", *deltas}
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["steps"] == 4 and record["config"]["seeds"] == [0, 1]
    assert record["versions"]["torch"] and record["seconds"] > 0
    for column in ("base", "vanilla", "lwf"):
        for measure in ("learning", "forgetting", "retained", "reasoning"):
            assert set(record[column][measure]) == {"accuracy", "low", "high", "n", "per_seed"}
    assert set(record["gain"]) >= {"mean", "low", "high"}
    with open(out / "confidence.csv", encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    assert sum(r["selected"] == "True" for r in rows) == 4 and {"own", "cross", "constant"} <= set(rows[0])
    last = json.loads((out / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["type"] == "Done"


def test_the_same_command_makes_the_same_run(tiny_llama, questions, out, tmp_path):
    assert learn(tiny_llama, questions, tmp_path / "again") == OK
    same(tmp_path / "again", out)


@pytest.mark.parametrize(
    ("forgotten", "columns"),
    [
        ("asks,says", ()),
        ("ask,say", ("--forget-columns", "question=ask,answer=say")),
        ("question,answer", ("--forget-columns", "")),
    ],
)
def test_columns_are_those_of_both_sources_or_of_each(
    tiny_llama, questions, out, tmp_path, forgotten, columns
):
    rows = questions.read_text(encoding="utf-8").partition("\n")[2]
    learned, lost = tmp_path / "a" / questions.name, tmp_path / "b" / questions.name
    for path, header in ((learned, "asks,says"), (lost, forgotten)):
        path.parent.mkdir()
        path.write_text(f"{header}\n{rows}", encoding="utf-8")
    more = ("--forget", lost, "--columns", "question=asks,answer=says", *columns)
    assert learn(tiny_llama, learned, tmp_path / "out", *more) == OK
    same(tmp_path / "out", out)


def test_the_delta_can_be_exported(tiny_llama, out, tmp_path):
    args = [
        "export",
        "--model",
        tiny_llama.folder,
        "--delta",
        out / "delta-lwf.safetensors",
        "--out",
        tmp_path / "m",
    ]
    assert main([str(a) for a in args]) == OK
    exported = load(str(tmp_path / "m"), device="cpu")
    (a,) = score(exported.model, exported.tokenizer, ["Twice 3 is"], ["6"])
    with applied(tiny_llama, load_delta(out / "delta-lwf.safetensors", tiny_llama)):
        (b,) = score(tiny_llama.model, tiny_llama.tokenizer, ["Twice 3 is"], ["6"])
    assert a.logp == pytest.approx(b.logp, abs=1e-4)


def test_a_run_that_was_cut_off_goes_on(tiny_llama, questions, out, tmp_path, monkeypatch):
    """Killed after its first seed, as a run of one seed leaves it; the second seed alone is run then."""
    from unlearning.lwf import experiment

    folder, ran, real = tmp_path / "cut", [], experiment._one_seed

    def one_seed(lm, task, forget, settings, *rest):
        ran.append(settings.seed)
        if settings.seed == 1 and len(ran) == 2:
            raise KeyboardInterrupt
        return real(lm, task, forget, settings, *rest)

    monkeypatch.setattr(experiment, "_one_seed", one_seed)
    assert learn(tiny_llama, questions, folder) == 130
    assert [p.name for p in folder.glob("seed-*.pt")] == ["seed-0.pt"]
    assert learn(tiny_llama, questions, folder) == OK
    assert ran == [0, 1, 1]
    assert not list(folder.glob("seed-*.pt"))
    same(folder, out)


def test_another_run_into_the_folder_begins_anew(tiny_llama, questions, tmp_path):
    (tmp_path / "seed-0.pt").write_bytes(b"no checkpoint")
    assert learn(tiny_llama, questions, tmp_path) == OK
    assert (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--task", "nonsense"), "no learning task 'nonsense': bundled are"),
        (("--forget", "nonsense"), "no forgetting task 'nonsense': bundled are"),
        (("--alpha", "-1"), "alpha must lie between"),
        (("--seeds", "11"), "give 1 to 10 different seeds"),
        (("--lr", "2"), "lr must lie between"),
    ],
)
def test_bad_input_is_told_in_a_sentence(tiny_llama, questions, tmp_path, capsys, more, said):
    assert learn(tiny_llama, questions, tmp_path / "out", *more) == WRONG
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_rows_that_cannot_be_read_are_told_and_the_rest_is_learned(tiny_llama, questions, tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text(questions.read_text(encoding="utf-8") + "\nTwice 3 is,6\nhuh,", encoding="utf-8")
    assert learn(tiny_llama, bad, tmp_path / "out") == OK
    said = capsys.readouterr().err
    assert "lethe: bad: left out: row 32: the same question as in row 5" in said
    assert "lethe: bad: left out: row 33: the field 'answer' is missing or empty" in said
    bad.write_text("question,answer\nhuh,\nwhat,4", encoding="utf-8")
    assert learn(tiny_llama, bad, tmp_path / "none") == WRONG
    assert "1 rows are too few" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_a_loss_that_runs_away_ends_the_run_with_advice(tiny_llama, questions, tmp_path, capsys):
    wild = ("--lr", "0.05", "--alpha", "20", "--steps", "200", "--interval", "1")
    assert learn(tiny_llama, questions, tmp_path / "out", *wild) == FAILED
    assert "Lower α" in capsys.readouterr().err.splitlines()[-1]


def test_tasks_are_listed(capsys):
    assert main(["tasks", "--json"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert len(found["learn"]) >= 6 and len(found["forget"]) >= 5
    assert "mixed" in [t["name"] for t in found["forget"]]
    assert all(t["about"] and t["train"] and t["test"] for kind in found.values() for t in kind)
    assert main(["tasks"]) == OK
    assert "learn\temployer-to-home-town\t" in capsys.readouterr().out


def test_how_a_task_is_read_is_shown_before_anything_runs(tmp_path, capsys):
    path = tmp_path / "own.jsonl"
    rows = [{"question": "What is 2 + 2?", "answer": "Add them.\n#### 4"}, {"question": "What is 3?"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert main(["tasks", str(path)]) == OK
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        r"row 1: 'Question: What is 2 + 2?\nAnswer:' -> 'Add them.\n#### 4'   (worked solution (gsm8k))",
        "row 2: the field 'answer' is missing or empty",
    ]
    assert "1 questions, 1 problems" in shown.err
    assert main(["tasks", str(path), "--json", "--columns", "question=nothing,answer=answer"]) == WRONG
    assert main(["tasks", "hub:a"]) == WRONG
    assert "names no data set" in capsys.readouterr().err.splitlines()[-1]
