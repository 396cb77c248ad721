"""The page in Chromium: one visitor's way through it, a reload in mid-run, and text that would be code."""

import re

import pytest
from payloads import PAYLOADS
from ui_help import FACTS, PROMPT

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
    visitor.ask(PROMPT)
    visitor.wait_for_answers(before[0], before[0])
    visitor.page.click("#undo")
    visitor.expect(slider).to_have_value("1")
    visitor.wait_for_answers(before[0], after[0])
    assert visitor.column("answers", "after", 3) == after
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
    with visitor.page.expect_download() as taken:
        visitor.page.click("#figures")
    assert taken.value.suggested_filename == "figures.csv"


def test_a_wash_on_top_of_another_and_the_first_taken_back(visitor):
    first, second = "The capital of Japan is", "The capital of France is"
    box = visitor.page.locator("#on-top")
    visitor.expect(box).to_be_hidden()
    visitor.wash("Japan | capital | Tokyo")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    box.locator("input").check()
    visitor.wash("France | capital | Paris")
    visitor.wait_for_status(r"^Starting|ask")
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
    visitor.reload()
    visitor.expect(below).to_be_checked()
    assert visitor.column("answers", "after", 1) == [after]


def test_one_fact_layer_by_layer_before_and_after(visitor, shared):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.page.click("#within > button")
    visitor.expect(visitor.page.locator("#norms .js-plotly-plot")).to_be_visible()
    visitor.page.click("#lens-fact input")
    visitor.page.get_by_role("option", name=PROMPT).click()
    layers = shared.lm(shared.names[0]).model.config.num_hidden_layers
    said = visitor.column("lens", "before the wash", layers + 1)
    assert said[-1].startswith("Paris")
    assert not visitor.column("lens", "after the wash", layers + 1)[-1].startswith("Paris")


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


def test_a_payload_that_does_run_is_noticed(browser):
    """Taken for markup in a bare page, most of them run: what the next test looks for can be seen."""
    page = browser.new_page()
    found = 0
    for x in PAYLOADS:
        page.goto("about:blank")
        page.evaluate("x => { document.body.innerHTML = x }", x)
        page.wait_for_timeout(30)
        found += page.evaluate("'hit' in window")
    page.close()
    assert found >= 15


def test_no_payload_runs_from_what_is_washed(visitor, tmp_path):
    """As subject, relation, object and sentence; as a file's name and its content."""
    page = visitor.page
    plain = [x.replace("|", "¦").replace("\n", " ") for x in PAYLOADS]
    lines = [f"{x} | capital | y\nx{i} | {x} | y\nz{i} | capital | {x}" for i, x in enumerate(plain)]
    sentences = [f"The capital of {x} is {x}." for x in plain]
    page.fill("#facts textarea", "\n".join([FACTS.strip(), *lines, *sentences]))
    page.click("#wash")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert page.locator("#preview td[data-head='knows it?']").count() >= 3 * len(plain)
    assert not hit(visitor)
    (tmp_path / "evil").mkdir()
    file = tmp_path / "evil" / "'\"><img src=x onerror=window.hit=1>.csv"
    quoted = ('"' + x.replace('"', '""') + '"' for x in PAYLOADS)
    file.write_text("subject,relation,object\n" + "\n".join(f"{x},{x},{x}" for x in quoted), encoding="utf-8")
    with page.expect_file_chooser() as chooser:
        page.click("#upload")
    chooser.value.set_files(file)
    visitor.expect(page.locator("#preview td").first).to_contain_text("2")
    visitor.expect(page.locator("#facts textarea")).to_have_value(re.compile("^subject,"))
    assert not hit(visitor)


def test_no_payload_runs_from_a_setting_or_the_free_question(visitor):
    page = visitor.page
    page.click("#advanced button")
    page.fill("#facts textarea", FACTS)
    for x in PAYLOADS:
        page.fill("#layers input, #layers textarea", x[:100])
        page.click("#wash")
        assert visitor.wait_for_status("^Layers") == words.LAYERS_BAD
        page.fill("#layers input, #layers textarea", "")
        page.fill("#facts textarea", "")
        page.click("#wash")
        visitor.wait_for_status(f"^{words.NOT_READ}")  # so that the next message is a new one
        page.fill("#facts textarea", FACTS)
    for x in PAYLOADS:
        visitor.ask("")
        visitor.wait_for_answers("", "")
        visitor.ask(x)
        page.wait_for_function("document.querySelector('#before textarea').value !== ''")
    for x in (x for x in PAYLOADS if len(x) > words.MAX_TARGET):
        page.fill("#target input", x)
        page.keyboard.press("Enter")
        page.click("#wash")
        assert visitor.wait_for_status("^The wash target") == words.TARGET_LONG
    assert not hit(visitor)


def test_no_payload_runs_from_a_row_that_is_corrected(visitor):
    """In the list of rows, in the fields that a chosen one fills, and in what is said of a corrected one."""
    page = visitor.page
    plain = [x.replace("|", "¦") for x in PAYLOADS]
    lines = [f"{i} {x} | r | {x}" for i, x in enumerate(plain)] + plain
    page.fill("#facts textarea", "\n".join(lines))
    page.click("#read")
    visitor.expect(page.locator("#preview td[data-head='knows it?']")).to_have_count(len(plain))
    page.click("#correct > button")
    page.click("#row input")
    visitor.expect(page.get_by_role("option")).to_have_count(len(lines))
    assert not hit(visitor)
    note, said = page.locator("#row-note"), page.locator("#row-said textarea")
    for x in plain[::4]:
        n = lines.index(x) + 1
        visitor.choose_row(f"{n}, no fact: ")
        visitor.expect(said).to_have_value(x)
        visitor.correct(subject=x, relation=f"{x} {{}} {{}}", object=x)
        visitor.expect(note).to_contain_text("exactly once: ")
        assert not hit(visitor)
        visitor.correct(subject=x, relation=f"r{n}", object=x)
        visitor.expect(note).to_contain_text(f"Row {n} is corrected; it reads {x} | ")
        assert not hit(visitor)
    visitor.choose_row("1: ")
    page.click("#row-remove")
    visitor.expect(note).to_have_text("Row 1 is removed.")
    assert not hit(visitor)


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
