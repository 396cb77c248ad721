"""What the page says before a wash: how many facts, how long, how much memory, and when nothing."""

import re
import threading

import pytest
from ui_help import FACTS

from unlearning.events import Done, Phase
from unlearning.law.statistics import statistics
from unlearning.law.wash import expand
from unlearning.ui import words
from unlearning.ui.cost import asked, sentences
from unlearning.ui.preview import asked as ask_model
from unlearning.ui.preview import read
from unlearning.ui.wash import chosen

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
    assert [words.memory(x) for x in (0, 234_881_024, 994_000_000, 1_440_000_000)] == [
        "10 MB", "230 MB", "990 MB", "1.4 GB"
    ]  # fmt: skip


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
