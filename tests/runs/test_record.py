"""What a run leaves behind reads back as it was, and harms nobody's spreadsheet."""

import csv
import importlib.util
import platform
import re
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unlearning
from unlearning.events import Done, Figure, Phase
from unlearning.runs.job import Runner
from unlearning.runs.record import read_run, versions, write_answers


def table(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def test_answers_read_back_with_a_mark_for_spreadsheets(tmp_path):
    rows = [
        {"fact": "Zürich, the city", "before": 'says "Limmat"\nand more', "kept": True},
        {"fact": "北京", "after": None, "probability": -0.25},
    ]
    write_answers(tmp_path / "answers.csv", rows)
    assert (tmp_path / "answers.csv").read_bytes().startswith(b"\xef\xbb\xbffact,")
    assert table(tmp_path / "answers.csv") == [
        ["fact", "before", "kept", "after", "probability"],
        ["Zürich, the city", 'says "Limmat"\nand more', "True", "", ""],
        ["北京", "", "", "", "-0.25"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\r\n@x", "\xa0-1"])
def test_formulas_become_text(tmp_path, text):
    write_answers(tmp_path / "answers.csv", [{text: text}])
    assert table(tmp_path / "answers.csv") == [["'" + text], ["'" + text]]


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1))
def test_no_cell_begins_a_formula_and_all_text_is_kept(cells):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        write_answers(path, [{"fact": fact, "answer": answer} for fact, answer in cells])
        (_, *rows) = table(path)
    for row, texts in zip(rows, cells, strict=True):
        for cell, text in zip(row, texts, strict=True):
            assert cell in (text, "'" + text)
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_half_a_character_spoils_no_table(tmp_path):
    write_answers(tmp_path / "answers.csv", [{"answer": "half \ud83d"}])
    assert table(tmp_path / "answers.csv") == [["answer"], ["half ?"]]


def test_versions_are_those_of_the_installed_packages():
    told = versions()
    assert set(told) == {"python", "torch", "transformers", "lethe"}
    assert told["python"] == platform.python_version()
    assert told["lethe"] == unlearning.__version__
    for package, file in [("torch", "version.py"), ("transformers", "__init__.py")]:
        source = Path(importlib.util.find_spec(package).origin).with_name(file).read_text()
        said = re.search(r"^__version__ = ['\"](.+)['\"]", source, re.MULTILINE)[1]
        assert told[package].partition("+")[0] == said.partition("+")[0]  # "+cpu", "+cu130" aside


def test_a_run_is_read_from_its_folder_alone(tmp_path):
    events = [Phase("a", "A"), Figure("x", 1), Figure("x", 2), Figure("y", None), Done("big", {"gone": 3})]
    with closing(Runner(tmp_path)) as runner:
        id = runner.submit({"seed": 0}, lambda: (event for event in events))
        logged = list(runner.follow(id, poll=0.005))
    assert read_run(tmp_path / id) == {
        "id": id,
        "config": {"seed": 0},
        "state": "done",
        "events": logged,
        "figures": {"x": 2, "y": None},
        "summary": {"gone": 3},
    }


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError):
        read_run(tmp_path)
