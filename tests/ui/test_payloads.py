"""Text that would be code, in every field of the page in Chromium."""

import json
import re

import pytest
from payloads import PAYLOADS
from ui_help import FACTS

from unlearning.models.text import greedy
from unlearning.ui import within, words

pytestmark = pytest.mark.browser

LINK = '<a href="javascript:hit=1">'  # so short that the plot's title, which is cut, has the whole tag
FORMULAS = "=1+1", "+1", "-1", "@SUM(1)"  # to a spreadsheet
BORN = """() => [...document.querySelectorAll('*')].filter(e =>
  e.matches('script, style') && /hit=1|elsewhere/.test(e.textContent) || [...e.attributes].some(a =>
    /^(on|src|href|data$|action)/.test(a.name) && /hit=1|elsewhere|^x$/.test(a.value))
).map(e => e.outerHTML)"""


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


def made(visitor) -> list[str]:
    """The elements that came of payloads, and whether anything has run."""
    return [*visitor.page.evaluate(BORN), *(["it ran"] if hit(visitor) else [])]


def test_a_payload_that_does_run_is_noticed(browser):
    """Taken for markup in a bare page, most of them run: what the next tests look for can be seen."""
    page = browser.new_page()
    ran = born = 0
    for x in PAYLOADS:
        page.goto("about:blank")
        page.evaluate("x => { document.body.innerHTML = x }", x)
        page.wait_for_timeout(30)
        ran += page.evaluate("'hit' in window")
        born += page.evaluate(BORN) != []
    page.close()
    assert ran >= 15 and born >= 25


def test_no_payload_runs_from_what_is_washed(visitor, tmp_path):
    """As subject, relation, object and sentence; as what is said instead; as a file's name and content."""
    page = visitor.page
    plain = [x.replace("|", "¦").replace("\n", " ") for x in PAYLOADS]
    lines = [f"{x} | capital | y\nx{i} | {x} | y\nz{i} | capital | {x}" for i, x in enumerate(plain)]
    sentences = [f"The capital of {x} is {x}." for x in plain]
    page.fill("#facts textarea", "\n".join([FACTS.strip(), *lines, *sentences]))
    page.click("#advanced button")
    page.fill("#target input", "<img src=x onerror=window.hit=1>")
    page.keyboard.press("Enter")
    page.click("#wash")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert page.locator("#preview td[data-head='knows it?']").count() >= 3 * len(plain)
    assert "<img" in page.inner_text("#status")  # the model can hardly be made to say it: a warning
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

    def wash_to(target: str) -> None:
        page.fill("#target input", target)
        page.keyboard.press("Enter")
        page.click("#wash")

    for x in PAYLOADS:
        wash_to(x + "." * words.MAX_TARGET)
        assert visitor.wait_for_status("^The wash target") == words.TARGET_LONG
        page.fill("#layers input, #layers textarea", x[:100])
        wash_to("unknown")
        assert visitor.wait_for_status("^Layers") == words.LAYERS_BAD
        assert not hit(visitor)
    for x in PAYLOADS:
        visitor.ask("")
        visitor.wait_for_answers("", "")
        visitor.ask(x)
        page.wait_for_function("document.querySelector('#before textarea').value !== ''")
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


def test_no_payload_runs_from_a_finished_wash(visitor, shared):
    """What is known reaches all that shows a result: before the question, and as the answer that is right."""
    page, lm = visitor.page, shared.lm(shared.names[0])
    asked = {f"{x} The capital of Japan is": x for x in (LINK, *FORMULAS, *PAYLOADS[::3])}
    said = greedy(lm.model, lm.tokenizer, list(asked))
    known = {p: x for (p, x), text in zip(asked.items(), said, strict=True) if text == "Tokyo."}
    assert {LINK, *FORMULAS} < set(known.values()) and len(known) >= 12
    lines = [json.dumps({"prompt": p, "answer": [x, "Tokyo"]}) for p, x in known.items()]
    visitor.wash("\n".join(lines))
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert set(visitor.column("preview", "knows it?", len(known))) == {words.YES}
    assert visitor.column("answers", "asked", len(known)) == list(known)
    assert visitor.column("answers", "right answer", len(known)) == list(known.values())
    assert made(visitor) == []
    for row, cells in zip(visitor.taken_rows("#csv", "answers.csv"), known.items(), strict=True):
        assert [row["prompt"], row["object"]] == ["'" * (c[0] in "=+-@") + c for c in cells]
    page.click("#within > button")
    first = next(iter(known))  # with LINK
    page.click("#lens-fact input")
    page.get_by_role("option", name=first, exact=True).click()
    title = page.locator("#lens-heat .annotation-text")
    visitor.expect(title).to_contain_text(f": {first[: within.MOST]}…")
    visitor.expect(page.locator("#lens td")).not_to_have_count(0)
    assert made(visitor) == []
    page.locator("#on-top input").check()
    visitor.wash("Egypt | continent | Africa")
    visitor.expect(page.locator("#below")).to_contain_text(f"({first} …)")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.ask(first)
    page.wait_for_function("document.querySelector('#before textarea').value === 'Tokyo.'")
    assert made(visitor) == []
