"""What a wash will cost: against the runs themselves, and how it moves with what is asked."""

import os
import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from unlearning.events import Figure, Phase
from unlearning.facts.fact import Fact, Question
from unlearning.facts.world import world
from unlearning.law.experiment import Sizes, wash_and_probe
from unlearning.law.forecast import Pace, forecast, measure, missing
from unlearning.law.settings import SCOPES, settings_for
from unlearning.law.statistics import Statistics, statistics
from unlearning.law.wash import Washed, wash
from unlearning.law.work import Missing
from unlearning.models.loading import bundled, load

PACE = Pace(passes=1e9, solves=1e9, letters=4.0)
NOBODY = Fact("Zogola", "capital", ("Mabu",), ("The capital of {} is",))
SMALL = Sizes(retained=20, reasoning=1, held_out=2, curve=6)


@pytest.mark.parametrize("position", ["prompt", "subject"])
@pytest.mark.parametrize("layers", [(0,), (0, 1, 2)])
def test_more_facts_never_cost_less(taught, stats, position, layers):
    settings = settings_for(taught, position=position, layers=layers)
    costs = [
        forecast(taught, stats.known[:n], (), settings, PACE, stats, SMALL)
        for n in range(1, len(stats.known) + 1)
    ]
    for fewer, more in zip(costs, costs[1:]):
        assert fewer.facts < more.facts
        assert fewer.result < more.result and fewer.memory <= more.memory


def test_what_a_file_asks_besides_its_facts_costs_time_before_and_after(taught, stats):
    facts, settings = stats.known[:4], settings_for(taught)
    asked = [
        replace(f, neighbours=tuple(Question(f"{f.subject} {i}", ("x",)) for i in range(9))) for f in facts
    ]
    plain, more = (forecast(taught, some, (), settings, PACE, stats, SMALL) for some in (facts, asked))
    assert {p for p in plain.seconds if more.seconds[p] > plain.seconds[p]} == {"before", "after"}
    few = replace(SMALL, brought=5)
    fewer = forecast(taught, asked, (), settings, PACE, stats, few)
    assert plain.seconds["after"] < fewer.seconds["after"] < more.seconds["after"]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_facts_of_a_scope_are_those_that_a_run_finds_known(taught, stats, scope):
    settings = settings_for(taught, scope, moment_tokens=2000)
    facts = [stats.known[0], NOBODY]
    told = forecast(taught, facts, {NOBODY.key}, settings, PACE, stats, SMALL)
    events = wash_and_probe(taught, facts, settings, SMALL, stats)
    found = next(e.value for e in events if isinstance(e, Figure) and e.name == "known")
    assert (told.facts, told.exact) == (found["known"], True)
    assert (told.facts > 1) is (scope != "facts")


def test_where_nothing_is_known_there_is_nothing_to_tell(taught, stats):
    told = forecast(taught, [NOBODY], {NOBODY.key}, settings_for(taught), PACE, stats)
    assert (told.facts, told.seconds, told.result, told.memory) == (0, {}, 0, 0)
    with pytest.raises(ValueError, match="no facts"):
        measure(taught, [])


def test_facts_of_a_scope_are_an_upper_bound_until_it_is_known_what_the_model_knows(taught, stats):
    settings = settings_for(taught, "relation")
    blank = Statistics(replace(taught, folder=taught.folder / "other"), settings.moment_tokens)
    told = forecast(taught, stats.known[:1], (), settings, PACE, blank)
    assert not told.exact and told.facts >= len([f for f in stats.known if f.relation == "capital"])
    assert forecast(taught, stats.known[:1], (), settings_for(taught), PACE, blank).exact


def test_what_is_missing_is_what_a_run_measures(taught, taught_facts):
    """Nothing is missing after a run, neither in memory nor for another process; and each part costs."""
    settings = settings_for(taught, layers=(0, 2), moment_tokens=1999)
    before = Statistics(taught, settings.moment_tokens)
    assert missing(before, settings).C == missing(before, settings).keep == (0, 2)
    assert any(isinstance(e, Washed) for e in wash(taught, taught_facts[:2], settings, before))
    for there in (before, Statistics(taught, settings.moment_tokens)):
        assert missing(there, settings) == Missing(probes=missing(there, settings).probes)
    assert missing(before, settings, on_top=True) == Missing(True, (2,), (2,), True)
    parts = [Missing(known=True), Missing(C=(0,)), Missing(keep=(0,)), Missing(probes=True)]
    costs = [
        forecast(taught, taught_facts[:2], (), settings, PACE, before, SMALL, new)
        for new in (Missing(), *parts)
    ]
    assert all(cost.result > costs[0].result for cost in costs[1:])
    assert all(cost.seconds["statistics"] > 0 for cost in costs[1:-1])


@pytest.mark.parametrize("taken", [0.1, 3.0, 50.0])
def test_the_pace_moves_towards_what_a_run_took_and_never_past_it(taught, stats, taken):
    cost = [3.0]
    pace = PACE
    facts, settings = stats.known[:3], settings_for(taught)
    for _ in range(8):
        told = forecast(taught, facts, (), settings, pace, stats, SMALL).result
        pace = pace.after(told, taken)
        new = forecast(taught, facts, (), settings, pace, stats, SMALL).result
        assert min(told, taken) <= new * (1 + 1e-9) and new <= max(told, taken) * (1 + 1e-9)
        cost.append(new)
    assert cost[-1] == pytest.approx(taken, rel=0.05) and pace.runs == 8


def result_seconds(lm, facts, settings, stats) -> float:
    """Seconds of a run until its result is there."""
    started = time.monotonic()
    for event in wash_and_probe(lm, facts, settings, stats=stats):
        if isinstance(event, Phase) and event.name == "curve":
            return time.monotonic() - started


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    """A bundled model of which nothing was measured before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load(next(iter(bundled())), device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 200])  # the first measures the model's statistics, too
def test_a_wash_takes_as_long_as_foretold(lm, n):
    """Within a factor of two; on a machine that others use, of what it was before or would be after."""
    stats, settings = statistics(lm), settings_for(lm)
    facts = random.Random(n).sample(world(), n)
    new = missing(stats, settings)
    assert (new == Missing()) is (n == 200)
    paces = [measure(lm, facts)]
    taken = result_seconds(lm, facts, settings, stats)
    paces.append(measure(lm, facts))
    told = sorted(forecast(lm, facts, (), settings, pace, stats, None, new).result for pace in paces)
    assert told[0] / 2 < taken < told[1] * 2


WASH = r"""
import random, re, sys
from pathlib import Path
from unlearning.events import Phase
from unlearning.facts.world import world
from unlearning.law.experiment import wash_and_probe
from unlearning.law.forecast import forecast, measure
from unlearning.law.settings import settings_for
from unlearning.law.statistics import statistics
from unlearning.models.loading import load

lm, facts = load(sys.argv[1], device="cpu"), random.Random(0).sample(world(), int(sys.argv[2]))
settings, stats = settings_for(lm), statistics(lm)
told = forecast(lm, facts, (), settings, measure(lm, facts), stats).memory
def kilobytes(name):
    return int(re.search(name + r":\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
rest = kilobytes("VmRSS")
for event in wash_and_probe(lm, facts, settings, stats=stats):
    if isinstance(event, Phase) and event.name == "curve":
        break
print(told, 1024 * (kilobytes("VmHWM") - rest))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="read in /proc")
def test_a_wash_takes_as_much_memory_as_foretold(lm):
    """Within a factor of two, in a process of its own."""
    command = [sys.executable, "-c", WASH, lm.name, "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    told, taken = map(int, done.stdout.split()[-2:])
    assert told / 2 < taken < told * 2
