"""The page in Chromium: one visitor's way through it, and a reload in mid-run."""

import re
import threading

import pytest
from PIL import Image
from ui_help import FACTS, PROMPT
from visitor import Visitor

from unlearning.events import Done
from unlearning.facts.examples import examples
from unlearning.ui import words

pytestmark = pytest.mark.browser


def test_wash_read_undo_and_redo(visitor, shared):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    knows = visitor.page.locator("#preview td[data-head='knows it?']")
    visitor.expect(knows).to_have_text(["yes"] * 3)
    names = "asked", "right answer", "before", "after", "so it is"
    asked, right, before, after, sign = (visitor.column("answers", name, 3) for name in names)
    assert asked[0] == PROMPT and all(r in b for r, b in zip(right, before, strict=True))
    gone = [r not in a for r, a in zip(right, after, strict=True)]
    assert any(gone)
    assert [words.GONE in s for s in sign] == gone
    headline = visitor.page.locator("#headline")
    visitor.expect(headline).to_contain_text(f"{sum(gone)} of 3 known facts")
    visitor.ask(PROMPT)
    visitor.wait_for_answers(before[0], after[0])
    visitor.page.click("#undo")
    visitor.wait_for_answers(before[0], before[0])
    visitor.expect(visitor.page.locator("#undo-note")).to_have_text(words.UNDONE)
    visitor.page.click("#undo")
    visitor.wait_for_answers(before[0], after[0])
    visitor.page.click("#only input")
    visitor.column("answers", "after", gone.count(False))
    visitor.page.click("#only input")
    visitor.column("answers", "after", 3)
    with visitor.page.expect_download() as taken:
        visitor.page.click("#csv")
    assert taken.value.suggested_filename.endswith(".csv")


def test_a_slow_page_shows_the_last_that_it_was_told(visitor):
    """A phone draws what appears only after the next update has come: it must not end with the one before."""
    throttled = visitor.page.context.new_cdp_session(visitor.page)
    throttled.send("Emulation.setCPUThrottlingRate", {"rate": 8})
    visitor.wash(FACTS)
    visitor.expect(visitor.page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 3)


def test_the_slider_moves_the_point_and_asks_again(visitor):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    before, after = (visitor.column("answers", name, 3) for name in ("before", "after"))
    slider = visitor.page.locator("#strength input[type=range]")
    visitor.expect(slider).to_have_value("1")
    visitor.expect(visitor.page.locator("#trade-off-plot .js-plotly-plot")).to_be_visible()
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    line = visitor.page.locator("#strength-line")
    visitor.expect(line).to_contain_text("At strength 0: 0 % of the facts are gone")
    visitor.expect(visitor.page.locator("#answers h3")).to_have_text(words.ANSWERS_AT.format(strength="0"))
    assert visitor.column("answers", "after", 3) == before
    visitor.expect(visitor.page.locator("#headline")).to_contain_text("At strength 0: 0 of 3 known facts")
    visitor.expect(visitor.page.locator("#stay-about")).to_contain_text("do not follow the slider")
    visitor.ask(PROMPT)
    visitor.wait_for_answers(before[0], before[0])
    visitor.page.click("#undo")
    visitor.expect(slider).to_have_value("1")
    visitor.wait_for_answers(before[0], after[0])
    assert visitor.column("answers", "after", 3) == after
    visitor.expect(visitor.page.locator("#stay-about")).not_to_contain_text("slider")
    visitor.page.locator("#strength input[type=number]").fill("0.6")
    visitor.page.locator("#strength input[type=number]").press("Enter")
    visitor.expect(line).to_contain_text("At strength 0.5:")
    visitor.expect(visitor.page.locator("#answers h3")).to_have_text(words.ANSWERS_AT.format(strength="0.5"))
    with visitor.page.expect_download() as taken:
        visitor.page.click("#csv")
    assert taken.value.suggested_filename == "answers-0.5.csv"
    visitor.page.click("#pack")
    with visitor.page.expect_download() as taken:
        visitor.page.click("#washed")
    assert taken.value.suggested_filename.endswith("washed-0.5.zip")
    for name in ("figures", "questions"):
        with visitor.page.expect_download() as taken:
            visitor.page.click(f"#{name}")
        assert taken.value.suggested_filename == f"{name}.csv"


TEXTS = """selector => [...document.querySelectorAll(selector)].map(e => {
  const b = e.getBoundingClientRect();
  return [e.textContent, b.left, b.top, b.right, b.bottom];
})"""


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_no_text_of_the_trade_off_lies_on_another_or_on_the_ring(visitor, width):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    plot = "#trade-off-plot .js-plotly-plot"
    rings = visitor.page.locator(f"{plot} path[style*='stroke-width: 3px'].point")
    visitor.expect(rings).to_have_count(2)
    visitor.expect(visitor.page.locator(f"{plot} .legend")).to_have_count(0)
    said = visitor.page.evaluate(TEXTS, f"{plot} text.annotation-text")
    names = [text.strip() for text, *_ in said]
    assert all(names.count(name) == 2 for name in words.LINE_NAMES.values())
    marks = said + visitor.page.evaluate(TEXTS, f"{plot} path.point[style*='stroke-width: 3px']")
    for i, (a, left, top, right, foot) in enumerate(said):
        assert left >= 0 and right <= width
        for b, x, y, to, down in marks[i + 1 :]:
            assert right <= x or to <= left or foot <= y or down <= top, f"{a!r} lies on {b!r}"


def test_a_wash_on_top_of_another_and_the_first_taken_back(visitor):
    first, second = "The capital of Japan is", "The capital of France is"
    box = visitor.page.locator("#on-top")
    visitor.expect(box).to_be_hidden()
    visitor.wash("Japan | capital | Tokyo")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    box.locator("input").check()
    visitor.wash("France | capital | Paris")
    visitor.expect(visitor.page.locator("#answers td[data-head='asked']")).to_have_text(second)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    (after,) = visitor.column("answers", "after", 1)
    below = visitor.page.locator("#below input")
    visitor.expect(below).to_be_checked()
    visitor.expect(visitor.page.locator("#below")).to_contain_text(first)
    visitor.ask(first)
    visitor.page.wait_for_function("document.querySelector('#before textarea').value === 'Tokyo.'")
    assert "Tokyo" not in visitor.page.input_value("#after textarea")
    below.uncheck()
    visitor.wait_for_answers("Tokyo.", "Tokyo.")
    visitor.ask(second)
    visitor.page.wait_for_function("document.querySelector('#before textarea').value === 'Paris.'")
    assert "Paris" not in visitor.page.input_value("#after textarea")
    without = words.ANSWERS_AT.format(strength="1")
    heading, files = visitor.page.locator("#answers h3"), []
    for _ in range(2):  # as it was left, and after a reload
        visitor.expect(heading).to_have_text(without)
        visitor.expect(visitor.page.locator("#strength-line")).to_contain_text(words.NOT_MEASURED_WITHOUT)
        with visitor.page.expect_download() as taken:
            visitor.page.click("#csv")
        files.append(taken.value.suggested_filename)
        visitor.reload()
        visitor.expect(below).not_to_be_checked()
    assert files == ["answers-1-without1.csv"] * 2
    visitor.ask(first)
    visitor.wait_for_answers("Tokyo.", "Tokyo.")
    below.check()
    visitor.expect(heading).to_have_text(words.ANSWERS)
    visitor.reload()
    visitor.expect(below).to_be_checked()
    visitor.expect(heading).to_have_text(words.ANSWERS)
    assert visitor.column("answers", "after", 1) == [after]


def test_a_wash_that_is_undone_stays_undone_after_a_reload(visitor):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    before = visitor.column("answers", "before", 3)
    visitor.page.click("#undo")
    heading = visitor.page.locator("#answers h3")
    visitor.expect(heading).to_have_text(words.ANSWERS_AT.format(strength="0"))
    visitor.reload()
    visitor.expect(heading).to_have_text(words.ANSWERS_AT.format(strength="0"))
    assert visitor.column("answers", "after", 3) == before
    visitor.expect(visitor.page.locator("#strength input[type=range]")).to_have_value("0")
    visitor.expect(visitor.page.locator("#undo")).to_have_text(words.REDO)
    visitor.wash(FACTS)  # another wash is on, whatever became of the last
    visitor.expect(heading).to_have_text(words.ANSWERS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.reload()
    visitor.expect(visitor.page.locator("#strength input[type=range]")).to_have_value("1")


def test_a_wash_waits_in_sight_behind_anothers_and_a_second_tab_follows_it(visitor, browser, url, shared):
    opened = threading.Event()

    def anothers():
        assert opened.wait(60)
        yield Done()

    shared.runner.submit({}, anothers)
    try:
        visitor.wash(FACTS)
        waiting = words.WAITING.format(runs="1 wash")
        visitor.wait_for_status(f"^{waiting}")
        tab = visitor.page.context.new_page()
        tab.goto(url)
        visitor.expect(tab.locator("#status")).to_contain_text(waiting)
        visitor.expect(tab.locator("#facts textarea")).to_have_value(FACTS)
    finally:
        opened.set()
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.expect(tab.locator("#status")).to_contain_text("Done in")
    after = visitor.column("answers", "after", 3)
    visitor.expect(tab.locator("#answers td[data-head='after'] > span:first-child")).to_have_text(after)
    stranger = Visitor(browser, url)  # another browser: nothing of it
    visitor.expect(stranger.page.locator("#happened")).to_be_hidden()
    assert stranger.page.input_value("#facts textarea") == ""
    assert stranger.page.context.cookies() == [] == visitor.page.context.cookies()
    stranger.page.context.close()
    assert stranger.faults == []


def test_one_fact_layer_by_layer_before_and_after(visitor, shared):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.page.click("#within > button")
    visitor.expect(visitor.page.locator("#norms .js-plotly-plot")).to_be_visible()
    visitor.page.click("#lens-fact input")
    visitor.page.get_by_role("option", name=PROMPT).click()
    visitor.expect(visitor.page.locator("#lens-heat .js-plotly-plot")).to_be_visible()
    visitor.page.click("#lens summary >> nth=0")
    layers = shared.lm(shared.names[0]).model.config.num_hidden_layers
    said = visitor.column("lens", "as it was", layers + 1)
    assert said[-1].startswith("Paris")
    after = visitor.column("lens", "now", layers + 1)
    assert not after[-1].startswith("Paris")
    kept = [r["token"].strip() for r in visitor.taken_rows("#lens-csv", "lens-1.csv")]
    assert [text.rsplit(" (", 1)[0] for both in zip(said, after) for text in both] == kept
    assert_png(visitor, "#lens-heat")


def assert_png(visitor, plot: str) -> None:
    """A plot's own button gives a picture that is as readable on a dark slide: its ground is white."""
    visitor.page.hover(f"{plot} .plot-container")
    with visitor.page.expect_download() as taken:
        visitor.page.click(f"{plot} .modebar-btn[data-title*='png' i]")
    assert taken.value.suggested_filename.endswith(".png")
    with Image.open(taken.value.path()) as picture:
        assert picture.convert("RGBA").getpixel((1, 1)) == (255, 255, 255, 255)


def test_the_trace_is_shown_when_its_fold_is_opened_and_can_be_taken_away(visitor, shared):
    page = visitor.page
    assert page.locator(".js-plotly-plot").count() == 0  # no plot before it is looked at
    page.click("#inside > button")
    visitor.expect(page.locator("#trace-heat .js-plotly-plot")).to_be_visible()
    visitor.expect(page.locator("#trace-about")).to_contain_text("A causal trace of")
    ground = "getComputedStyle(document.querySelector('#trace-heat .main-svg')).backgroundColor"
    assert page.evaluate(ground) == "rgba(0, 0, 0, 0)"
    layers = shared.lm(shared.names[0]).model.config.num_hidden_layers
    rows = visitor.taken_rows("#trace-csv", "trace.csv")
    assert len(rows) == 2 * 3 * layers
    page.click("#trace summary")
    visitor.expect(page.locator("#trace td.heat")).to_have_count(len(rows))
    drawn = page.locator("#trace td.heat").evaluate_all(
        "all => all.map(e => e.style.getPropertyValue('--share'))"
    )
    assert [float(x) for x in drawn] == [round(float(r["effect"]), 3) for r in rows]
    assert_png(visitor, "#trace-heat")


def test_a_reload_in_mid_run_attaches_again_and_keeps_only_the_runs_id(visitor, shared):
    mixed = next(e.text for e in examples() if e.name == "mixed-25")
    visitor.wash(mixed)
    visitor.page.wait_for_function("!document.querySelector('#stop').disabled")
    runs = [shared.runner.state(folder.name) for folder in shared.runner.root.iterdir()]
    assert {"queued", "running"} & set(runs)
    visitor.reload()
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert visitor.page.input_value("#facts textarea").strip() == mixed.strip()
    visitor.column("answers", "after", 25)
    visitor.reload()
    visitor.column("answers", "after", 25)
    kept = visitor.page.evaluate("JSON.stringify(Object.entries(localStorage))")
    assert "lethe-run" in kept and "Paris" not in kept


def test_a_file_is_read_washed_at_chosen_layers_and_shown_again(visitor, tmp_path):
    file = tmp_path / "my facts.csv"
    file.write_text("subject,relation,object\nFrance,capital,Paris\nJapan,capital,Tokyo\n", encoding="utf-8")
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.click("#upload")
    chooser.value.set_files(file)
    visitor.expect(visitor.page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 2)
    visitor.page.click("#advanced button")
    visitor.page.fill("#layers input, #layers textarea", "1, 2")
    visitor.page.click("#wash")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.column("answers", "after", 2)
    visitor.reload()
    visitor.column("answers", "after", 2)
    visitor.page.click("#advanced button")
    assert visitor.page.input_value("#layers input, #layers textarea") == "1, 2"


def test_a_wash_of_nothing_says_so(visitor):
    visitor.wash("")
    visitor.wait_for_status(f"^{words.NOT_READ}")


def test_stop_says_what_happened(visitor):
    visitor.wash(next(e.text for e in examples() if e.name == "mixed-25"))
    visitor.page.wait_for_function("!document.querySelector('#stop').disabled")
    visitor.page.click("#stop")
    assert visitor.wait_for_status("^Stopped") == words.STOPPED
    visitor.expect(visitor.page.locator("#happened")).to_be_hidden()
    visitor.expect(visitor.page.locator("#wash")).to_be_enabled()
    visitor.expect(visitor.page.locator("#stop")).to_be_disabled()


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_wider_than_the_window(visitor, width, told):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.page.fill("#facts textarea", FACTS)
    visitor.page.click("#read")
    visitor.page.wait_for_selector("#preview td")
    visitor.choose_row("1: ")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_example_fills_the_box_and_is_read(visitor):
    visitor.page.click("#example input")
    visitor.page.get_by_role("option", name=re.compile("private person")).click()
    visitor.expect(visitor.page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 4)
    assert "Orla" in visitor.page.input_value("#facts textarea")
