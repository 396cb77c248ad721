"""A pace for each model: what it learns from runs, and when there is one to tell by."""

from dataclasses import replace

import pytest
import torch

from unlearning.events import Done, Figure, Phase
from unlearning.facts.world import world
from unlearning.law import forecast
from unlearning.law.forecast import letters_a_token
from unlearning.law.settings import settings_for
from unlearning.runs import cost
from unlearning.runs.cost import Costs

FACTS = [f for f in world() if f.relation == "capital"][:5]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))


def run(costs, lm, seconds, unknown=(), closed=None):
    """All that is left of a run that took so long; `closed` is filled when its engine is."""

    def engine():
        try:
            yield Phase("known", "asking")
            listed = [{"subject": f.subject, "relation": f.relation, "object": f.object} for f in unknown]
            yield Figure("known", {"given": 5, "known": 5 - len(unknown), "unknown": listed})
            yield Done(None, {"result_seconds": seconds})
        finally:
            if closed is not None:
                closed.append(True)

    return costs.learning(lm, FACTS, settings_for(lm), False, engine())


def told(costs, lm, unknown=()) -> float:
    return costs.forecast(lm, FACTS, {f.key for f in unknown}, settings_for(lm)).result


def test_before_it_is_measured_nothing_is_told_and_a_run_measures_it(tiny_llama):
    costs, unknown = Costs(), FACTS[:2]
    assert costs.forecast(tiny_llama, FACTS, (), settings_for(tiny_llama)) is None
    assert not costs.timed(tiny_llama)
    events = run(costs, tiny_llama, 3.0, unknown)
    assert [next(events).name for _ in range(2)] == ["known", "known"]
    foretold = next(events)
    assert foretold.name == "forecast" and foretold.value["facts"] == 3
    assert foretold.value["result"] == told(costs, tiny_llama, unknown) > 0
    assert [type(e) for e in events] == [Done]


def test_a_run_for_which_there_is_no_memory_is_not_kept_from_saying_so(tiny_llama, monkeypatch):
    def no_room(lm, facts):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(forecast, "measure", no_room)
    costs = Costs()
    assert [type(e) for e in run(costs, tiny_llama, 3.0)] == [Phase, Figure, Done]
    assert not costs.timed(tiny_llama)


@pytest.mark.parametrize("factor", [0.2, 7.0])
def test_a_finished_run_moves_the_next_forecast_towards_its_time(tiny_llama, factor, monkeypatch):
    costs, unknown = Costs(), FACTS[:2]
    costs.measure(tiny_llama, FACTS)
    before = told(costs, tiny_llama, unknown)
    list(run(costs, tiny_llama, factor * before, unknown))
    after = told(costs, tiny_llama, unknown)
    assert after == pytest.approx(before * factor**0.5)
    monkeypatch.setattr(cost, "FRESH", 0.0)
    costs.measure(tiny_llama, FACTS)  # the machine may be busier now; what was learned is kept
    assert costs.timed(tiny_llama) and costs._paces[tiny_llama.name].off == pytest.approx(factor**0.5)


def test_a_stopped_run_teaches_nothing_and_its_engine_is_closed(tiny_llama):
    costs, closed = Costs(), []
    costs.measure(tiny_llama, FACTS)
    before = told(costs, tiny_llama)
    events = run(costs, tiny_llama, 100.0, closed=closed)
    assert isinstance(next(events), Phase)
    events.close()
    assert closed and told(costs, tiny_llama) == before


def test_the_machines_pace_is_believed_for_a_while_and_then_measured_anew(tiny_llama, monkeypatch):
    """Whatever the facts: of other ones only the length of their tokens is looked at."""
    costs, now, measured = Costs(), [0.0], []
    plain = forecast.measure
    monkeypatch.setattr(cost, "monotonic", lambda: now[0])
    monkeypatch.setattr(forecast, "measure", lambda lm, facts: measured.append(facts) or plain(lm, facts))
    costs.measure(tiny_llama, FACTS)
    first = costs._paces[tiny_llama.name]
    now[0] = cost.FRESH - 1
    nasty = [replace(FACTS[0], subject="<" * 300)]
    costs.measure(tiny_llama, nasty)
    assert measured == [FACTS]
    assert costs._paces[tiny_llama.name] == replace(first, letters=letters_a_token(tiny_llama, nasty))
    assert costs._paces[tiny_llama.name].letters != first.letters
    now[0] = cost.FRESH
    costs.measure(tiny_llama, nasty)
    assert measured == [FACTS, nasty]
    with pytest.raises(ValueError, match="no facts"):
        costs.measure(tiny_llama, [])


def test_each_model_has_a_pace_of_its_own(tiny_llama, tiny_gpt2):
    costs = Costs()
    for lm in (tiny_llama, tiny_gpt2):
        costs.measure(lm, FACTS)
    before = told(costs, tiny_gpt2)
    list(run(costs, tiny_llama, 100.0))
    assert told(costs, tiny_gpt2) == before


def test_where_runs_go_elsewhere_only_a_run_can_tell_the_time(tiny_llama):
    costs = Costs(lent=True)
    costs.measure(tiny_llama, FACTS)
    assert not costs.timed(tiny_llama)
    list(run(costs, tiny_llama, 0.125))
    assert costs.timed(tiny_llama) and told(costs, tiny_llama) == pytest.approx(0.125)
