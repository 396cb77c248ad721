"""The page for everyone: no fault that axe-core knows of, and the whole way with the keyboard alone."""

from itertools import product

import pytest
from ui_help import FACTS, PROMPT
from visitor import Visitor

from unlearning.ui import words

pytestmark = pytest.mark.browser

AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"target-size": {"enabled": True}},  # WCAG 2.2 AA, off unless it is asked for
    "resultTypes": ["violations"],
}


def faults(page) -> list[str]:
    """What axe-core finds on the page as it stands: rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=AXE).response["violations"]
    return [f"{v['id']}: {node['target']}" for v in found for node in v["nodes"]]


def faults_in_every_look(page) -> list[str]:
    """Those at three widths, light and dark; that something is wider than the window is one, too."""
    found = []
    for width, theme in [(1920, "light"), *product((1280, 390), ("light", "dark"))]:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        page.wait_for_function("!document.getAnimations().some(a => a instanceof CSSTransition)")
        wide = page.evaluate("document.documentElement.scrollWidth") > width
        found += [f"{width} {theme} {fault}" for fault in faults(page) + ["too wide"] * wide]
    return found


def open_every_fold(page) -> None:
    folds = page.locator("button.label-wrap:visible:not(.open)")
    while folds.count():
        folds.first.click()


def test_axe_finds_no_fault_before_a_wash_and_after_one(browser, url):
    visitor = Visitor(browser, url, query="?__theme=dark")
    page = visitor.page
    assert page.evaluate("document.body.classList.contains('dark')")
    assert faults_in_every_look(page) == []
    visitor.wash(FACTS + "France | capital\n")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.ask(PROMPT)
    visitor.column("answers", "after", 3)
    open_every_fold(page)
    visitor.choose_row("4, no fact")
    visitor.correct(object="Paris")
    visitor.expect(page.locator("#row-note")).to_contain_text("same fact as row 1")
    visitor.choose_row("4, no fact")
    visitor.correct(object="")
    visitor.expect(page.locator("#row-note")).to_contain_text("'object' is empty")
    page.click("#lens-fact input")
    page.get_by_role("option", name=PROMPT).click()
    for plot in ("#stay-plot", "#trade-off-plot", "#norms", "#lens-heat", "#trace-heat"):
        visitor.expect(page.locator(f"{plot} .js-plotly-plot")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    assert faults_in_every_look(page) == []
    page.context.close()
    assert visitor.faults == []


def test_on_a_projector_the_headline_is_larger(visitor):
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    size = "parseFloat(getComputedStyle(document.querySelector('#headline p')).fontSize)"
    visitor.expect(visitor.page.locator("#headline p")).to_be_visible()
    sizes = []
    for width in (390, 1280, 1920):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        sizes.append(visitor.page.evaluate(size))
    assert sizes[0] == sizes[1] == 22 and sizes[2] > 30


def test_axe_finds_a_fault_where_there_is_one(visitor):
    """Otherwise the test above says nothing."""
    page = visitor.page
    page.add_style_tag(content="#status p { color: #bbb !important; background: #fff; }")
    page.evaluate("document.querySelector('#facts label').replaceWith(document.createElement('input'))")
    found = {fault.split(":")[0] for fault in faults(page)}
    assert {"color-contrast", "label"} <= found


def test_folds_say_whether_they_are_open_and_groups_what_they_are_about(visitor):
    fold = visitor.page.get_by_role("button", name=words.ADVANCED, expanded=False)
    fold.click()
    visitor.expect(visitor.page.get_by_role("button", name=words.ADVANCED, expanded=True)).to_be_visible()
    visitor.expect(visitor.page.get_by_role("group", name=words.SCOPE, exact=True)).to_be_visible()


FOCUSED = """() => {
  const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
  const seen = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  const ring = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
  return {tag: e.tagName, plain: e.outerHTML.slice(0, 120), shown: seen && ring};
}"""


class Keyboard:
    """Goes through the page with Tab, and sees at each stop that the focus can be seen."""

    def __init__(self, page):
        self.page = page

    def to(self, selector: str) -> None:
        """Tab until the focus is on, or in, what `selector` names."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(FOCUSED)
            assert stop["tag"] == "BODY" or stop["shown"], f"the focus cannot be seen on {stop['plain']}"
            if self.page.evaluate("s => !!document.activeElement.closest(s)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def test_the_whole_way_with_the_keyboard_alone(visitor):
    page, keyboard = visitor.page, Keyboard(visitor.page)
    keyboard.to("#facts textarea")
    page.keyboard.type(FACTS)
    keyboard.to("#read")
    keyboard.press("Enter")
    visitor.expect(page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 3)
    keyboard.to("#scope input[value=subjects]")
    keyboard.press("Space")
    visitor.expect(page.locator("#scope input[value=subjects]")).to_be_checked()
    keyboard.press("Shift+Tab", "Space")
    visitor.expect(page.locator("#scope input[value=facts]")).to_be_checked()
    keyboard.to("#wash")
    keyboard.press("Enter")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    before, after = (visitor.column("answers", name, 3) for name in ("before", "after"))
    keyboard.to("#answers .lethe-table")  # a region of its own, so that the arrows can scroll it
    keyboard.to("#strength input[type=range]")
    keyboard.press(*["ArrowLeft"] * 4)
    visitor.expect(page.locator("#strength-line")).to_contain_text("At strength 0:")
    visitor.expect(page.locator("#answers h3")).to_have_text(words.ANSWERS_AT.format(strength="0"))
    keyboard.to("#undo")
    visitor.expect(page.locator("#undo")).to_have_text(words.REDO)
    keyboard.press("Enter")
    visitor.expect(page.locator("#undo")).to_have_text(words.UNDO)
    visitor.expect(page.locator("#answers h3")).to_have_text(words.ANSWERS)
    keyboard.press("Enter")
    visitor.expect(page.locator("#undo-note")).to_have_text(words.UNDONE)
    keyboard.press("Enter")
    visitor.expect(page.locator("#undo")).to_have_text(words.UNDO)
    keyboard.to("#prompt textarea")
    page.keyboard.type(PROMPT)
    keyboard.to("#ask")
    keyboard.press("Enter")
    visitor.wait_for_answers(before[0], after[0])


def test_a_row_is_corrected_and_one_removed_with_the_keyboard_alone(visitor):
    page, keyboard = visitor.page, Keyboard(visitor.page)
    note = page.locator("#row-note")
    keyboard.to("#facts textarea")
    page.keyboard.type("France | capital | Lyon\nThe house belongs to nobody known.\n")
    keyboard.to("#read")
    keyboard.press("Enter")
    visitor.expect(page.locator("#preview td[data-head='knows it?']")).to_have_text(["no"])
    keyboard.to("#correct > button")
    keyboard.press("Enter")
    keyboard.to("#row input")
    keyboard.press("ArrowDown", "ArrowDown", "Enter")
    visitor.expect(page.locator("#row-said textarea")).to_have_value("France | capital | Lyon")
    keyboard.to("#row-object textarea")
    keyboard.press("Control+a")
    page.keyboard.type("Paris")
    keyboard.to("#row-correct")
    keyboard.press("Enter")
    visitor.expect(note).to_have_text("Row 1 is corrected; it reads France | capital | Paris.")
    visitor.expect(page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"])
    keyboard.press("Shift+Tab")
    while not page.evaluate("!!document.activeElement.closest('#row')"):
        keyboard.press("Shift+Tab")
    keyboard.press("ArrowDown", "Enter")
    visitor.expect(page.locator("#row-said textarea")).to_have_value("The house belongs to nobody known.")
    keyboard.to("#row-remove")
    keyboard.press("Enter")
    visitor.expect(note).to_have_text("Row 2 is removed.")
    visitor.expect(page.locator("#facts textarea")).to_have_value("France | capital | Paris\n")
