"""Settings from outside: as said in the README, and refused by name where they cannot be."""

import asyncio
import html
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from unittest.mock import Mock

import gradio as gr
import pytest

from unlearning.ui.environment import BadSetting, Environment, environment
from unlearning.ui.launch import launch
from unlearning.ui.page import build
from unlearning.ui.state import Shared

README = Path(__file__).resolve().parents[2] / "README.md"


def test_nothing_said_is_the_default():
    assert environment({}) == Environment() == environment({"LETHE_PORT": " ", "OTHER": "x"})
    assert Environment().auth is None


def test_what_is_said_is_taken():
    said = environment(
        {"LETHE_PORT": "80", "LETHE_KEEP_HOURS": "0.5", "LETHE_LOGIN": "ann:a:b", "LETHE_MODEL": "m"}
    )
    assert (said.port, said.keep_hours, said.model, said.auth) == (80, 0.5, "m", ("ann", "a:b"))


@pytest.mark.parametrize(
    "name, text",
    [
        ("LETHE_PORT", "eighty"),
        ("LETHE_THREADS", "0"),
        ("LETHE_QUEUE", "-1"),
        ("LETHE_KEEP_HOURS", "nan"),
        ("LETHE_KEEP_HOURS", "inf"),
        ("LETHE_PORT", "99999"),
        ("LETHE_LOGIN", "ann"),
        ("LETHE_LOGIN", ":secret"),
        ("LETHE_DEVICE", "gpu"),
        ("LETHE_DEVICE", "cuda:one"),
        ("LETHE_MAX_ROWS", "0"),
        ("LETHE_MAX_BYTES", "1e6"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, text):
    with pytest.raises(BadSetting, match=name):
        environment({name: text})


def test_a_device_that_is_not_here_is_refused_at_the_start():
    env = {**os.environ, "LETHE_DEVICE": "cuda:99", "LETHE_PORT": "1"}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=README.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lethe: there is no device 'cuda:99' here")


@pytest.mark.parametrize("said, device", [("auto", None), ("cpu", "cpu")])
def test_models_are_loaded_on_the_device_that_was_said(monkeypatch, tmp_path, said, device):
    asked = []
    monkeypatch.setattr("unlearning.models.loading.load", lambda *args: asked.append(args))
    shared = Shared(tmp_path, device=said)
    shared.lm(shared.names[0])
    assert asked == [(shared.names[0], device)] and not shared.lent


def test_on_zero_gpu_models_are_loaded_on_the_cpu_and_washes_lent_unless_told_otherwise(
    monkeypatch, tmp_path
):
    monkeypatch.setattr("unlearning.ui.state.on_zero_gpu", lambda: True)
    for said, lent in (("auto", True), ("cuda", True), ("cpu", False)):
        shared = Shared(tmp_path, device=said)
        assert (shared.device, shared.lent) == ("cpu", lent)


@pytest.fixture
def narrow(tmp_path):
    """A page that takes two rows and a hundred bytes: what all share, its boxes, its functions by name."""
    shared = Shared(tmp_path, device="cpu", limits=(2, 100))
    demo = build(shared)
    boxes = {b.elem_id: b for b in demo.blocks.values()}
    functions = defaultdict(list)
    for f in demo.fns.values():
        functions[f.fn and f.fn.__name__].append(f.fn)
    return shared, boxes, functions


def test_rows_over_the_limit_are_not_read(narrow):
    text = "\n".join(f"{place} | capital | X" for place in ("France", "Japan", "Egypt"))
    _, _, functions = narrow
    rows = functions["preview"][0](text)  # the one that programs call; the page's own is the second
    assert ["subject" in row for row in rows] == [True, True, False]
    assert "at most 2 rows" in rows[2]["message"]


def test_bytes_over_the_limit_are_refused_typed_or_in_a_file(narrow, tmp_path):
    shared, boxes, functions = narrow
    of_program, of_page = functions["preview"][:2]
    with pytest.raises(gr.Error, match="larger than 100 bytes"):
        of_program("x" * 101)
    (tmp_path / "long.txt").write_text("x" * 101)
    for said in (
        of_page("x" * 101, shared.names[0], None),
        functions["of_file"][0](str(tmp_path / "long.txt")),
        asyncio.run(begun(functions["start"][0], "x" * 101, shared.names[0]))[0],
    ):
        assert "larger than 100 bytes" in html.unescape(said[boxes["read-line"]])
        assert boxes["facts"] not in said
    assert boxes["facts"].max_length == 100
    served = Mock()
    launch(served, shared)
    assert served.launch.call_args.kwargs["max_file_size"] == 100


async def begun(page, text: str, name: str) -> list[dict]:
    return [updates async for updates in page(text, name, "facts", "law", "unknown", 0, "", "")]


def test_the_readme_lists_every_setting_as_it_is():
    text = README.read_text(encoding="utf-8")
    for f in fields(Environment):
        default = "" if f.default is None else f"{f.default:g}" if isinstance(f.default, float) else f.default
        assert f"| `{f.metadata['name']}` | {f.metadata['meaning']} | {default} |" in text
