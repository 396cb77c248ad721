"""Models of the hub on the page: off unless a setting allows it; then downloaded, told, and asked."""

import asyncio
import re

import pytest
from payloads import PAYLOADS
from small_hub import ID
from ui_help import PROMPT
from visitor import Visitor

from unlearning.models import hub
from unlearning.models.hub import NoModel
from unlearning.ui import fetch
from unlearning.ui.ask import both
from unlearning.ui.launch import launch
from unlearning.ui.page import build
from unlearning.ui.state import Shared


def function(demo, name: str):
    return next((f for f in demo.fns.values() if f.fn and f.fn.__name__ == name), None)


async def every(steps) -> list:
    return [step async for step in steps]


def test_the_page_downloads_no_model_unless_it_is_told_to(tmp_path, online):
    shared = Shared(tmp_path, device="cpu")
    demo = build(shared)
    assert function(demo, "bring_model") is None
    assert not [b for b in demo.blocks.values() if "bring" in (b.elem_id or "")]
    with pytest.raises(NoModel, match="no id of a model"):
        shared.bring(ID)
    with pytest.raises(NoModel, match="No model 'own/tiny' here"):
        shared.lm(ID)
    assert online.asked == []


@pytest.mark.parametrize("name", ["", "gpt2", "../x/y", "/etc", "own/folder", "<b>/x"])
def test_a_path_that_is_typed_is_never_read(tmp_path, online, monkeypatch, tiny_llama, name):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "folder").symlink_to(tiny_llama.folder)
    monkeypatch.chdir(tmp_path)
    shared = Shared(tmp_path / "runs", device="cpu", hub=True)
    demo = build(shared)
    names, bring = list(shared.names), function(demo, "bring_model")
    assert bring.api_visibility == "private"
    said = asyncio.run(every(bring.fn(name)))
    assert len(said) == 1 and "is no id of a model on the hub" in said[0][0] and "<b>" not in said[0][0]
    assert shared.names == names and online.asked == []


@pytest.mark.parametrize(
    "setup, said",
    [
        ({"refusal": (401, "GatedRepo")}, "is gated: accept its terms on the hub, and set HF_TOKEN"),
        ({"changed": {"model_type": "t5"}}, "no causal language model"),
        ({"changed": {"hidden_size": 48}}, "was downloaded, but cannot be used"),
    ],
)
def test_what_cannot_be_had_is_told_and_not_offered(tmp_path, online, setup, said):
    for k, v in setup.items():
        setattr(online, k, v)
    shared = Shared(tmp_path / "runs", device="cpu", hub=True)
    names = list(shared.names)
    told = asyncio.run(every(function(build(shared), "bring_model").fn(ID)))
    assert said in told[-1][0] and shared.names == names
    online.refusal, online.changed = None, {}  # and the next one may try


def test_what_does_not_fit_is_told_before_it_is_downloaded(tmp_path, online, monkeypatch):
    monkeypatch.setattr(hub, "free_memory", lambda device: 40_000)
    shared = Shared(tmp_path / "runs", device="cpu", hub=True)
    with pytest.raises(NoModel, match="GiB of memory on cpu.*what fits"):
        shared.bring(ID)
    assert not any(path.endswith(".safetensors") for path, _ in online.asked)


def test_a_model_that_the_page_is_given_by_id_is_offered_first(tmp_path, online):
    shared = Shared(tmp_path / "runs", model=ID, device="cpu")
    build(shared)
    assert shared.names[0] == ID and shared.lm(ID).folder.is_relative_to(tmp_path / "cache")


@pytest.fixture
def on_hub(tmp_path, online, browser):
    """A page that may download: what its visitors share, its address, and a visitor."""
    shared = Shared(tmp_path / "runs", device="cpu", hub=True)
    demo = build(shared)
    launch(demo, shared, "127.0.0.1", prevent_thread_lock=True, quiet=True)
    visitor = Visitor(browser, demo.local_url)
    yield shared, demo.local_url, visitor
    visitor.page.context.close()
    demo.close(verbose=False)
    shared.runner.close()


@pytest.mark.browser
def test_a_visitor_downloads_a_model_and_asks_it(on_hub, browser):
    shared, url, visitor = on_hub
    page = visitor.page
    page.get_by_role("button", name="Another model, from the Hugging Face hub").click()
    box = page.locator("#bring-name input")
    box.fill(ID)
    box.press("Enter")
    page.locator("#bring-go").click()
    page.get_by_text("It is here, and chosen.").wait_for()
    assert page.locator("#model input").input_value() == ID
    parameters = sum(p.numel() for p in shared.lm(ID).model.parameters()) / 1e6
    line = page.locator("#model-line")
    visitor.expect(line).to_contain_text(re.compile(rf"{parameters:.1f}\s+million"))
    visitor.ask(PROMPT)
    visitor.wait_for_answers(*both(shared, PROMPT, ID, ""))
    other = Visitor(browser, url)
    other.page.locator("#model input").click()
    other.page.get_by_role("option", name=ID).wait_for()
    other.page.context.close()
    assert visitor.faults == other.faults == []


@pytest.mark.browser
def test_no_payload_runs_from_what_is_to_be_fetched(on_hub, online):
    """As a model, a data set and its columns: they are refused in words that repeat them."""
    _, _, visitor = on_hub
    page = visitor.page
    page.click("#bring > button")
    page.click("#hub > button")
    for i in range(0, len(PAYLOADS), 4):  # four in a message, which stay for a while
        name = " ".join(PAYLOADS[i : i + 4])[: fetch.MAX_NAME - 4]
        page.fill("#bring-name input", name)
        page.keyboard.press("Enter")
        page.press("#bring-go", "Enter")  # the messages may lie over it
        visitor.expect(page.locator("#bring-note")).to_contain_text(repr(name)[:40])
        page.fill("#hub-source input, #hub-source textarea", f"hub:{name}")
        page.fill("#hub-columns input, #hub-columns textarea", f"subject={name},{name}")
        page.click("#hub-fetch")
        toasts = page.get_by_test_id("toast-body")
        visitor.expect(toasts.filter(has_text=repr(f"hub:{name}")[1:30]).first).to_be_visible()
        assert toasts.locator("img, a, script, b, iframe, math").count() == 0
        assert not page.evaluate("'hit' in window")
    assert visitor.faults == [] and online.asked == []
