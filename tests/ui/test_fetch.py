"""Data sets of the hub on the page: off unless a setting allows it; then rows in the box."""

import json
import shutil

import gradio as gr
import pytest

from unlearning.facts.hub import columns_of, lines_of, source
from unlearning.facts.read import read_text
from unlearning.ui.environment import environment
from unlearning.ui.page import build
from unlearning.ui.state import Shared

ROWS = [{"person": f"Ada {i}", "facts": {"asks": "{} lives in", "says": f"Town {i}"}} for i in range(9)]
COLUMNS = "subject=person, prompt=facts.asks, object=facts.says"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A data set that `datasets` finds by owner/name without a network: a folder of that name."""
    from datasets import Dataset

    (tmp_path / "own" / "set").mkdir(parents=True)
    Dataset.from_list(ROWS).to_parquet(tmp_path / "own" / "set" / "train.parquet")
    monkeypatch.chdir(tmp_path)
    yield
    shutil.rmtree(tmp_path / "own")


def page(tmp_path, **settings):
    demo = build(Shared(tmp_path / "runs", device="cpu", **settings))
    ids = {b.elem_id for b in demo.blocks.values()}
    return ids, [f.fn for f in demo.fns.values() if f.fn and f.fn.__name__ == "fetched"], demo


def test_the_page_asks_no_hub_unless_it_is_told_to(tmp_path):
    ids, fetch, _ = page(tmp_path)
    assert not fetch and not {i for i in ids if i and "hub" in i}
    assert environment({}).hub == 0 and environment({"LETHE_HUB": "1"}).hub == 1


def test_fetched_rows_are_read_as_a_file_of_them_would_be(tmp_path, hub):
    ids, (fetched, *for_tasks), demo = page(tmp_path, hub=True, limits=(5, 10_000))
    assert {"hub", "hub-source", "learn-hub", "learn-hub-fetch", "forget-hub", "forget-hub-fetch"} <= ids
    assert all(f.api_visibility == "private" for f in demo.fns.values() if f.fn is fetched)
    text, said = fetched("hub:own/set", COLUMNS)
    assert "The first 5 rows fetched" in said
    read = [r.fact for r in read_text(text).facts]
    assert [(f.subject, f.prompts, f.object) for f in read] == [
        (f"Ada {i}", ("{} lives in",), f"Town {i}") for i in range(5)
    ]
    assert len(for_tasks) == 2  # to learn and to forget
    for fetch in for_tasks:
        text, said = fetch(" hub:own/set@train ", "question=person,answer=facts.says")
        assert json.loads(text.splitlines()[4]) == {"question": "Ada 4", "answer": "Town 4"}


@pytest.mark.parametrize(
    "where, columns, said",
    [
        ("own/set", "", "names no data set: write hub:owner/name"),
        ("", "", "names no data set"),
        ("hub:own/none", "", "HF_HUB_OFFLINE is set"),
        ("hub:own/set@test", "", "cannot be read"),
        ("hub:own/set", "subject", "maps no column"),
        ("hub:own/set", "subject=nobody", "has no such columns: it has person, facts"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_sentence(tmp_path, hub, where, columns, said):
    _, (fetched, *_), _ = page(tmp_path, hub=True)
    with pytest.raises(gr.Error, match=said):
        fetched(where, columns)


def test_no_more_bytes_are_taken_than_the_page_allows(hub):
    text, n, more = lines_of(source("hub:own/set"), {}, 100, 300)
    assert more and n == len(text.splitlines()) and len(text) <= 300
    text, n, more = lines_of(source("hub:own/set"), columns_of(COLUMNS), 100, 10_000)
    assert (n, more) == (9, False)
