"""The second page in Chromium: a small run to its end, a point that is clicked, a reload, payloads."""

import csv
import json
import re

import pytest
from payloads import PAYLOADS
from test_access import Keyboard, faults_in_every_look, open_every_fold
from test_payloads import hit
from visitor import Visitor

from unlearning.tasks.bundled import of_relation
from unlearning.ui.learn import words

pytestmark = pytest.mark.browser

PLACES = "Anna Bert Cora Dirk Emma Finn Gina Hans Ilse Jan Kira Lars Mona Nils Olga Paul Quin Rita Sven Tina"
CAPITALS = {f.subject: f.object for f in of_relation("capital")[:30]}
TASK = "\n".join(f"{name} likes the | {name[::-1].lower()}" for name in PLACES.split())


class Learner(Visitor):
    """A visitor of the second page."""

    def ready(self) -> None:
        super().ready()
        self.page.get_by_role("tab", name=words.TAB_LEARN).click()
        self.expect(self.page.locator("#learn-run")).to_be_visible()

    def choose(self, text: str = TASK, forget: str = "capital", steps: int = 4) -> None:
        """A task of one's own, one forgetting task, few steps, no frontier."""
        self.page.click("#learn-task input")
        self.page.get_by_role("option", name=words.OWN_TITLE).click()
        self.page.fill("#learn-text textarea", text)
        boxes = self.page.locator("#learn-forget")
        mixture, wanted = (boxes.get_by_label(name, exact=True) for name in ("a mixture of all", forget))
        mixture.click()  # not `uncheck`, which looks at once whether it was drawn
        self.expect(mixture).not_to_be_checked()
        wanted.click()
        self.expect(wanted).to_be_checked()
        fold = self.page.locator("#learn-advanced > button")
        if not self.page.locator("#learn-steps input").is_visible():
            fold.click()
        self.page.fill("#learn-steps input", str(steps))
        self.page.uncheck("#learn-frontier input")

    def run(self, **chosen) -> None:
        self.choose(**chosen)
        self.page.click("#learn-run")

    def wait_for(self, pattern: str) -> str:
        self.page.wait_for_function(
            "p => new RegExp(p).test(document.querySelector('#learn-status')?.innerText)", arg=pattern
        )
        return self.page.inner_text("#learn-status")

    def cell(self, what: str) -> str:
        """A value of the answer that is shown in full, by the words before it."""
        row = self.page.locator("#detail tr").filter(has=self.page.get_by_text(what, exact=True))
        return row.locator("td[data-head=value]").inner_text()

    def click_point(self, i: int) -> None:
        dot = self.page.locator(f"#strip [data-i='{i}']")
        dot.scroll_into_view_if_needed()
        box = dot.bounding_box()
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.fixture
def learner(browser, url):
    visitor = Learner(browser, url)
    yield visitor
    visitor.page.context.close()
    assert visitor.faults == []


def newest(shared):
    """The folder of the last run of this page that was begun."""
    configs = shared.runner.root.glob("*/config.json")
    mine = [p for p in configs if json.loads(p.read_text()).get("kind") == "learn"]
    return max(mine, key=lambda p: p.stat().st_mtime).parent


def test_a_small_run_to_its_end_and_a_point_that_is_clicked(learner, shared):
    page = learner.page
    learner.choose()
    learner.expect(page.locator("#learn-cost")).to_contain_text(re.compile(r"About \d.* 8 learning steps"))
    page.click("#learn-check")
    learner.expect(page.locator("#learn-about")).to_contain_text("16 to train on, 4 to be asked")
    learner.expect(page.locator("#learn-preview tbody tr")).to_have_count(20)
    page.click("#learn-run")
    learner.expect(page.locator("#curves-plot .js-plotly-plot")).to_be_visible()
    learner.wait_for(r"^Done in [\d.]+ s\.")
    folder = newest(shared)
    with open(folder / "confidence.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    learner.expect(page.locator("#strip .dot")).to_have_count(len(rows))
    chosen = [i for i, r in enumerate(rows) if r["selected"] == "True"]
    learner.expect(page.locator("#strip .dot.chosen")).to_have_count(len(chosen))
    assert chosen
    top = max(range(len(rows)), key=lambda i: float(rows[i]["score"]))
    learner.click_point(top)
    learner.expect(page.locator("#detail h3")).to_have_text(words.DETAIL.format(i=top + 1))
    assert learner.cell("prompt") == rows[top]["prompt"]
    assert learner.cell("the model's own answer") == rows[top]["answer"]
    assert learner.cell("so it is") == words.CHOSEN
    for term, name in (("Σ F g_x²", "own"), ("Σ F g_x g_L", "cross"), ("Σ F g_L²", "constant")):
        assert float(learner.cell(term).replace("−", "-")) == pytest.approx(float(rows[top][name]), rel=0.01)
    slider = page.locator("#strip [role=slider]")
    slider.press("ArrowLeft")  # one of lower confidence
    second = sorted(range(len(rows)), key=lambda i: float(rows[i]["score"]))[-2]
    learner.expect(page.locator("#detail h3")).to_have_text(words.DETAIL.format(i=second + 1))
    learner.expect(slider).to_have_attribute("aria-valuenow", str(len(rows) - 1))
    assert rows[second]["answer"] in slider.get_attribute("aria-valuetext")
    record = json.loads((folder / "run.json").read_text())
    learner.expect(page.locator("#learn-headline")).to_contain_text("learn")
    shown = page.locator("#side tr").filter(has_text="learning task").locator("td[data-head=LWF]")
    assert shown.inner_text().startswith(f"{100 * record['lwf']['learning']['accuracy']:.0f} %")
    learner.expect(page.locator("#learn-answers td[data-head='of the']").first).to_be_visible()
    learner.expect(page.locator("#frontier")).to_be_hidden()
    for name, file in (("lwf", "delta-lwf.safetensors"), ("record", "run.json")):
        with page.expect_download() as taken:
            page.click(f"#take-{name}")
        assert taken.value.suggested_filename == file


@pytest.fixture(scope="module")
def finished(browser, url):
    """A page with a run that is done, for tests that change nothing of it."""
    visitor = Learner(browser, url)
    visitor.run()
    visitor.wait_for(r"^Done in [\d.]+ s\.")
    yield visitor
    visitor.page.context.close()


def test_the_table_is_sorted_by_any_column_and_its_numbers_choose(finished, shared):
    page = finished.page
    values = "els => els.map(td => Number(td.dataset.key))"
    for press in (1, 2):
        page.locator("#samples th button", has_text="cosine").click()
        found = page.locator("#samples td[data-head=cosine]").evaluate_all(values)
        assert found == sorted(found, reverse=press == 2) and len(found) > 10
        order = ("ascending", "descending")[press - 1]
        finished.expect(page.locator("#samples th[aria-sort]")).to_have_attribute("aria-sort", order)
    number = page.locator("#samples button[data-i]").first
    i = int(number.get_attribute("data-i"))
    number.click()
    finished.expect(page.locator("#detail h3")).to_have_text(words.DETAIL.format(i=i + 1))
    finished.expect(page.locator("#strip .picked")).to_have_attribute("data-i", str(i))


def test_the_points_by_another_value(finished):
    page = finished.page
    page.check("#show-by input[value=cosine]")
    finished.expect(page.locator("#strip")).to_contain_text(words.AXIS["cosine"])
    page.check("#show-by input[value=score]")
    finished.expect(page.locator("#strip")).to_contain_text("without its constant")


def test_axe_finds_no_fault_before_a_run(learner):
    open_every_fold(learner.page)
    assert faults_in_every_look(learner.page) == []


def test_axe_finds_no_fault_after_a_run_that_another_page_shows_again(url, finished):
    page = finished.page.context.new_page()
    page.goto(f"{url}?__theme=light")
    assert not page.evaluate("document.body.classList.contains('dark')")
    finished.expect(page.locator("#side-plot .js-plotly-plot")).to_be_visible()
    page.locator("#samples button[data-i]").first.click()
    finished.expect(page.locator("#detail td").first).to_be_visible()
    open_every_fold(page)
    assert faults_in_every_look(page) == []
    page.close()


def test_a_reload_attaches_again_and_keeps_only_the_runs_id(learner, shared):
    page = learner.page
    learner.run(steps=60)
    learner.wait_for("^Learning")
    folder = newest(shared)
    assert shared.runner.state(folder.name) == "running"
    learner.reload()
    assert page.get_by_role("tab", name=words.TAB_LEARN).get_attribute("aria-selected") == "true"
    learner.wait_for(r"^Done in [\d.]+ s\.")
    learner.expect(page.locator("#outcome")).to_be_visible()
    assert page.input_value("#learn-text textarea") == TASK
    kept = page.evaluate("JSON.stringify(Object.entries(localStorage))")
    assert "lethe-learn" in kept and "likes the" not in kept


def test_a_run_that_is_shown_again_is_described_however_late_the_first_description_comes(learner):
    """The tab, when it is opened, is described by what stands there at first: here that comes last."""
    page = learner.page
    learner.run(steps=2)
    learner.wait_for(r"^Done in [\d.]+ s\.")
    about = page.locator("#forget-about")
    learner.expect(about).to_contain_text("one relation: capital")
    late = []

    def hold(route):
        if '"mixed"' in route.request.post_data:
            late.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/run/predict*", hold)
    learner.leaving = True
    page.reload()
    learner.ready()
    learner.leaving = False
    learner.wait_for(r"^Done in [\d.]+ s\.")
    for route, answer in late:
        route.fulfill(response=answer)
    page.wait_for_timeout(2000)
    learner.expect(about).to_contain_text("one relation: capital")
    learner.expect(page.locator("#learn-text")).to_be_visible()


def test_the_cost_is_of_what_stands_there_or_nothing_is_said(learner):
    page, line = learner.page, learner.page.locator("#learn-cost")
    learner.choose(steps=2)
    learner.expect(line).to_contain_text(re.compile(r"About \d.* 4 learning steps"))
    page.fill("#learn-text textarea", f"{TASK}\nUwe likes the | ewu")
    learner.expect(line).to_have_text("")
    page.click("#learn-check")
    learner.expect(line).to_contain_text("4 learning steps")
    page.click("#learn-run")
    learner.expect(line).to_have_text("")
    learner.wait_for(r"^Done in [\d.]+ s\.")
    learner.reload()
    learner.wait_for(r"^Done in [\d.]+ s\.")
    page.wait_for_timeout(2000)  # the default task, which stands there before the run is shown, has a price
    learner.expect(line).to_have_text("")
    page.click("#learn-advanced > button")
    page.check("#learn-frontier input")
    learner.expect(line).to_contain_text("learning steps")


def test_stop_keeps_what_was_measured_and_says_so(learner):
    page = learner.page
    learner.run(steps=400)
    learner.expect(page.locator("#curves-plot .js-plotly-plot")).to_be_visible()
    page.click("#learn-stop")
    assert learner.wait_for("^Stopped") == words.STOPPED
    learner.expect(page.locator("#strip .dot").first).to_be_visible()
    learner.expect(page.locator("#outcome")).to_be_hidden()
    learner.expect(page.locator("#learn-run")).to_be_enabled()
    learner.expect(page.locator("#learn-stop")).to_be_disabled()


def test_a_bad_task_names_its_rows_and_loses_nothing_typed(learner):
    text = "\n".join([*TASK.splitlines()[:10], "no answer |", "Anna likes the | cat"])  # too few are left
    learner.run(text=text)
    said = learner.wait_for("^10 rows are too few")
    assert "row 11: the field 'answer'" in said and "row 12: the same question as in row 1" in said
    assert learner.page.input_value("#learn-text textarea") == text
    learner.page.fill("#learn-steps input", "2001")
    learner.page.fill("#learn-text textarea", TASK)
    learner.page.click("#learn-run")
    assert "2,000 are allowed" in learner.wait_for("^2,001")


def test_another_task_brings_the_settings_that_fit_it_and_both_tabs_keep_theirs(learner):
    page = learner.page
    page.get_by_role("tab", name=words.TAB_WASH).click()
    page.fill("#facts textarea", "France | capital | Paris")
    page.get_by_role("tab", name=words.TAB_LEARN).click()
    page.click("#learn-advanced > button")
    before = page.input_value("#learn-steps input")
    page.fill("#learn-steps input", "7")
    page.click("#learn-task input")
    page.get_by_role("option", name="topic of a sentence").click()
    learner.expect(page.locator("#learn-about")).to_contain_text("Say what a short text is about")
    learner.expect(page.locator("#learn-steps input")).to_have_value(before)
    page.get_by_role("tab", name=words.TAB_WASH).click()
    assert page.input_value("#facts textarea") == "France | capital | Paris"


def test_the_whole_way_with_the_keyboard_alone(learner):
    page, keyboard = learner.page, Keyboard(learner.page)
    page.get_by_role("tab", name=words.TAB_LEARN).focus()
    keyboard.to("#learn-task input")
    page.keyboard.type(words.OWN_TITLE[:12])
    keyboard.press("Enter")
    learner.expect(page.locator("#learn-text")).to_be_visible()
    keyboard.to("#learn-text textarea")
    page.keyboard.insert_text(TASK)
    keyboard.to("#learn-forget input")
    keyboard.press("Tab", "Tab", "Space", *["Tab"] * 4, "Space")  # capitals come, the mixture goes
    boxes = page.locator("#learn-forget")
    learner.expect(boxes.get_by_label("capital", exact=True)).to_be_checked()
    learner.expect(boxes.get_by_label("a mixture of all", exact=True)).not_to_be_checked()
    keyboard.to("#learn-advanced > button")
    keyboard.press("Enter")
    learner.expect(page.locator("#learn-steps input")).to_be_visible()
    keyboard.to("#learn-steps input")
    keyboard.press("Control+a")
    page.keyboard.type("2")
    keyboard.to("#learn-frontier input")
    keyboard.press("Space")
    keyboard.to("#learn-run")
    keyboard.press("Enter")
    learner.wait_for(r"^Done in [\d.]+ s\.")
    keyboard.to("#strip [role=slider]")
    keyboard.press("End")
    learner.expect(page.locator("#detail td").first).to_be_visible()
    first = page.inner_text("#detail h3")
    keyboard.press("Home")
    learner.expect(page.locator("#detail h3")).not_to_have_text(first)
    keyboard.to("#samples th button")
    keyboard.press("Enter")
    learner.expect(page.locator("#samples th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    keyboard.to("#samples button[data-i]")
    keyboard.press("Enter")
    learner.expect(page.locator("#detail h3")).to_have_text(words.DETAIL.format(i=1))


def test_what_may_be_forgotten_is_brought_in_a_file(learner, shared, tmp_path):
    page = learner.page
    learner.choose(forget=words.OWN_TITLE, steps=2)
    learner.expect(page.locator("#forget-about")).to_have_text(words.EMPTY_FORGET)
    file, nasty = tmp_path / "mine.csv", "<img src=x onerror=window.hit=1>"
    asks = [f"The capital of {place} is" for place in CAPITALS]
    rows = [f"{ask},{place}" for ask, place in zip(asks, CAPITALS.values(), strict=True)]
    file.write_text("\n".join(["question,answer", *rows, f"{nasty},x", "no answer,"]), encoding="utf-8")
    with page.expect_file_chooser() as chooser:
        page.click("#forget-upload")
    chooser.value.set_files(file)
    learner.expect(page.locator("#forget-about")).to_contain_text("to be answered by the model itself")
    read = learner.column("forget-preview", "question", len(asks) + 1)
    assert read == [*asks, nasty] and not hit(learner)
    learner.expect(page.locator("#forget-preview")).to_contain_text("missing or empty")
    page.click("#learn-run")
    learner.wait_for(r"^Done in [\d.]+ s\.")
    assert json.loads((newest(shared) / "config.json").read_text())["forget_text"] == file.read_text()
    record = json.loads((newest(shared) / "run.json").read_text())
    assert record["config"]["forget"] == words.OWN
    with open(newest(shared) / "confidence.csv", encoding="utf-8-sig", newline="") as f:
        assert {row["prompt"] for row in csv.DictReader(f)} <= {*asks, nasty}
    learner.reload()
    learner.wait_for(r"^Done in [\d.]+ s\.")
    assert page.input_value("#forget-text textarea") == file.read_text()
    learner.expect(page.locator("#outcome")).to_contain_text(words.OWN_SHORT)


def test_no_payload_runs_from_a_task_or_a_files_name(learner, tmp_path):
    page = learner.page
    plain = [x.replace("|", "¦").replace("\n", " ") for x in PAYLOADS]
    learner.run(text="\n".join(f"{x} {i} | {x}" for i, x in enumerate(plain)), steps=2)
    learner.wait_for(r"^Done in [\d.]+ s\.")
    learner.expect(page.locator("#learn-answers td").first).to_be_visible()
    assert (
        page.locator("#learn-answers td", has_text="window.hit").count()
        or page.locator("#learn-answers td", has_text="<").count()
    )
    learner.click_point(0)
    assert not hit(learner)
    for text in ("\n".join(f"{x} | " for x in plain), "\n".join(plain)):
        page.fill("#learn-text textarea", text)
        page.click("#learn-check")
        learner.expect(page.locator("#learn-about")).to_contain_text("ow")
        assert not hit(learner)
    (tmp_path / "evil").mkdir()
    file = tmp_path / "evil" / "'\"><img src=x onerror=window.hit=1>.csv"
    quoted = ['"' + x.replace('"', '""') + '"' for x in PAYLOADS]
    file.write_text(
        "question,answer\n" + "\n".join(f'{x[:-1]} {i}",{x}' for i, x in enumerate(quoted)), encoding="utf-8"
    )
    with page.expect_file_chooser() as chooser:
        page.click("#learn-upload")
    chooser.value.set_files(file)
    learner.expect(page.locator("#learn-text textarea")).to_have_value(re.compile("^question,answer"))
    learner.expect(page.locator("#learn-about")).to_contain_text("to be asked")
    assert not hit(learner)
