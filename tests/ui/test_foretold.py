"""What the page says before a wash: how many facts, how long, how much memory, and when nothing."""

import html
import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ui_help import FACTS

from unlearning.events import Done, Phase
from unlearning.law.statistics import statistics
from unlearning.law.wash import expand
from unlearning.probes import knowledge
from unlearning.probes.knowledge import ask
from unlearning.ui import words
from unlearning.ui.cost import asked, sentences
from unlearning.ui.follow import View, look
from unlearning.ui.preview import asked as ask_model
from unlearning.ui.preview import read
from unlearning.ui.wash import chosen, foretold

UNKNOWN = "Zogola | capital | Mabu\n"


@pytest.fixture(scope="module")
def told(shared):
    """The sentences for a text: `told(text, scope, layers, on_top)`."""
    name = shared.names[0]
    lm = shared.lm(name)
    statistics(lm).known  # noqa: B018 (so that whole subjects are counted exactly)

    def told(text: str, scope: str = "facts", layers: str = "", on_top: bool = False) -> str:
        found = asked(name, text, ask_model(read(text, name), lm))
        shared.costs.measure(lm, found.facts)
        return sentences(shared, found, chosen(scope, "law", "unknown", 0, "", layers), on_top)

    return told


def test_the_line_tells_facts_seconds_and_memory(told):
    said = told(FACTS)
    assert re.match(r"3 facts: about \d+ s to the result, then about \d+ s for the .*; about \d+ MB", said)
    assert told(FACTS + UNKNOWN).startswith("3 facts")  # only what is known is washed


@pytest.mark.parametrize("scope", ["subjects", "relation"])
def test_a_wider_scope_tells_all_of_its_facts(told, shared, scope):
    lm = shared.lm(shared.names[0])
    facts = read(FACTS, lm.name).plain()
    n = len(expand(facts, scope, statistics(lm).known))
    assert n > 3 and told(FACTS, scope).startswith(f"{n} facts")


def test_where_nothing_is_known_the_line_says_why(told, shared):
    assert told(UNKNOWN) == words.COST_NONE
    assert asked(shared.names[0], "", read("", shared.names[0])) is None


def test_a_text_that_is_read_again_asks_only_what_is_new_or_other_than_it_was(shared, monkeypatch):
    name, questions = shared.names[0], []
    lm = shared.lm(name)
    before = ask_model(read(FACTS + UNKNOWN, name), lm)
    again = read(FACTS.replace("Paris", "Lyon") + UNKNOWN + "Kenya | capital | Nairobi\n", name)
    monkeypatch.setattr(knowledge, "ask", lambda facts: questions.extend(facts) or ask(facts))
    found = ask_model(again, lm, asked(name, "", before).known())
    assert [f.object for f in questions] == ["Lyon", "Nairobi"]
    assert found == ask_model(again, lm)


def test_what_is_measured_for_a_wash_on_top_is_told(told):
    assert "with the wash below on" not in told(FACTS)
    assert "with the wash below on" in told(FACTS, layers="1, 2", on_top=True)


def test_settings_that_cannot_be_are_told(told):
    with pytest.raises(ValueError, match="in this model, not to 99"):
        told(FACTS, layers="99")


def test_runs_that_would_come_first_are_told(told, shared):
    opened = threading.Event()

    def engine():
        yield Phase("held", "held up for the test")
        assert opened.wait(600)
        yield Done()

    ids = [shared.runner.submit({}, engine) for _ in range(2)]
    assert told(FACTS).endswith("2 washes would come before yours.")
    opened.set()
    for id in ids:
        list(shared.runner.follow(id))
    assert "before yours" not in told(FACTS)


def test_figures_are_as_exact_as_a_forecast_is():
    assert [words.seconds(x) for x in (0.01, 1.4, 8.6, 23, 97, 110, 5000)] == [
        "1 s", "1 s", "9 s", "25 s", "95 s", "2 min", "83 min"
    ]  # fmt: skip
    assert [words.size(x) for x in (0, 234_881_024, 994_000_000, 1_440_000_000)] == [
        "10 MB", "230 MB", "990 MB", "1.4 GB"
    ]  # fmt: skip


def test_a_run_of_facts_that_were_not_read_before_tells_it_while_it_goes_on(shared):
    facts = read(FACTS + UNKNOWN, shared.names[0]).plain()
    id = shared.wash(shared.names[0], facts, chosen("facts", "law", "unknown", 0), FACTS + UNKNOWN)
    list(shared.runner.follow(id))
    view = look(shared.runner, id)
    names = list(view.figures)
    assert names.index("forecast") == names.index("known") + 1
    assert 0.1 < view.figures["forecast"]["result"] / view.summary["result_seconds"] < 10
    assert foretold(view) == ""
    said = foretold(replace(view, state="running"))
    assert re.match(r'<p class="small">3 facts: about \d+.s to the result, then', html.unescape(said))
    assert foretold(View(state="running")) == ""


@pytest.mark.browser
def test_the_line_stands_beside_the_button_until_it_is_pressed(visitor):
    page, cost = visitor.page, visitor.page.locator("#cost p")
    visitor.expect(page.locator("#cost")).to_be_hidden()
    page.fill("#facts textarea", FACTS)
    page.click("#read")
    visitor.expect(cost).to_have_text(re.compile("^3 facts: about"))
    page.click("#scope input[value=subjects]")
    visitor.expect(cost).to_have_text(re.compile(r"^(At most )?\d\d facts: about"))
    page.click("#scope input[value=facts]")
    visitor.expect(cost).to_have_text(re.compile("^3 facts: about"))
    page.click("#wash")
    visitor.expect(page.locator("#cost")).to_be_hidden()
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.expect(page.locator("#cost")).to_be_hidden()
    page.click("#read")
    visitor.expect(cost).to_have_text(re.compile("^3 facts: about"))
    page.fill("#facts textarea", UNKNOWN)  # what was told is not about this
    visitor.expect(page.locator("#cost")).to_be_hidden()
    page.click("#read")
    visitor.expect(cost).to_have_text(words.COST_NONE)


@pytest.fixture
def held(shared, monkeypatch):
    """The measuring before a forecast waits: `begun` when it has come to that, until `go` is set."""
    begun, go, measure = threading.Event(), threading.Event(), shared.costs.measure

    def waits(*args):
        begun.set()
        assert go.wait(600)
        return measure(*args)

    monkeypatch.setattr(shared.costs, "measure", waits)
    yield SimpleNamespace(begun=begun, go=go)
    go.set()


def read_and_measured(visitor, text: str) -> None:
    """Once, so that what follows finds the model's pace known."""
    visitor.page.fill("#facts textarea", text)
    visitor.page.click("#read")
    visitor.expect(visitor.page.locator("#cost p")).to_have_text(re.compile("facts: about"))


@pytest.mark.browser
@pytest.mark.parametrize("change", ["facts", "scope"])
def test_a_forecast_that_is_measured_late_is_about_what_stands_there_then(visitor, held, change):
    page, cost = visitor.page, visitor.page.locator("#cost p")
    held.go.set()
    read_and_measured(visitor, FACTS)
    held.go.clear()
    held.begun.clear()
    page.click("#read")
    assert held.begun.wait(60)
    if change == "facts":
        page.fill("#facts textarea", UNKNOWN)
    else:
        page.click("#scope input[value=subjects]")
        visitor.expect(cost).to_have_text(re.compile(r"^(At most )?\d\d facts: about"))
    seen = watched(page)
    held.go.set()
    page.fill("#prompt textarea", "Zogola is in")  # asked after the forecast, of the same model
    page.click("#ask")
    visitor.expect(page.locator("#before textarea")).not_to_have_value("")
    page.wait_for_timeout(500)
    assert not [text for text in seen() if text.startswith("3 facts")]
    if change == "facts":
        visitor.expect(page.locator("#cost")).to_be_hidden()
    else:
        visitor.expect(cost).to_have_text(re.compile(r"^(At most )?\d\d facts: about"))


@pytest.mark.browser
def test_a_forecast_that_comes_over_a_slow_line_does_not_replace_a_newer_one(visitor):
    """The answer about the old choice is held back on its way until the facts are others."""
    page, cost = visitor.page, visitor.page.locator("#cost")
    read_and_measured(visitor, FACTS)
    late = []

    def hold(route):
        answer = route.fetch()
        late.append((route, answer))

    page.route("**/run/predict*", hold)
    page.click("#scope input[value=subjects]")
    until(page, lambda: late)
    page.fill("#facts textarea", UNKNOWN)
    visitor.expect(cost).to_be_hidden()
    seen = watched(page)
    for route, answer in late:
        route.fulfill(response=answer)
    page.wait_for_timeout(1000)
    assert not [text for text in seen() if text]


def watched(page):
    """From now on, every text that the line beside the button has: a function that tells them."""
    page.evaluate("""() => {
      window.seen = [];
      const look = () => window.seen.push(document.querySelector('#cost')?.innerText.trim() || '');
      const all = {subtree: true, childList: true, characterData: true};
      new MutationObserver(look).observe(document.querySelector('.gradio-container'), all);
    }""")
    return lambda: page.evaluate("window.seen")


def until(page, true) -> None:
    for _ in range(600):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came")
