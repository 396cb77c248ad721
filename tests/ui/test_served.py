"""What programs see of the served page: preview, a streamed wash, asking; and two of them at once."""

import asyncio
import csv
import json
import os
import urllib.error
import urllib.request
import zipfile
from html import unescape

import gradio as gr
import pytest
from ui_help import FACTS, PATIENCE, PROMPT, until, weights

from unlearning.facts.examples import examples
from unlearning.facts.fact import contains
from unlearning.facts.read import read_text
from unlearning.models.delta import applied, load_delta
from unlearning.models.text import greedy
from unlearning.probes.knowledge import ask, knows
from unlearning.runs.wash import ANSWERS, DELTA, FIGURES, RECORD
from unlearning.ui import words
from unlearning.ui.ask import both
from unlearning.ui.follow import look
from unlearning.ui.launch import launch
from unlearning.ui.page import Page, build
from unlearning.ui.state import Shared
from unlearning.ui.tradeoff import asked_at, choices, off, packed, washes_on


def example(name: str) -> str:
    return next(e.text for e in examples() if e.name == name)


def test_only_the_three_functions_are_public(client):
    named = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert set(named) == {"/preview", "/wash", "/ask"}


def test_nothing_is_recorded_in_the_browser_and_no_other_file_is_served(url, told, shared):
    with urllib.request.urlopen(f"{url}config") as answer:
        assert json.load(answer)["run_history"] is False
    for path in ("/etc/passwd", str(shared.runner.root.parent), __file__):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}gradio_api/file={path}")
        assert refused.value.code in (403, 404)


def test_a_first_look_that_takes_too_long_does_not_end_the_server(monkeypatch, tmp_path):
    monkeypatch.setattr(gr.networking, "url_ok", lambda url: False)
    shared = Shared(tmp_path)
    demo = build(shared)
    try:
        launch(demo, shared, "127.0.0.1", prevent_thread_lock=True, quiet=True)
        with urllib.request.urlopen(demo.local_url) as answer:
            assert answer.status == 200
    finally:
        demo.close(verbose=False)
        shared.runner.close()


def test_preview_says_what_the_model_knows_and_what_is_wrong(client, shared):
    text = FACTS + "France | national anthem | La Marseillaise\nFrance | capital\n<b>x</b> | capital | ${x}\n"
    rows = client.predict(text, api_name="/preview")
    lm, facts = shared.lm(shared.names[0]), [r.fact for r in read_text(text).facts]
    with lm.lock:
        expected = knows(lm, ask(facts), facts)
    assert [r["row"] for r in rows] == [1, 2, 3, 4, 5, 6]
    assert [r["known"] for r in rows if "known" in r] == expected
    assert expected[:4] == [True, True, True, False]
    assert "three are expected" in rows[4]["message"]
    assert rows[5]["subject"] == "<b>x</b>"


def test_a_wash_streams_its_stages_and_ends_with_answers_and_record(told):
    assert [t["n"] for t in told] == sorted(t["n"] for t in told)
    assert {t["run"] for t in told} == {told[-1]["run"]}
    assert len({t["phase"] for t in told}) > 3
    assert told[-1]["state"] == "done" and not told[-1]["failed"]
    assert told[-1]["summary"]["known"] == len(told[-1]["answers"]) == 3


def test_the_folder_holds_what_the_stream_told(told, shared):
    folder = shared.runner.folder(told[-1]["run"])
    lm = shared.lm(shared.names[0])
    record = json.loads((folder / RECORD).read_text())
    assert record["versions"] and told[-1]["summary"].items() <= record.items()
    with open(folder / ANSWERS, encoding="utf-8-sig", newline="") as f:
        assert [row["after"] for row in csv.DictReader(f)] == [a["after"] for a in told[-1]["answers"]]
    prompts = [a["prompt"] for a in told[-1]["answers"]]
    with applied(lm, load_delta(folder / DELTA, lm)):
        assert greedy(lm.model, lm.tokenizer, prompts) == [a["after"] for a in told[-1]["answers"]]


def test_asking_both_agrees_with_the_answers_before_and_after(client, told):
    rows = told[-1]["answers"]
    for row in rows:
        said = client.predict(row["prompt"], told[-1]["run"], api_name="/ask")
        assert said == {"before": row["before"], "after": row["after"]}
        assert contains(row["before"], (row["object"],))
        assert row["gone"] is not contains(row["after"], (row["object"],))
    assert any(row["gone"] for row in rows)


def test_at_another_strength_the_facts_are_asked_again(told, shared):
    id, rows, lm = told[-1]["run"], told[-1]["answers"], shared.lm(shared.names[0])
    same, _, _ = asked_at(shared, id, 1.0)
    assert [r["after"] for r in same] == [r["after"] for r in rows]
    none, _, _ = asked_at(shared, id, 0.0)
    assert [r["after"] for r in none] == [r["before"] for r in rows]
    assert [r["p_after"] for r in none] == pytest.approx([r["p_before"] for r in rows], rel=1e-4)
    assert not any(r["gone"] for r in none)
    half, file, csv_file = asked_at(shared, id, 0.5)
    kept, delta = load_delta(shared.runner.folder(id) / DELTA, lm), load_delta(file, lm)
    assert delta.about["strength"] == 0.5
    for weight, change in delta.changes.items():
        assert (change - 0.5 * kept.changes[weight]).abs().max() < 1e-7
    with applied(lm, delta):
        assert [r["after"] for r in half] == greedy(lm.model, lm.tokenizer, [r["prompt"] for r in rows])
    assert [r["gone"] for r in half] == [not contains(r["after"], (r["object"],)) for r in half]
    with open(csv_file, encoding="utf-8-sig", newline="") as f:
        assert [row["after"] for row in csv.DictReader(f)] == [r["after"] for r in half]


def test_a_second_look_sees_the_same_result(told, shared):
    view = look(shared.runner, told[-1]["run"])
    assert (view.summary, view.figures["answers"]) == (told[-1]["summary"], told[-1]["answers"])


def test_facts_that_nobody_knows_are_refused_in_plain_words(client, shared):
    job = client.submit(example("not-known"), api_name="/wash")
    last = job.result(timeout=PATIENCE)
    assert last["state"] == "failed"
    assert "knows none of these facts" in last["failed"]


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"text": "France | capital"}, "no fact could be read"),
        ({"text": FACTS, "scope": "everything"}, "scope must be one of"),
        ({"text": FACTS, "target": " "}, "wash target is empty"),
        ({"text": FACTS, "target": "x" * 41}, "at most 40"),
        ({"text": FACTS, "seed": -1}, "whole number"),
        ({"text": FACTS, "layers": "one"}, "Layers are whole numbers"),
        ({"text": FACTS, "layers": "2, -1"}, "Layers are whole numbers"),
        ({"text": FACTS, "position": "verb"}, "position must be one of"),
        ({"text": FACTS, "model": "/etc"}, "No model"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_queued(client, asked, words):
    with pytest.raises(Exception, match=words):
        client.predict(**asked, api_name="/wash")


def test_layers_and_position_are_those_that_were_asked_for(client, shared):
    last = client.predict(FACTS, layers="2, 1", position="subject", api_name="/wash")
    assert last["state"] == "done"
    assert last["summary"]["config"]["layers"] == [1, 2]
    assert last["summary"]["config"]["position"] == "subject"
    adapter = shared.lm(shared.names[0]).adapter
    assert set(last["summary"]["norms"]) == {adapter.weight_name(i) for i in (1, 2)}
    refused = client.predict(FACTS, layers="99", api_name="/wash")
    assert refused["state"] == "failed" and "in this model, not to 99" in refused["failed"]


def test_cancelling_stops_the_run_and_puts_the_weights_back(client, shared):
    lm = shared.lm(shared.names[0])
    before = weights(lm)
    job = client.submit(example("mixed-25"), api_name="/wash")
    assert until(lambda: any(o["state"] == "running" for o in job.outputs()))
    id = job.outputs()[0]["run"]
    job.cancel()
    assert until(lambda: shared.runner.state(id) not in ("queued", "running"))
    assert shared.runner.state(id) == "stopped"
    assert weights(lm) == before


def test_the_other_visitor_never_meets_the_edit(url, shared, told):
    """While A washes, B asks the base model again and again, and its own wash too: always the same."""
    from gradio_client import Client

    a, b = Client(url, verbose=False), Client(url, verbose=False)
    base = b.predict(PROMPT, api_name="/ask")["before"]
    mine = told[-1]["run"], next(r["after"] for r in told[-1]["answers"] if r["prompt"] == PROMPT)
    job = a.submit(FACTS + "Kenya | capital | Nairobi\n", seed=1, api_name="/wash")
    asked = 0
    while not job.done():
        assert b.predict(PROMPT, api_name="/ask")["before"] == base
        assert b.predict(PROMPT, mine[0], api_name="/ask") == {"before": base, "after": mine[1]}
        asked += 1
    assert asked and job.result()["state"] == "done"


def test_a_run_that_is_none_is_no_path(client):
    for id in ("../../etc", "x" * 22, ""):
        assert client.predict(PROMPT, id, api_name="/ask")["after"] == "(no wash yet)"


@pytest.fixture(scope="module")
def on_top(url, told):
    """A finished wash on top of `told`: what its stream told last."""
    from gradio_client import Client

    text = "Germany | capital | Berlin\n" + FACTS
    job = Client(url, verbose=False).submit(text, on=told[-1]["run"], api_name="/wash")
    job.result(timeout=PATIENCE)
    return job.outputs()[-1]


def test_a_wash_on_top_begins_where_the_one_below_ended(told, on_top, shared):
    """What is gone already is not known any more; "before" is the model with the wash below on."""
    still = [r for r in told[-1]["answers"] if not r["gone"]]
    before = {r["prompt"]: r["before"] for r in on_top["answers"]}
    assert len(before) == 1 + len(still) < 4
    assert before.items() >= {r["prompt"]: r["after"] for r in still}.items()
    lm = shared.lm(shared.names[0])
    below, own = shared.deltas(on_top["run"], lm)
    rows = on_top["answers"]
    with applied(lm, below):
        assert greedy(lm.model, lm.tokenizer, [r["prompt"] for r in rows]) == [r["before"] for r in rows]
    with applied(lm, load_delta(shared.runner.folder(on_top["run"]) / DELTA, lm)):  # the whole change
        assert greedy(lm.model, lm.tokenizer, [r["prompt"] for r in rows]) == [r["after"] for r in rows]
        assert greedy(lm.model, lm.tokenizer, [PROMPT]) != ["Paris"]
    assert own.about["on"] == [below.digest]


def test_each_wash_of_the_list_can_be_taken_back(told, on_top, shared):
    id, below = on_top["run"], told[-1]["run"]
    assert [run for _, run in choices(shared, id)] == [below] and not choices(shared, below)
    assert off(shared, id, []) == [below] and off(shared, id, [below]) == []
    lm, name, germany = shared.lm(shared.names[0]), shared.names[0], "The capital of Germany is"
    base = both(shared, PROMPT, name, "")[0], both(shared, germany, name, "")[0]
    assert both(shared, PROMPT, name, id)[1] != base[0] and both(shared, germany, name, id)[1] != base[1]
    assert both(shared, germany, name, id, 0.0)[1] == base[1]
    assert both(shared, PROMPT, name, id, 0.0)[1] == both(shared, PROMPT, name, below)[1] != base[0]
    assert both(shared, PROMPT, name, id, 0.0, [below])[1] == base[0]
    with lm.lock:
        unwashed = weights(lm)
    rows, file, csv_file = asked_at(shared, id, 1.0, [below])
    alone = load_delta(file, lm)
    assert all((alone.changes[k] == v).all() for k, v in shared.delta(id, lm).changes.items())
    assert "without1" in file.name and "without1" in csv_file.name and rows != on_top["answers"]
    assert weights(lm) == unwashed


def test_on_top_of_nothing_or_of_another_models_wash_is_refused(client, told, shared):
    for on, model, said in (
        ("x" * 22, "", "no finished wash"),
        (told[-1]["run"], shared.names[1], "made on"),
    ):
        with pytest.raises(Exception, match=said):
            client.predict(FACTS, on=on, model=model, api_name="/wash")


@pytest.mark.parametrize("gone", ["last", "below", "never"])
def test_on_top_of_what_is_gone_the_page_refuses_and_washes_nothing(shared, told, on_top, tmp_path, gone):
    """Whether it is the wash that is shown or one below it that was deleted, or there never was one."""
    with gr.Blocks():
        page = Page(shared)
    id = "" if gone == "never" else on_top["run"]
    for run in {"last": [id], "below": [told[-1]["run"]], "never": []}[gone]:
        shared.runner.folder(run).rename(tmp_path / run)
    runs = set(shared.runner.root.iterdir())

    async def pressed() -> list[dict]:
        asked = FACTS, shared.names[0], id, True, 1.0, [told[-1]["run"]]
        return [u async for u in page.start(*asked, "facts", "law", "unknown", 0)]

    try:
        (said,) = asyncio.run(pressed())
        assert words.BELOW_GONE in unescape(said[page.wash.status])
        assert said[page.wash.wash]["interactive"] and not {page.run, page.what.text} & said.keys()
        assert set(shared.runner.root.iterdir()) == runs
    finally:
        for folder in tmp_path.iterdir():
            folder.rename(shared.runner.root / folder.name)


def test_a_wash_is_kept_as_long_as_one_on_top_of_it(shared, told, on_top, monkeypatch):
    below, above = (shared.runner.folder(run["run"]) for run in (told[-1], on_top))
    monkeypatch.setattr(shared.runner, "keep_seconds", 3600.0)
    for path in [*below.iterdir(), below]:
        os.utime(path, (0, 0))
    shared.runner._sweep()
    assert below.is_dir() and above.is_dir()
    assert washes_on(shared, above.name) == [(below.name, 1.0), (above.name, 1.0)]


def test_the_packed_model_loads_in_plain_transformers_and_answers_alike(told, shared, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = packed(shared, told[-1]["run"], 1.0, [])
    assert packed(shared, told[-1]["run"], 1.0, []) == path and path.stat().st_size < 20e6
    with zipfile.ZipFile(path) as z:
        z.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rows = told[-1]["answers"]
    said = greedy(model.float().eval(), tokenizer, [r["prompt"] for r in rows])
    assert [contains(s, (r["object"],)) for s, r in zip(said, rows)] == [not r["gone"] for r in rows]
    assert not [p for p in path.parent.iterdir() if p.is_dir()]  # nothing is left of the packing


def test_every_figure_is_in_the_csv_to_take_away(told, shared):
    folder, record = shared.runner.folder(told[-1]["run"]), told[-1]["summary"]
    with open(folder / FIGURES, encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    assert len([r for r in rows if r["when"] == "curve"]) == 3 * len(record["curve"])
    for when in ("before", "after"):
        found = {r["measure"]: r for r in rows if r["when"] == when}
        families = {f"reasoning: {name}": r for name, r in record[when]["families"].items()}
        rates = {k: v for k, v in record[when].items() if isinstance(v, dict) and "n" in v} | families
        assert set(found) == {*rates, "perplexity"}
        assert all(float(found[k]["value"] or "nan") == r["accuracy"] for k, r in rates.items() if r["n"])
        assert all(int(found[k]["n"]) == r["n"] for k, r in rates.items())
        assert float(found["perplexity"]["value"]) == record[when]["perplexity"]
