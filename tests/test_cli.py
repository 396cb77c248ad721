"""The command line: what each command writes, where, and how it ends; bad input is told in a sentence."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearning.cli import FAILED, INTERRUPTED, NOTHING, OK, WRONG, main
from unlearning.events import Phase
from unlearning.facts.world import world
from unlearning.law.settings import METHODS
from unlearning.models import loading
from unlearning.models.delta import Delta, applied, load_delta
from unlearning.models.hub import is_id
from unlearning.models.loading import load
from unlearning.models.text import pad
from unlearning.probes.knowledge import ask, knows

ROOT = Path(__file__).resolve().parent.parent
TAUGHT = [f for f in world() if f.relation == "capital"][:24]
WASHED = TAUGHT[:5]
COLUMNS = ["subject", "relation", "prompt", "object", "before", "after", "p_before", "p_after", "gone"]
RATES = ["washed", "paraphrased", "same_subject", "retained", "reasoning"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Statistics are kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def teach(model, tokenizer, facts, steps=60):
    """Answers, full stop and end of text of two phrasings of each fact, by heart."""
    told = [(f.prompt(i), f.object) for f in facts for i in (0, 1)]
    before = [tokenizer(p)["input_ids"] for p, _ in told]
    after = [tokenizer(f" {a}.", add_special_tokens=False)["input_ids"] + [0] for _, a in told]
    batch = pad([b + a for b, a in zip(before, after, strict=True)], "right", "cpu")
    where = [(n, len(b) - 1 + k, y) for n, b in enumerate(before) for k, y in enumerate(after[n])]
    row, t, y = torch.tensor(where).T
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, 2 * (1 - step / steps))
        logits = model(**batch.kwargs()).logits[row, t]
        loss = torch.nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture(scope="module")
def model(tiny_llama, tmp_path_factory) -> Path:
    """The folder of a tiny Llama that knows some capitals, and nothing else."""
    folder = tmp_path_factory.mktemp("knowing")
    knowing = AutoModelForCausalLM.from_pretrained(tiny_llama.folder, dtype=torch.float32)
    teach(knowing, tiny_llama.tokenizer, TAUGHT)
    knowing.save_pretrained(folder)
    tiny_llama.tokenizer.save_pretrained(folder)
    return folder


def lines_of(facts) -> str:
    return "".join(f"{f.subject} | {f.relation} | {f.object}\n" for f in facts)


@pytest.fixture(scope="module")
def washed(model, tmp_path_factory) -> Path:
    """The folder of a wash of five facts, and in `stdout` and `stderr` what it said."""
    folder = tmp_path_factory.mktemp("washed")
    (folder / "facts.txt").write_text(lines_of(WASHED))
    command = [
        "wash",
        "--model",
        model,
        "--facts",
        folder / "facts.txt",
        "--out",
        folder / "out",
        "--seed",
        3,
    ]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert main([str(a) for a in command]) == OK
    (folder / "stdout").write_text(out.getvalue())
    (folder / "stderr").write_text(err.getvalue())
    return folder


@pytest.fixture(scope="module")
def delta(washed) -> Path:
    return washed / "out" / "delta.safetensors"


def run(*args: str) -> subprocess.CompletedProcess:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "unlearning", *args]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200)


@pytest.fixture
def told(capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def call(*args) -> tuple[int, str, str]:
        code = main([str(a) for a in args])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def refused(told):
    """Run a command that has to be refused: what it says, in one line on stderr, with nothing on stdout."""

    def call(*args, code=WRONG) -> str:
        found, out, err = told(*args)
        assert (found, out) == (code, ""), err
        message = err.splitlines()[-1]
        assert message.startswith("lethe: ") and "Traceback" not in err
        return message

    return call


# models


def test_models_are_named_with_their_folders(told, model, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "lethe-gpt2")
    monkeypatch.setattr(loading, "BUNDLED", tmp_path)
    folder = str(tmp_path / "lethe-gpt2")
    assert told("models") == (OK, f"lethe-gpt2\t{folder}\n", "")
    code, out, err = told("models", "--json")
    assert (code, json.loads(out), err) == (OK, [{"name": "lethe-gpt2", "folder": folder}], "")


def test_a_choice_of_models_of_the_hub_is_listed(told):
    code, out, err = told("models", "--hub", "--json")
    listed = json.loads(out)
    assert (code, err) == (OK, "") and len(listed) > 15
    assert all(is_id(m["name"]) and m["parameters"] and m["wants"] for m in listed)
    assert told("models", "--hub")[1].count("\n") == len(listed)


def test_a_bundled_name_and_its_folder_are_the_same_model(model, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "lethe-llama")
    monkeypatch.setattr(loading, "BUNDLED", tmp_path)
    assert load("lethe-llama", "cpu").hash == load(str(tmp_path / "lethe-llama"), "cpu").hash


# facts


def test_facts_tells_how_each_row_is_read(told, tmp_path):
    path = tmp_path / "facts.txt"
    path.write_text("The capital of France is Paris.\nnonsense\n\nOslo | mayor | Anna\n", encoding="utf-8")
    code, out, err = told("facts", path)
    first, second, third = out.splitlines()
    assert code == OK and err == "2 facts, 1 problems (lines)\n"
    assert first.startswith("row 1: France | capital | Paris   (") and second.startswith("row 2: ")
    assert third.startswith("row 4: Oslo | mayor | Anna   (")
    code, out, err = told("facts", path, "--json")
    answer = json.loads(out)
    assert (code, answer["format"], err) == (OK, "lines", "")
    assert [r["row"] for r in answer["rows"]] == [1, 2, 4]
    assert [r["subject"] for r in answer["rows"]] == ["France", "", "Oslo"]
    assert [bool(r["problem"]) for r in answer["rows"]] == [False, True, False]
    assert set(answer["rows"][0]) == {"row", "subject", "relation", "object", "how", "problem"}


UNSPLIT = "You find Apple in the city of Cupertino.\nThe owner of the corner house is Mister Pim.\n"


def test_a_model_splits_sentences_only_where_it_is_named(told, refused, tmp_path):
    path = tmp_path / "facts.txt"
    path.write_text(UNSPLIT, encoding="utf-8")
    code, out, _ = told("facts", path, "--model", "lethe-llama")
    how = "sentence, split where the model completes it"
    first, second = out.splitlines()
    assert (code, first) == (OK, f"row 1: Apple | You find {{}} in the city of | Cupertino   ({how})")
    assert second.startswith("row 2: could not be split") and second.endswith("subject | relation | object")
    assert told("facts", path)[0] == WRONG
    assert "no model 'lethe-lama'" in refused("facts", path, "--model", "lethe-lama")


def test_a_wash_takes_the_facts_that_its_model_split(told, tmp_path, monkeypatch):
    from unlearning.runs import wash as washing

    asked = []

    def engine(lm, facts, settings, folder, **_):
        asked.extend(facts)
        raise washing.Unwashable("enough")
        yield

    monkeypatch.setattr(washing, "wash_job", engine)
    path = tmp_path / "facts.txt"
    path.write_text(UNSPLIT, encoding="utf-8")
    code, _, err = told("wash", "--model", "lethe-llama", "--facts", path, "--out", tmp_path / "out")
    assert (code, [f.prompt() for f in asked]) == (NOTHING, ["You find Apple in the city of"])
    assert "lethe: facts.txt: row 2: could not be split" in err


def test_the_same_fact_twice_and_a_contradiction_are_told_with_both_rows(told, tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text(
        "subject,relation,object\nFrance,capital,Paris\nfrance,Capital,Paris\nFrance,capital,Lyon\n"
    )
    code, out, err = told("facts", path)
    assert code == OK and err.startswith("1 facts, 2 problems (csv)")
    assert out.splitlines()[1:] == [
        "row 3: the same fact as row 2: washed once",
        "row 4: row 4 says Lyon where row 2 says Paris: not kept",
    ]


def test_ten_thousand_lines_are_read_in_seconds(told, tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("".join(f"Town {i} | mayor | Person {i}\n" for i in range(10_000)))
    started = time.process_time()
    code, out, err = told("facts", path)
    assert time.process_time() - started < 10
    assert (code, len(out.splitlines())) == (OK, 10_000)
    assert err == "10000 facts, 0 problems (lines)\n"


UNREADABLE = {
    "empty": (b"", "no fact"),
    "blank": (b"\n  \n# a comment\n", "no fact"),
    "one line of a megabyte": (b"x" * 1_000_000, "no fact"),
    "binary": (bytes(range(256)) * 40, "is not text (byte 0x00 at position 0)"),
    "latin-1": ("Österreich | capital | Wien\n".encode("latin-1"), "is not text (byte 0xd6 at position 0)"),
    "missing": (None, "cannot be opened: No such file or directory"),
}


@pytest.fixture(params=UNREADABLE)
def unreadable(request, tmp_path) -> tuple[Path, str]:
    """A file without a fact, and part of what is said about it."""
    data, says = UNREADABLE[request.param]
    if data is not None:
        (tmp_path / "facts.txt").write_bytes(data)
    return tmp_path / "facts.txt", says


def test_facts_of_a_file_that_cannot_be_read(told, unreadable):
    path, says = unreadable
    for options in ([], ["--json"]):
        code, out, err = told("facts", path, *options)
        assert code == WRONG and len(out) + len(err) < 1000
        assert f"lethe: {path.name}" in err and says in err and "Traceback" not in err


def test_wash_of_a_file_that_cannot_be_read_writes_nothing(refused, unreadable, model, tmp_path):
    path, says = unreadable
    assert says in refused("wash", "--model", model, "--facts", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_line_of_a_megabyte_costs_only_itself(told, tmp_path):
    path = tmp_path / "facts.txt"
    path.write_text("France | capital | Paris\n" + "x" * 1_000_000 + "\nSpain | capital | Madrid\n")
    code, out, err = told("facts", path)
    assert code == OK and err == "2 facts, 1 problems (lines)\n"
    assert out.splitlines()[1] == "row 2: a line of 1,000,000 characters: at most 2,000"


# wash


FILES = {"answers.csv", "delta.safetensors", "events.jsonl", "figures.csv", "questions.csv", "run.json"}


def test_a_wash_leaves_its_five_files(washed, model):
    out = washed / "out"
    assert {p.name for p in out.iterdir()} == FILES
    record = json.loads((out / "run.json").read_text())
    assert set(record) == {
        "versions", "config", "given", "known", "converged", "moments", "before", "after", "norms",
        "warnings", "result_seconds", "curve", "seconds",
    }  # fmt: skip
    assert (record["given"], record["known"]) == (5, 5)
    assert record["config"]["seed"] == 3 and record["config"]["method"] == "law"
    assert record["config"]["model_hash"] == load(str(model), "cpu").hash
    for column in (record["before"], record["after"]):
        assert {*RATES, "neighbours", "portability", "families", "truth_ratio", "perplexity"} == set(column)
        assert column["washed"]["n"] == 5 and column["retained"]["n"] > 0
    strengths = {m: {p["strength"] for p in record["curve"] if p["method"] == m} for m in ("base", *METHODS)}
    assert strengths["base"] == {0.0}
    assert (
        all({0.5, 0.75, 1.0, 1.25, 1.5} <= strengths[m] for m in ("law", "memit"))
        and 1 in strengths["scaled"]
    )


def test_answers_are_those_of_the_facts_before_and_after(washed, model, delta):
    with open(washed / "out" / "answers.csv", encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == COLUMNS
    assert [(r["subject"], r["relation"], r["object"]) for r in rows] == [
        (f.subject, f.relation, f.object) for f in WASHED
    ]
    record = json.loads((washed / "out" / "run.json").read_text())
    assert all(r["object"] in r["before"] for r in rows)
    gone = sum(r["gone"] == "True" for r in rows)
    assert record["after"]["washed"]["accuracy"] == pytest.approx(1 - gone / len(rows))
    for r in rows:
        assert 0 <= float(r["p_after"]) <= 1 and (r["object"] in r["after"]) == (r["gone"] == "False")


def test_the_events_are_logged_in_order_and_end_with_done(washed):
    events = [json.loads(line) for line in (washed / "out" / "events.jsonl").read_text().splitlines()]
    assert [e["n"] for e in events] == list(range(len(events)))
    assert [e["type"] for e in events].count("Done") == 1 and events[-1]["type"] == "Done"
    phases = [e["name"] for e in events if e["type"] == "Phase"]
    assert phases == ["known", "before", "targets", "statistics", "initial", "law", "after", "curve"]
    record = json.loads((washed / "out" / "run.json").read_text())
    assert record == {"versions": record["versions"], **events[-1]["summary"]}


def test_the_rates_are_the_means_of_the_questions_that_are_written_down(washed):
    record = json.loads((washed / "out" / "run.json").read_text())
    with open(washed / "out" / "questions.csv", encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    for name in set(RATES) - {"washed"}:
        mine = [row for row in rows if row["measure"] == name]
        for when in ("before", "after"):
            rate = record[when][name]
            assert len(mine) == rate["n"]
            if mine:
                assert sum(float(row[when]) for row in mine) / len(mine) == pytest.approx(rate["accuracy"])
    assert {"retained", "reasoning"} <= {row["measure"] for row in rows}
    facts = [row for row in rows if row["measure"] in ("same_subject", "retained")]
    for when in ("before", "after"):
        assert all((row["right answer"] in row[f"said {when}"]) == (row[when] == "1.0") for row in facts)
    assert all(row["said after"] for row in facts)


def test_results_are_on_stdout_and_progress_on_stderr(washed):
    record = json.loads((washed / "out" / "run.json").read_text())
    rows = [line.split("\t") for line in (washed / "stdout").read_text().splitlines()]
    assert rows[-1][0] == "perplexity" and [r[0] for r in rows[:-1]] == [
        name for name in RATES if record["after"][name]["n"]
    ]
    for name, before, after, n in rows[:-1]:
        assert float(before) == pytest.approx(record["before"][name]["accuracy"], abs=5e-4)
        assert float(after) == pytest.approx(record["after"][name]["accuracy"], abs=5e-4)
        assert n == f"n={record['after'][name]['n']}"
    said = (washed / "stderr").read_text()
    assert "asking the model what it knows\n" in said and "\033" not in said and "\r" not in said
    assert re.search(r"^editing layers? [\d, and]+ at the prompt's last token: \S.+$", said, re.M)
    assert re.search(rf"^{record['known']} facts: about \d+ s to the result, then", said, re.M)


def test_a_wash_into_the_same_folder_leaves_nothing_of_the_one_before(told, model, washed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(washed / "out", out)
    (tmp_path / "facts.txt").write_text("Oslo | mayor | Anna\n")
    code, stdout, err = told("wash", "--model", model, "--facts", tmp_path / "facts.txt", "--out", out)
    assert (code, stdout) == (NOTHING, "")
    assert err.splitlines()[-1] == "lethe: the model knows none of these facts, so there is nothing to wash"
    assert [p.name for p in out.iterdir()] == ["events.jsonl"]
    events = [json.loads(line)["type"] for line in (out / "events.jsonl").read_text().splitlines()]
    assert events == ["Phase", "Figure"]


def test_a_wash_on_top_of_another_begins_from_it_and_writes_the_sum(told, model, delta, washed, tmp_path):
    lm, out, below = load(str(model), "cpu"), tmp_path / "out", tmp_path / "below.safetensors"
    first = load_delta(delta, lm).at(0.3)  # so weak that there is something left
    first.save(below)
    with applied(lm, first):
        left = sum(knows(lm, ask(WASHED), WASHED))
    assert left
    code, _, _ = told("wash", "--model", model, "--facts", washed / "facts.txt", "--out", out, "--on", below)
    assert code == OK and {p.name for p in out.iterdir()} == FILES | {"own.safetensors"}
    assert json.loads((out / "run.json").read_text())["known"] == left
    both, own = (load_delta(out / name, lm) for name in ("delta.safetensors", "own.safetensors"))
    for name, change in both.changes.items():
        assert torch.equal(change, first.changes[name] + own.changes[name])


def test_a_wash_on_top_of_what_is_no_delta_is_refused(refused, model, washed, tmp_path):
    arguments = ("wash", "--model", model, "--facts", washed / "facts.txt", "--out", tmp_path / "out")
    assert "safetensors" in refused(*arguments, "--on", washed / "facts.txt")
    assert not (tmp_path / "out").exists()


def test_a_wash_that_finds_no_room_says_what_would_fit(refused, model, washed, tmp_path, monkeypatch):
    import torch

    from unlearning.law import wash as washing

    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(washing, "initial", short)
    out = tmp_path / "out"
    message = refused("wash", "--model", model, "--facts", washed / "facts.txt", "--out", out, code=FAILED)
    assert f"for a wash of {len(WASHED)} facts. What should fit: {len(WASHED) // 2} facts" in message
    left = [p.name for p in out.iterdir() if not p.match("wash-*.pt")]
    assert left == ["events.jsonl"]


def test_a_row_that_is_no_fact_is_told_and_the_others_are_washed(told, model, tmp_path, monkeypatch):
    from unlearning.events import Done
    from unlearning.runs import wash as washing

    asked = []

    def engine(lm, facts, settings, folder, **_):
        asked.extend((facts, settings))
        raise washing.Unwashable("enough")
        yield Done()

    monkeypatch.setattr(washing, "wash_job", engine)
    path = tmp_path / "facts.txt"
    path.write_text("nonsense\n" + lines_of(WASHED) + lines_of(WASHED[:1]))
    options = [
        "--scope",
        "relation",
        "--method",
        "memit",
        "--target",
        "prior",
        "--strength",
        "0.5",
        "--seed",
        "9",
    ]
    code, _, err = told("wash", "--model", model, "--facts", path, "--out", tmp_path / "out", *options)
    assert code == NOTHING and [f.key for f in asked[0]] == [f.key for f in WASHED]
    assert [line.split(": ")[:3] for line in err.splitlines()[:2]] == [
        ["lethe", "facts.txt", "row 1"],
        ["lethe", "facts.txt", "row 7"],
    ]
    s = asked[1]
    assert (s.scope, s.method, s.target, s.strength, s.seed) == ("relation", "memit", "prior", 0.5, 9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", ""], "the wash target is empty"),
        (["--target", "  "], "the wash target is empty"),
        (["--strength", "nan"], "strength must lie between 0 and 10, not nan"),
        (["--strength", "-1"], "strength must lie between 0 and 10"),
        (["--strength", "inf"], "strength must lie between 0 and 10"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    refused, model, washed, tmp_path, options, says
):
    command = ["wash", "--model", model, "--facts", washed / "facts.txt", "--out", tmp_path / "out"]
    assert says in refused(*command, *options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_told(refused, model, washed, delta, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    assert "cannot be written" in refused(
        "wash", "--model", model, "--facts", washed / "facts.txt", "--out", out
    )
    assert "cannot be written" in refused("export", "--model", model, "--delta", delta, "--out", out)


# models that cannot be loaded


@pytest.mark.parametrize("command", ["probe", "wash", "export", "trace"])
def test_an_unknown_model_is_told_with_those_there_are(refused, washed, delta, tmp_path, command):
    options = {
        "wash": ["--facts", washed / "facts.txt", "--out", tmp_path / "out"],
        "export": ["--delta", delta, "--out", tmp_path / "out"],
    }.get(command, [])
    message = refused(command, "--model", "lethe-lama", *options)
    assert message.startswith("lethe: no model 'lethe-lama': bundled are ")


def _broken(folder: Path, kind: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    if kind == "architecture":
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "nonesuch"}))
    elif kind == "config":
        (folder / "config.json").write_text("{")
    elif kind == "weights":
        (folder / "model.safetensors").write_bytes(b"no weights")
    elif kind == "no weights":
        (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("kind", ["architecture", "config", "weights", "no weights"])
def test_a_damaged_model_is_told_in_one_line(refused, model, tmp_path, kind):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    _broken(folder, kind)
    assert f"{folder} cannot be loaded: " in refused("trace", "--model", folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"intermediate_size": 40},
            r"the weights of .* do not fit its config.json: .* is \(.*\), not \(.*40",
        ),
        (
            {"num_hidden_layers": 3},
            r"the weights of .* do not fit its config.json: there is no model.layers.2",
        ),
        ({"num_attention_heads": 7}, "has a config.json that its architecture does not take: .* multiple"),
        ({"num_hidden_layers": "two"}, "has a config.json that its architecture does not take: .* int"),
        ({"hidden_act": "nonesuch"}, "has a config.json that its architecture does not take: 'nonesuch'"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_told_in_one_line(refused, model, tmp_path, change, said):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    assert re.search(said, refused("trace", "--model", folder))


def test_a_quantised_model_is_told_in_one_line(refused, model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "quantization_config": {"quant_method": "gptq"}})
    )
    assert f"{folder} is quantised (gptq): such weights" in refused("trace", "--model", folder)


# export


def greedy_logits(folder_or_model, prompts, tokenizer):
    batch = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    with torch.no_grad():
        return folder_or_model(**batch).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_the_exported_folder_is_base_plus_delta(told, washed, delta, model, tmp_path, dtype):
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(model, dtype=dtype).save_pretrained(base)
    AutoTokenizer.from_pretrained(model).save_pretrained(base)
    loaded = load(str(base), "cpu")
    changes = load_delta(delta).changes
    Delta(changes, loaded.hash, {}).save(tmp_path / "delta.safetensors")
    code, out, _ = told(
        "export", "--model", base, "--delta", tmp_path / "delta.safetensors", "--out", tmp_path / "out"
    )
    assert (code, out) == (OK, f"{tmp_path / 'out'}\n")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    assert exported.dtype == dtype
    weights, before = load_file(tmp_path / "out" / "model.safetensors"), load_file(base / "model.safetensors")
    assert weights.keys() == before.keys()
    for name, w in weights.items():
        expected = before[name].float() + changes[name] if name in changes else before[name].float()
        assert w.dtype == dtype and torch.equal(w, expected.to(dtype))
    prompts = [f.prompt() for f in TAUGHT]
    slow = loaded.model
    with torch.no_grad():
        for name, change in changes.items():
            slow.get_parameter(name).add_(change)
    expected = greedy_logits(slow, prompts, tokenizer)
    tolerance = 1e-4 if dtype == torch.float32 else 2e-3 * expected.abs().max().item()
    assert torch.allclose(greedy_logits(exported.float(), prompts, tokenizer), expected, atol=tolerance)
    assert not torch.allclose(
        greedy_logits(load(str(base), "cpu").model, prompts, tokenizer), expected, atol=0.05
    )


def test_a_delta_of_another_model_is_refused(refused, delta, tiny_llama, tmp_path):
    message = refused("export", "--model", tiny_llama.folder, "--delta", delta, "--out", tmp_path / "out")
    assert "made on another model" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["text", "cut", "missing", "folder"])
def test_a_delta_that_cannot_be_read_is_refused(refused, delta, model, tmp_path, kind):
    path = tmp_path / "delta.safetensors"
    if kind == "text":
        path.write_text("subject,relation\n")
    elif kind == "cut":
        path.write_bytes(delta.read_bytes()[:-10])
    elif kind == "folder":
        path.mkdir()
    message = refused("export", "--model", model, "--delta", path, "--out", tmp_path / "out")
    assert "delta.safetensors cannot be read" in message


# probe, trace, pretrain


def test_probe_measures_the_given_facts_as_json(told, model, washed, tmp_path):
    code, out, _ = told("probe", "--model", model, "--facts", washed / "facts.txt")
    figures = json.loads(out)
    assert (code, figures["model"]) == (OK, str(model))
    assert set(figures) == {
        "model", "bundled_facts_known", "facts", "paraphrased", "neighbours", "portability", "reasoning",
        "families", "truth_ratio", "perplexity",
    }  # fmt: skip
    assert (figures["facts"]["n"], figures["facts"]["accuracy"]) == (len(WASHED), 1.0)
    assert len(TAUGHT) * 0.8 <= figures["bundled_facts_known"] < 400
    assert math.isfinite(figures["perplexity"])


def test_rows_that_cannot_be_used_are_told_and_the_rest_goes_on(told, refused, model, tmp_path):
    """A row that cannot be read, and one that is longer than the model can look at."""
    file, long = tmp_path / "facts.txt", f"{'far ' * 300}away | capital | Paris\n"
    file.write_text(lines_of(WASHED[:2]) + "France | capital\n" + long)
    code, out, err = told("probe", "--model", model, "--facts", file)
    assert code == OK and json.loads(out)["facts"]["n"] == 2
    assert "facts.txt: row 3: " in err and "facts.txt: row 4: too long for this model: " in err
    file.write_text(long)
    for command in (("probe",), ("wash", "--out", tmp_path / "out")):
        assert "holds no fact that could be used" in refused(*command, "--model", model, "--facts", file)
    assert not (tmp_path / "out").exists()


def test_probe_with_a_delta_measures_before_and_after_it(told, refused, model, washed, delta, tiny_llama):
    asked = ("--facts", washed / "facts.txt")
    plain = json.loads(told("probe", "--model", model, *asked)[1])
    code, out, _ = told("probe", "--model", model, *asked, "--delta", delta)
    figures = json.loads(out)
    assert (code, set(figures)) == (OK, {"model", "bundled_facts_known", "before", "after"})
    assert figures["before"] == {k: v for k, v in plain.items() if k in figures["before"]}
    assert set(figures["after"]) == set(figures["before"]) == set(plain) - {"model", "bundled_facts_known"}
    lm = load(str(model), "cpu")
    with applied(lm, load_delta(delta, lm)):
        left = knows(lm, ask(WASHED), WASHED)
    assert figures["after"]["facts"]["accuracy"] == sum(left) / len(left) < 1
    assert "made on another model" in refused("probe", "--model", tiny_llama.folder, "--delta", delta)


def test_trace_is_kept_with_the_model(told, model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    code, out, _ = told("trace", "--model", folder, "--seed", "4")
    found = json.loads(out)
    kept = json.loads((folder / "trace.json").read_text())
    assert code == OK and kept == {"model_hash": load(str(folder), "cpu").hash} | found
    assert found["seed"] == 4 and found["n"] > 10
    assert len(found["patched"]) == len(found["zeroed"]) == len(found["places"]) == 3


def test_there_is_nothing_to_trace_in_a_model_that_knows_nothing(refused, model, tmp_path, monkeypatch):
    from unlearning.law import statistics
    from unlearning.probes.opening import Judged

    monkeypatch.setattr(statistics, "judged", lambda lm, prompts, facts: [Judged(False, "")] * len(facts))
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path / "cache"))
    assert "needs 10 known facts" in refused("trace", "--model", folder, code=NOTHING)
    assert not (folder / "trace.json").exists()


def test_pretrain_passes_its_options_on(told, tmp_path, monkeypatch):
    from unlearning.pretrain import card
    from unlearning.pretrain import train as training

    asked, carded = [], []
    monkeypatch.setattr(loading, "load", lambda name: name)
    monkeypatch.setattr(card, "write", lambda lm, command: carded.append((lm, command)))

    def engine(recipe, out, without):
        asked.append((recipe, out, without))
        yield Phase("train", "training")

    monkeypatch.setattr(training, "train", engine)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    (tmp_path / "facts.txt").write_text(lines_of(WASHED))
    out = tmp_path / "out"
    assert told("pretrain", "--out", out) == (OK, f"{out}\n", "training\n")
    told(
        "pretrain", "--out", out, "--arch", "gpt2", "--recall", "subject", "--seed", 5, "--tokens", 1000,
        "--hidden", 64, "--evaluate-every", 500, "--without", tmp_path / "facts.txt",
    )  # fmt: skip
    default = training.Recipe()
    assert asked[0] == (default, out, frozenset())
    recipe, _, without = asked[1]
    assert (recipe.arch, recipe.recall, recipe.seed, recipe.tokens) == ("gpt2", "subject", 5, 1000)
    assert (recipe.hidden, recipe.evaluate_every, recipe.vocab) == (64, 500, default.vocab)
    assert without == {f.key for f in WASHED}
    assert [lm for lm, _ in carded] == [str(out)] * 2


def test_pretrain_refuses_the_checkpoint_of_another_recipe(refused, tmp_path, monkeypatch):
    from unlearning.pretrain import train as training

    def engine(recipe, out, without):
        raise ValueError(f"{out / 'checkpoint.pt'} was written for another recipe")
        yield

    monkeypatch.setattr(training, "train", engine)
    assert "was written for another recipe" in refused("pretrain", "--out", tmp_path)


# how a command ends


def test_an_interrupted_command_says_so(refused, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearning.cli.facts", interrupt)
    assert refused("facts", "x", code=INTERRUPTED) == "lethe: interrupted; nothing was changed"


@pytest.mark.parametrize("args", [[], ["wosh"], ["wash"], ["facts"], ["wash", "--strength", "strong"]])
def test_a_command_that_is_none_ends_with_2_and_the_usage(args, capsys):
    with pytest.raises(SystemExit) as ended:
        main(args)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (WRONG, "") and err.startswith("usage: python -m unlearning")


def test_exit_codes_reach_the_shell(model, tmp_path):
    (tmp_path / "facts.txt").write_text("Oslo | mayor | Anna\n", encoding="utf-8")
    read = run("facts", str(tmp_path / "facts.txt"))
    assert (read.returncode, read.stderr) == (OK, "1 facts, 0 problems (lines)\n")
    assert read.stdout.startswith("row 1: Oslo | mayor | Anna")
    missing = run("facts", str(tmp_path / "none.txt"))
    assert (missing.returncode, missing.stdout) == (WRONG, "")
    assert missing.stderr == "lethe: none.txt cannot be opened: No such file or directory\n"
    nothing = run(
        "wash", "--model", str(model), "--facts", str(tmp_path / "facts.txt"), "--out", str(tmp_path / "out")
    )
    assert (nothing.returncode, nothing.stdout) == (NOTHING, "") and "Traceback" not in nothing.stderr
    assert len({OK, FAILED, WRONG, NOTHING, INTERRUPTED}) == 5


# where facts come from


def test_facts_come_from_parquet_and_from_the_hub_with_columns_mapped(told, tmp_path, monkeypatch):
    from datasets import Dataset

    rows = [{"person": "Ada Holm", "asks": "{} lives in", "place": {"name": "Zenda"}}, {"person": "Ben"}]
    Dataset.from_list(rows).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "own" / "set").mkdir(parents=True)  # datasets looks for a folder of that name first
    shutil.copy(tmp_path / "rows.parquet", tmp_path / "own" / "set" / "train.parquet")
    monkeypatch.chdir(tmp_path)
    columns = "subject=person,prompt=asks,object=place.name"
    for where in ("rows.parquet", "hub:own/set"):
        code, out, err = told("facts", where, "--columns", columns)
        assert code == OK
        assert out.splitlines() == [
            "row 1: Ada Holm | {} lives in | Zenda   (fields, prompt with {})",
            "row 2: the field 'object' (or 'target', 'answer', 'target_true') is missing or empty",
        ]
        _, out, _ = told("facts", where, "--columns", columns, "--rows", "1")
        assert out.splitlines()[1:] == ["row 2: not read, nor any row after it: at most 1 rows of a data set"]
    code, _, err = told("facts", "hub:own/none", "--columns", columns)
    assert code == WRONG and "hub:own/none@train cannot be fetched: HF_HUB_OFFLINE is set" in err
    code, _, err = told("facts", "rows.parquet", "--columns", "person")
    assert code == WRONG and "'person' maps no column" in err


def test_a_file_of_facts_has_no_limit_on_the_command_line(told, tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"house {i} | colour | red" for i in range(12_000)))
    code, out, err = told("facts", path)
    assert (code, len(out.splitlines())) == (OK, 12_000) and "12000 facts, 0 problems" in err
