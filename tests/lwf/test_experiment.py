"""A whole run on the bundled model, small: its figures, its delta, and going on after it was cut off."""

import json
from dataclasses import replace

import pytest
import torch

from unlearning.events import Done, Figure, to_json
from unlearning.lwf.confidence import Confidence
from unlearning.lwf.experiment import learn_and_probe, select, stalled
from unlearning.lwf.outcome import Sizes, probe_sets, values
from unlearning.lwf.settings import Settings
from unlearning.models.delta import applied, check
from unlearning.models.loading import load
from unlearning.tasks.bundled import forgetting, learning

SMALL = Sizes(retained=20, reasoning=1, held_out=2, curve=10, answers=3)
S = Settings(samples=8, steps=6, lr=1e-4, interval=2, portion=0.5, evaluations=3, own=20)
TASK, FORGET = (replace(t, test=t.test[:12]) for t in (learning("word-before"), forgetting("position")))


@pytest.fixture(scope="module")
def lm():
    torch.set_num_threads(1)
    return load("lethe-llama", device="cpu")


@pytest.fixture(scope="module")
def known():
    from unlearning.facts.world import world

    return world()[::40]


@pytest.fixture(scope="module", autouse=True)
def two_rates():
    """A shorter frontier."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr("unlearning.lwf.experiment.FACTORS", (0.5, 1.0))
        yield


def go(lm, known, seeds=(0,), settings=S, **more):
    return list(learn_and_probe(lm, TASK, FORGET, settings, seeds, SMALL, known=known, **more))


@pytest.fixture(scope="module")
def run(lm, known):
    return go(lm, known, seeds=(0, 1))


def figures(events, name):
    return [e.value for e in events if isinstance(e, Figure) and e.name == name]


def test_everything_is_told_and_can_be_written(run):
    json.dumps([to_json(e) for e in run])
    names = [e.name for e in run if isinstance(e, Figure)]
    assert set(names) == {"base", "confidence", "point", "columns", "gain", "answers", "frontier"}
    record = run[-1].summary
    for column in ("base", "vanilla", "lwf"):
        for measure in ("learning", "forgetting", "retained", "reasoning"):
            found = record[column][measure]
            assert found["low"] <= found["accuracy"] <= found["high"] and found["n"] > 0
            assert len(found["per_seed"]) == (1 if column == "base" else 2)
    difference = record["lwf"]["learning"]["accuracy"] - record["vanilla"]["learning"]["accuracy"]
    assert record["gain"]["mean"] == pytest.approx(difference)
    assert all(
        set(row) == {"what", "prompt", "right", "base", "vanilla", "lwf"}
        for row in figures(run, "answers")[0]
    )


def test_the_curve_has_both_arms_at_the_same_steps(run):
    points = run[-1].summary["curve"]
    for seed in (0, 1):
        steps = {
            a: [p["step"] for p in points if (p["arm"], p["seed"]) == (a, seed)] for a in ("vanilla", "lwf")
        }
        assert steps["vanilla"] == steps["lwf"] == [0, 2, 4, 6]
    assert all((p["forgetting_loss"] is not None) == (p["arm"] == "lwf" and p["step"] > 0) for p in points)


def test_the_chosen_are_of_highest_confidence(run):
    rows = figures(run, "confidence")[0]
    picked = [r["score"] for r in rows if r["selected"]]
    assert len(picked) == 4 and min(picked) >= max(r["score"] for r in rows if not r["selected"])
    assert all(r["score"] == r["own"] - 2 * r["cross"] for r in rows)


def test_the_deltas_are_what_was_measured(run, lm, known):
    sets = probe_sets(TASK, FORGET, known, SMALL)
    for arm, delta in run[-1].result.items():
        check(delta, lm)
        with applied(lm, delta):
            found = values(lm, TASK, FORGET, sets)
        for name in ("learning", "retained", "reasoning"):
            measured = run[-1].summary[arm][name]["per_seed"][0]
            assert sum(found[name]) / len(found[name]) == pytest.approx(measured, abs=0.021)  # float rounding


def test_cut_off_and_gone_on_is_the_same_run(run, lm, known):
    """The first seed is finished, the second broken off in its middle; the next run does only that again."""
    kept = {}
    events = learn_and_probe(lm, TASK, FORGET, S, (0, 1), SMALL, known=known, kept=kept)
    for event in events:
        if isinstance(event, Figure) and event.name == "point" and event.value["seed"] == 1:
            break
    events.close()
    assert list(kept) == [0]
    again = go(lm, known, seeds=(0, 1), kept=kept)
    assert not [p for p in figures(again, "point") if p["seed"] == 0]
    a, b = run[-1], again[-1]
    assert {k: v for k, v in a.summary.items() if k != "seconds"} == {
        k: v for k, v in b.summary.items() if k != "seconds"
    }
    for arm in a.result:
        assert a.result[arm].digest == b.result[arm].digest


def test_nothing_to_forget_is_vanilla(lm, known):
    end = go(lm, known, settings=replace(S, portion=0.0), frontier=False)[-1]
    assert isinstance(end, Done) and end.summary["unlearned"] == 0
    assert end.result["vanilla"].digest == end.result["lwf"].digest
    assert end.summary["gain"]["mean"] == 0


def test_a_stall_by_hand():
    curve = [{"arm": "lwf", "loss": x} for x in (None, 3.0, 2.0, 2.5, 2.0)]
    curve.append({"arm": "vanilla", "loss": 1.0})
    assert stalled(curve, "lwf", 2) and not stalled(curve, "lwf", 3) and not stalled(curve, "vanilla", 1)


def test_early_stop_ends_both_arms_at_one_step(lm, known):
    """A learning rate of nearly 0: the loss goes up and down with the batches alone."""
    still = replace(S, lr=1e-12, steps=8, evaluations=8, patience=1)
    record = go(lm, known, settings=still)[-1].summary
    last = {arm: max(p["step"] for p in record["curve"] if p["arm"] == arm) for arm in ("vanilla", "lwf")}
    assert last["vanilla"] == last["lwf"] < 8
    whole = go(lm, known, settings=replace(still, patience=0))[-1].summary
    assert [p for p in whole["curve"] if p["step"] <= last["lwf"]] == record["curve"]


def test_nothing_asked_is_trained_on_or_retained_of_the_tasks(known):
    from unlearning.facts.world import world

    sets = probe_sets(learning("capital-to-currency"), forgetting("employer"), world(), Sizes())
    assert len(sets.retained) == 300
    assert not {f.relation for f in sets.retained} & {"capital", "employer"}


def test_selections_by_hand():
    found = [
        Confidence(1, 0, 4),
        Confidence(4, 3, 4),
        Confidence(9, -5, 4),
    ]  # scores 1, -2, 19; cosines 0, .75, -.83
    s = replace(S, portion=0.1)
    assert select(found, s, 10) == [2]
    assert select(found, replace(s, select="low"), 10) == [1]
    assert select(found, replace(s, select="cosine"), 10) == [2]
    assert select(found, replace(s, portion=0.2), 10) == [0, 2]
    assert select(found, replace(s, portion=0), 10) == []
    assert select(found, replace(s, select="random", portion=0.2), 10) == select(
        found, replace(s, select="random", portion=0.2), 10
    )
    assert len(select(found, replace(s, select="random", portion=1), 10)) == 3


@pytest.mark.parametrize("seeds", [(), (1, 1), tuple(range(11))])
def test_seeds_are_few_and_different(lm, known, seeds):
    with pytest.raises(ValueError, match="1 to 10 different seeds"):
        go(lm, known, seeds=seeds)
