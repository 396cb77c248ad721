"""What a file asks besides its facts is measured before and after the wash, and changes nothing of it."""

import csv
from dataclasses import replace

import pytest
import torch

from unlearning.events import Done
from unlearning.facts.fact import Question
from unlearning.law import experiment
from unlearning.law.experiment import Sizes, brought, wash_and_probe
from unlearning.law.settings import settings_for
from unlearning.models.delta import applied
from unlearning.probes.knowledge import answers, ask, contains
from unlearning.probes.truth_ratio import brought as truth_ratios
from unlearning.runs.record import write_answers
from unlearning.runs.wash import FIGURES, figure_rows

SIZES = Sizes(retained=10, reasoning=1, held_out=2, curve=4)


@pytest.fixture(scope="module")
def facts(stats):
    """Two known facts; the first brings neighbours (one asks the second fact) and what follows from it."""
    one, two, *others = stats.known[:6]
    around = tuple(Question(f.prompt(), f.objects) for f in (two, *others))
    follows = (
        Question(one.prompts[1].replace("{}", one.subject), one.objects),
        Question("Zogola is", ("no",)),
    )
    wrong = tuple(f.object for f in others if f.relation == one.relation)
    return [replace(one, neighbours=around, portability=follows, wrong=wrong), two]


@pytest.fixture(scope="module")
def runs(taught, stats, facts):
    """The `Done` with and without what the first fact brings."""
    settings = settings_for(taught, layers=(0, 1, 2), moment_tokens=2000)
    plain = [replace(f, neighbours=(), portability=(), wrong=()) for f in facts]
    with pytest.MonkeyPatch.context() as m:
        m.setattr(experiment, "STRENGTHS", ())
        return [list(wash_and_probe(taught, some, settings, SIZES, stats))[-1] for some in (facts, plain)]


def test_neighbours_are_asked_before_and_after_but_for_the_washed_facts_themselves(taught, facts, runs):
    done, asked = runs[0], facts[0].neighbours[1:]
    assert isinstance(done, Done)
    for column, change in (("before", []), ("after", [done.result])):
        with applied(taught, *change) if change else applied(taught, done.result.scaled(0.0)):
            said = answers(taught, [facts[0]] * len(asked), [q.prompt for q in asked])
        hits = [contains(text, q.objects) for text, q in zip(said, asked, strict=True)]
        found = done.summary[column]["neighbours"]
        assert (found["n"], found["accuracy"]) == (len(asked), sum(hits) / len(hits))
        assert found["low"] <= found["accuracy"] <= found["high"]
    assert done.summary["before"]["neighbours"]["accuracy"] == 1
    assert (
        done.summary["before"]["portability"]["n"] == 1
    )  # the other asks the washed fact by its own phrasing


def test_what_a_fact_brings_does_not_change_the_wash(runs):
    with_, without = (r.result.changes for r in runs)
    assert with_.keys() == without.keys() and all(torch.equal(with_[k], without[k]) for k in with_)
    nothing = {"accuracy": None, "low": None, "high": None, "n": 0}
    for column in ("before", "after"):
        assert runs[1].summary[column]["neighbours"] == runs[1].summary[column]["portability"] == nothing
        assert runs[1].summary[column]["truth_ratio"] == nothing


def test_wrong_answers_that_a_file_brings_become_likelier_beside_the_right_one(taught, facts, runs):
    assert facts[0].wrong
    before, after = (runs[0].summary[column]["truth_ratio"] for column in ("before", "after"))
    assert before["n"] == after["n"] == 1 and 5 * before["accuracy"] < after["accuracy"]
    with applied(taught, runs[0].result):
        ((_, now),) = truth_ratios(taught, facts)
    assert now == pytest.approx(after["accuracy"])


def test_the_figures_have_a_line_for_neighbours(runs, tmp_path):
    write_answers(tmp_path / FIGURES, figure_rows(runs[0].summary))
    with open(tmp_path / FIGURES, encoding="utf-8-sig", newline="") as f:
        rows = [r for r in csv.DictReader(f) if r["measure"] == "neighbours"]
    assert [(r["when"], int(r["n"])) for r in rows] == [("before", 4), ("after", 4)]
    assert float(rows[0]["value"]) == runs[0].summary["before"]["neighbours"]["accuracy"]


def test_no_more_are_asked_than_allowed_and_none_twice(facts):
    both = [facts[0], replace(facts[1], neighbours=facts[0].neighbours)]
    every = brought(both, "neighbours", 99, 0)
    assert every == list(facts[0].neighbours[1:])
    some = brought(both, "neighbours", 2, 0)
    assert len(some) == 2 and set(some) < set(every) and some == brought(both, "neighbours", 2, 0)
    assert ask([facts[1]])[0] not in {q.prompt for q in every}
