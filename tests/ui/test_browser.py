"""The page in Chromium: one visitor's way through it, a reload in mid-run, and text that would be code."""

import re
from urllib.parse import urlparse

import pytest
from payloads import PAYLOADS
from ui_help import FACTS, PATIENCE, PROMPT

from unlearning.facts.examples import examples
from unlearning.ui import words

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WAIT = int(PATIENCE * 1000)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS, timeout=WAIT)
        yield browser
        browser.close()


class Visitor:
    """A page of its own, and all that went wrong on it."""

    def __init__(self, browser, url: str):
        self.page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.set_default_timeout(WAIT)
        self.faults: list[str] = []
        self.leaving = False  # the streams of a page that is being left end with an error of their own
        host = urlparse(url).netloc
        self.page.on("request", lambda r: self.see(r.url, host))
        self.page.on("console", lambda m: m.type == "error" and self.fault(m.text))
        self.page.on("pageerror", lambda e: self.fault(str(e)))
        self.page.on("dialog", lambda d: (self.fault(d.message), d.dismiss()))
        self.page.goto(url)
        self.ready()

    def see(self, url: str, host: str) -> None:
        parts = urlparse(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            self.faults.append(f"asked outside: {url}")

    def fault(self, text: str) -> None:
        if not self.leaving:
            self.faults.append(text)

    def ready(self) -> None:
        """The page's own first events are through: the model's line is there."""
        self.page.wait_for_function("document.querySelector('#model-line')?.innerText.includes('MB')")

    def reload(self) -> None:
        self.leaving = True
        self.page.reload()
        self.ready()
        self.leaving = False

    def wash(self, text: str) -> None:
        self.page.fill("#facts textarea", text)
        self.page.click("#wash")

    def wait_for_status(self, pattern: str) -> str:
        self.page.wait_for_function(
            "p => new RegExp(p).test(document.querySelector('#status')?.innerText)", arg=pattern
        )
        return self.page.inner_text("#status")

    def column(self, table: str, name: str, rows: int) -> list[str]:
        """A column's cells, once there are so many rows."""
        cells = self.page.locator(f"#{table} td[data-head='{name}'] > span:first-child")
        self.expect(cells).to_have_count(rows)
        return cells.all_inner_texts()

    @staticmethod
    def expect(what):
        """What has to become true of a part of the page: it is drawn a moment after the server has spoken."""
        from playwright.sync_api import expect

        expect.set_options(timeout=WAIT)
        return expect(what)

    def ask(self, prompt: str) -> None:
        self.page.fill("#prompt textarea", prompt)
        self.page.click("#ask")

    def wait_for_answers(self, before: str, after: str) -> None:
        """Until the two boxes hold these."""
        self.page.wait_for_function(
            "([b, a]) => document.querySelector('#before textarea').value === b"
            " && document.querySelector('#after textarea').value === a",
            arg=[before, after],
        )


@pytest.fixture
def visitor(chromium, url):
    visitor = Visitor(chromium, url)
    yield visitor
    visitor.page.context.close()
    assert visitor.faults == []


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


def test_the_slider_moves_the_point_and_asks_again(visitor):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    before = visitor.column("answers", "before", 3)
    slider = visitor.page.locator("#strength input[type=range]")
    visitor.expect(slider).to_have_value("1")
    visitor.expect(visitor.page.locator("#trade-off-plot .js-plotly-plot")).to_be_visible()
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    line = visitor.page.locator("#strength-line")
    visitor.expect(line).to_contain_text("At strength 0: 0 % of the facts are gone")
    slider.dispatch_event("pointerup")
    visitor.expect(visitor.page.locator("#answers h3")).to_have_text(words.ANSWERS_AT.format(strength="0"))
    assert visitor.column("answers", "after", 3) == before
    visitor.ask(PROMPT)
    visitor.wait_for_answers(before[0], before[0])


def test_one_fact_layer_by_layer_before_and_after(visitor, shared):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.page.click("#within > button")
    visitor.expect(visitor.page.locator("#norms .js-plotly-plot")).to_be_visible()
    visitor.page.click("#lens-fact input")
    visitor.page.get_by_role("option", name=PROMPT).click()
    layers = shared.lm(shared.names[0]).model.config.num_hidden_layers
    said = visitor.column("lens", "says, before", layers + 1)
    assert said[-1].startswith("Paris")
    assert not visitor.column("lens", "says, after the wash", layers + 1)[-1].startswith("Paris")


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


def test_stop_says_what_happened(visitor):
    visitor.wash(next(e.text for e in examples() if e.name == "mixed-25"))
    visitor.page.wait_for_function("!document.querySelector('#stop').disabled")
    visitor.page.click("#stop")
    assert visitor.wait_for_status("^Stopped") == words.STOPPED
    visitor.expect(visitor.page.locator("#happened")).to_be_hidden()
    visitor.expect(visitor.page.locator("#wash")).to_be_enabled()
    visitor.expect(visitor.page.locator("#stop")).to_be_disabled()


def test_text_that_would_be_code_stays_text(visitor):
    nasty = "<img src=x onerror=alert(1)> ${alert(2)} {{constructor}} `x` <script>alert(3)</script> **b**"
    visitor.page.fill("#facts textarea", f"{nasty} | capital | <b>x</b>\n[a](javascript:alert(4)) | x\n")
    visitor.page.click("#read")
    visitor.page.wait_for_selector("#preview td")
    assert visitor.column("preview", "read as", 1) == [f"{nasty} | capital | <b>x</b>"]
    assert visitor.page.locator("#preview img, #preview script, #preview b, #preview a").count() == 0


def hit(visitor) -> bool:
    """Has anything run? The pointer goes over the page first, and all the page's frames are asked."""
    visitor.page.mouse.move(200, 300)
    return any(frame.evaluate("'hit' in window") for frame in visitor.page.frames)


def test_a_payload_that_does_run_is_noticed(chromium):
    """Taken for markup in a bare page, most of them run: what the next test looks for can be seen."""
    page = chromium.new_page()
    found = 0
    for x in PAYLOADS:
        page.goto("about:blank")
        page.evaluate("x => { document.body.innerHTML = x }", x)
        page.wait_for_timeout(30)
        found += page.evaluate("'hit' in window")
    page.close()
    assert found >= 15


def test_no_payload_runs_from_any_field(visitor, tmp_path):
    """Subject, relation, object, sentence, a file's name and content, target, layers, the free question."""
    page = visitor.page
    lines = [
        f"{x} | capital | y\nx | {x} | y\nFrance | capital | {x}\nThe capital of {x} is {x}."
        for x in PAYLOADS
    ]
    known = "France | capital | Paris\n"
    page.fill(
        "#facts textarea", known + "\n".join(x.replace("|", "¦") if x.count("|") > 2 else x for x in lines)
    )
    page.click("#read")
    page.wait_for_selector("#preview td")
    assert visitor.column("preview", "knows it?", page.locator("#preview td[data-head='knows it?']").count())
    assert not hit(visitor)
    page.click("#wash")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert not hit(visitor)
    name = "'\"><img src=x onerror=window.hit=1>.csv"
    (tmp_path / "evil").mkdir()
    file = tmp_path / "evil" / name
    file.write_text(
        "subject,relation,object\n"
        + "\n".join(f'"{x.replace(chr(34), chr(34) * 2)}",capital,y' for x in PAYLOADS)
    )
    with page.expect_file_chooser() as chooser:
        page.click("#upload")
    chooser.value.set_files(file)
    page.wait_for_function("document.querySelector('#facts textarea').value.startsWith('subject,')")
    page.wait_for_selector("#preview td")
    assert not hit(visitor)
    page.click("#advanced button")
    for x in PAYLOADS:
        page.fill("#layers input, #layers textarea", x[:100])
        page.click("#wash")
        assert words.LAYERS_BAD in visitor.wait_for_status("^Layers")
    page.fill("#layers input, #layers textarea", "")
    for x in PAYLOADS:
        visitor.ask(x)
        page.wait_for_function("document.querySelector('#before textarea').value !== ''")
    assert not hit(visitor)
    page.fill("#facts textarea", known)
    for x in (PAYLOADS[3][:40], PAYLOADS[13]):
        page.fill("#target input", x)
        page.keyboard.press("Enter")
        page.click("#wash")
        visitor.wait_for_status(r"^(Done in|Mind|Nothing)")
        page.wait_for_function("!document.querySelector('#wash').disabled")
    assert not hit(visitor)


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_wider_than_the_window(visitor, width, told):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.page.fill("#facts textarea", FACTS)
    visitor.page.click("#read")
    visitor.page.wait_for_selector("#preview td")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_example_fills_the_box_and_is_read(visitor):
    visitor.page.click("#example input")
    visitor.page.get_by_role("option", name=re.compile("private person")).click()
    visitor.expect(visitor.page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 4)
    assert "Orla" in visitor.page.input_value("#facts textarea")
