"""A wash from beginning to end on a small model that knows twenty-one facts."""

import json
import threading
from dataclasses import replace

import pytest
import torch
from law_weights import untouched, weights

from unlearning.events import Done, Figure, Phase, Progress, Warn
from unlearning.facts.fact import Fact
from unlearning.law import experiment
from unlearning.law import wash as washing
from unlearning.law.contexts import build, keys, residuals
from unlearning.law.experiment import Sizes, wash_and_probe
from unlearning.law.settings import Settings, settings_for
from unlearning.law.statistics import Statistics
from unlearning.law.targets import TargetSettings, find
from unlearning.law.update import ascend, initial
from unlearning.law.wash import Washed, expand, prior, target_ids, wash
from unlearning.models.delta import Delta, applied
from unlearning.models.text import answer_ids
from unlearning.probes.knowledge import ask, knows, paraphrase_accuracy
from unlearning.steps import Stopped, watched

SIZES = Sizes(retained=20, reasoning=1, held_out=2, curve=6)
RATES = ("washed", "paraphrased", "same_subject", "retained", "reasoning")
NOBODY = Fact("Zogola", "capital", ("Mabu",), ("The capital of {} is",))


@pytest.fixture(scope="module")
def settings(taught) -> Settings:
    return settings_for(taught, layers=(0, 1, 2), moment_tokens=2000)


@pytest.fixture(scope="module")
def facts(stats):
    assert len(stats.known) > 18  # the tests below are about a model that has learned
    return stats.known[:3]


@pytest.fixture(scope="module")
def run(taught, stats, settings, facts):
    """Weights before, all events, and the `Done` of one run with a fact that the model does not know."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr(experiment, "STRENGTHS", (0.5, 1.0))
        before = weights(taught)
        events = list(wash_and_probe(taught, [*facts, NOBODY], settings, SIZES, stats))
    return before, events, events[-1]


def washed_by(lm, facts, settings, stats) -> Washed:
    *_, last = wash(lm, facts, settings, stats)
    return last


def equal(a: Delta, b: Delta) -> bool:
    return a.changes.keys() == b.changes.keys() and all(
        torch.equal(a.changes[k], b.changes[k]) for k in a.changes
    )


def close(a, b, tolerance):
    return ((a - b).norm() / b.norm()).item() < tolerance


def test_the_washed_facts_are_gone_and_the_others_are_not(taught, stats, facts, run):
    _, _, done = run
    others = [f for f in stats.known if f not in facts]
    assert all(knows(taught, ask(facts), facts))
    with applied(taught, done.result):
        assert not any(knows(taught, ask(facts), facts))
        assert paraphrase_accuracy(taught, facts).accuracy < 0.5
        assert sum(knows(taught, ask(others), others)) > 0.8 * len(others)
    assert all(knows(taught, ask(facts), facts))


def test_the_record_holds_what_was_done_and_measured(taught, stats, settings, facts, run):
    _, _, done = run
    record = done.summary
    assert json.loads(json.dumps(record)).keys() == record.keys()
    assert {"config", "seconds", "known", "given", "before", "after"} <= record.keys()
    assert (record["given"], record["known"]) == (4, 3)
    assert 0 < record["result_seconds"] <= record["seconds"]
    assert record["config"]["lam"] == settings.lam and record["config"]["model_hash"] == taught.hash
    assert done.result.about == record["config"] and done.result.model_hash == taught.hash
    for column in (record["before"], record["after"]):
        for name in RATES:
            rate = column[name]
            assert rate.keys() == {"accuracy", "low", "high", "n"} and rate["n"] > 0
            assert 0 <= rate["low"] <= rate["accuracy"] <= rate["high"] <= 1
        assert column["perplexity"] > 1
        assert column["washed"]["n"] == column["paraphrased"]["n"] == len(facts)
    assert record["before"]["washed"]["accuracy"] == 1 and record["after"]["washed"]["accuracy"] == 0
    assert [record[x]["retained"]["n"] for x in ("before", "after")] == [
        record["before"]["retained"]["n"]
    ] * 2
    with applied(taught, done.result):
        sets = experiment.probe_sets(facts, stats, SIZES, settings.seed)
        assert experiment.measure(taught, sets) == record["after"]


def test_unknown_facts_are_reported_and_not_washed(taught, stats, settings, facts, run):
    _, events, done = run
    (told,) = [e.value for e in events if isinstance(e, Figure) and e.name == "known"]
    unknown = [{"subject": "Zogola", "relation": "capital", "object": "Mabu"}]
    assert told == {"given": 4, "known": 3, "unknown": unknown}
    (rows,) = [e.value for e in events if isinstance(e, Figure) and e.name == "answers"]
    assert [r["subject"] for r in rows] == [f.subject for f in facts] and all(r["gone"] for r in rows)
    assert all(r["p_after"] < r["p_before"] for r in rows)
    assert equal(
        done.result, washed_by(taught, facts, settings, stats).deltas["law"]
    )  # as if it were not given


def test_it_is_told_which_ordinary_text_the_second_moments_are_of(stats, settings, run):
    _, events, done = run
    (told,) = [e.value for e in events if isinstance(e, Figure) and e.name == "moments"]
    assert told == stats.measured() == done.summary["moments"]
    assert told["source"] == stats.text.source and told["tokens"] > 0 and not told["converged"]


def test_the_events_tell_the_phases_in_order(run):
    _, events, _ = run
    phases = [e.name for e in events if isinstance(e, Phase)]
    assert phases == ["known", "before", "targets", "statistics", "initial", "law", "after", "curve"]
    assert all(0 <= e.done <= e.total for e in events if isinstance(e, Progress))
    assert [type(e) for e in events].count(Done) == 1 and isinstance(events[-1], Done)


def test_what_is_not_asked_again_is_what_would_be_answered(taught, stats, settings, facts, run):
    """Before the wash: values taken over from step 1 and from memory, against asking for everything."""
    sets = experiment.probe_sets(facts, stats, SIZES, settings.seed)
    asked = experiment.values(taught, sets)
    for _ in range(2):
        assert experiment.values_before(taught, sets, stats) == asked
    assert experiment.figures(asked, sets) == run[2].summary["before"]


def test_points_of_the_curve_that_are_had_already_are_those_that_would_be_measured(
    taught, stats, settings, facts, run
):
    *_, washed = wash(taught, facts, settings, stats)
    sets = experiment.probe_sets(facts, stats, SIZES, settings.seed)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(experiment, "STRENGTHS", (0.5, 1.0))
        zero = Delta({k: 0 * v for k, v in washed.deltas["law"].changes.items()}, taught.hash)
        washed.deltas["base"] = zero
        points = experiment.curve(taught, washed, sets, SIZES, settings, {})
    assert points == run[2].summary["curve"]


def test_the_curve_starts_at_the_base_and_passes_through_the_result(run):
    _, _, done = run
    points = {(p["method"], p["strength"]): p for p in done.summary["curve"]}
    size = 1.1**0.5
    expected = {("base", 0.0), ("law", 0.5), ("law", 1.0), ("memit", 0.5), ("memit", 1.0), ("memit", size)}
    assert points.keys() == expected | {("scaled", round(s / size, 6)) for s in (0.5, 1.0, size)}
    assert points["scaled", 1.0]["washed"] == points["memit", size]["washed"]
    for at, column in ((("base", 0.0), "before"), (("law", 1.0), "after")):
        assert points[at]["washed"] == done.summary[column]["washed"]


def test_a_run_that_is_stopped_in_its_curve_has_its_result_and_the_points_until_then(
    taught, stats, settings, facts, run
):
    points = []

    def watch(progress):
        if progress is not None and " at " in progress.text:
            points.append(progress)
            if len(points) == 2:
                raise Stopped

    before = weights(taught)
    with pytest.MonkeyPatch.context() as m, watched(watch):
        m.setattr(experiment, "STRENGTHS", (0.5, 1.0))
        *_, done = wash_and_probe(taught, [*facts, NOBODY], settings, SIZES, stats)
    assert untouched(taught, before) and len(points) == 2
    whole = run[2].summary
    assert done.summary["after"] == whole["after"] and equal(done.result, run[2].result)
    had = [(p["method"], p["strength"]) for p in done.summary["curve"]]
    assert had == [("base", 0.0), ("law", 0.5), ("law", 1.0)]
    assert all(p in whole["curve"] for p in done.summary["curve"])


def test_base_weights_come_back(taught, run):
    assert untouched(taught, run[0])


def test_the_model_runs_only_under_its_lock(taught, stats, settings, facts, tmp_path, monkeypatch):
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    monkeypatch.setattr(experiment, "STRENGTHS", ())
    unmeasured = Statistics(taught, stats.tokens)
    unmeasured.known = stats.known
    held = []
    hook = taught.adapter.layer_module(taught.model, 2).register_forward_pre_hook(
        lambda *_: held.append(taught.lock._is_owned())
    )
    try:
        for _ in wash_and_probe(taught, facts[:1], replace(settings, layers=(0, 1)), SIZES, unmeasured):
            pass
    finally:
        hook.remove()
    assert held and all(held)
    assert free(taught)


@pytest.fixture
def quick(monkeypatch):
    """Measuring does not change weights: here it costs nothing, so that many runs can be broken off."""
    monkeypatch.setattr(experiment, "STRENGTHS", ())
    monkeypatch.setattr(experiment, "values", lambda lm, sets, _: experiment.values_before(lm, sets, None))
    monkeypatch.setattr(experiment, "values_before", lambda lm, sets, _: nothing(sets))
    monkeypatch.setattr(experiment, "solves", lambda lm, items: [False] * len(items))


def nothing(sets) -> dict:
    """Values as if nothing were known."""
    facts = {
        name: getattr(sets, name) for name in ("washed", "same_subject", "retained", *experiment.BROUGHT)
    }
    facts["paraphrased"] = [f for f in sets.washed if f.paraphrases]
    facts["reasoning"] = [item for items in sets.reasoning.values() for item in items]
    values = {name: [False] * len(some) for name, some in facts.items()}
    values["truth_ratio"] = []
    return values | {"perplexity": 1.0, "said": {name: [""] * len(some) for name, some in facts.items()}}


def free(lm) -> bool:
    """Can another thread have the model?"""
    got = []

    def take():
        got.append(lm.lock.acquire(timeout=5))
        if got[0]:
            lm.lock.release()

    other = threading.Thread(target=take)
    other.start()
    other.join()
    return got[0]


def test_broken_off_at_any_event_the_base_is_back(taught, stats, settings, facts, quick):
    short = replace(settings, layers=(0, 2), phrasings=1, prefixes=1, targets=TargetSettings(steps=2))
    before = weights(taught)
    n = len(list(wash_and_probe(taught, facts[:1], short, SIZES, stats)))
    edited = 0
    for at in range(1, n + 1):
        for end in ("close", "throw"):
            events = wash_and_probe(taught, facts[:1], short, SIZES, stats)
            for _ in range(at):
                next(events)
            edited += not untouched(taught, before)
            if end == "close":
                events.close()
            else:
                with pytest.raises(KeyboardInterrupt):
                    events.throw(KeyboardInterrupt())
            assert untouched(taught, before), f"after event {at}: {end}"
            assert free(taught), f"after event {at}: {end}"
    assert edited > 0  # weights were indeed edited at some of these


@pytest.mark.parametrize(
    ("where", "name"), [(washing, "ascend"), (washing, "keys_and_residuals"), (experiment, "values")]
)
def test_after_an_error_in_the_middle_the_base_is_back(
    taught, stats, settings, facts, quick, monkeypatch, where, name
):
    before, plain, calls = weights(taught), getattr(where, name), []

    def fails(*args):
        calls.append(not untouched(taught, before))
        if len(calls) == (1 if name == "values" else 2):
            raise RuntimeError("in the middle")
        return plain(*args)

    monkeypatch.setattr(where, name, fails)
    monkeypatch.setattr(washing, "knows", lambda lm, prompts, facts: [True] * len(facts))
    with pytest.raises(RuntimeError, match="in the middle"):
        list(wash_and_probe(taught, facts, settings, SIZES, stats))
    assert calls[-1]  # it failed while the weights were edited
    assert untouched(taught, before) and free(taught)


@pytest.mark.parametrize(("given", "says"), [([], "no facts"), ([NOBODY], "knows none")])
def test_nothing_to_wash_is_refused(taught, stats, settings, given, says):
    with pytest.raises(ValueError, match=says):
        list(wash_and_probe(taught, given, settings, SIZES, stats))


def test_the_three_methods_differ_and_scaled_is_memit_with_laws_budget(taught, stats, settings, facts):
    deltas = washed_by(taught, facts, settings, stats).deltas
    assert deltas.keys() == {"law", "memit", "scaled"}
    assert not any(
        equal(deltas[a], deltas[b]) for a, b in (("law", "memit"), ("law", "scaled"), ("memit", "scaled"))
    )
    for name, change in deltas["memit"].changes.items():
        assert torch.allclose(deltas["scaled"].changes[name], 1.1**0.5 * change, rtol=1e-6, atol=0)
    for name, change in deltas["law"].changes.items():  # more than a rescaling of the initial update
        cosine = torch.cosine_similarity(change.flatten(), deltas["memit"].changes[name].flatten(), 0)
        assert 0 < cosine < 1 - 1e-4


def test_the_method_and_the_strength_are_those_asked_for(taught, stats, settings, facts, quick):
    deltas = washed_by(taught, facts, settings, stats).deltas
    for method in ("memit", "scaled"):
        *_, done = wash_and_probe(taught, facts, replace(settings, method=method, strength=0.3), SIZES, stats)
        assert equal(done.result, deltas[method].scaled(0.3))


def test_the_seed_decides_everything(taught, stats, settings, facts):
    drawn = replace(settings, prefixes=2, phrasings=2)
    first, again, other = (washed_by(taught, facts, replace(drawn, seed=s), stats).deltas for s in (5, 5, 6))
    assert all(equal(first[m], again[m]) for m in first)
    assert not any(equal(first[m], other[m]) for m in first)


@pytest.mark.parametrize("position", ["subject", "prompt"])
def test_initial_and_ascent_are_the_steps_one_by_one(taught, stats, settings, facts, position, monkeypatch):
    """Steps 3 to 5 written out; fact 0 is taken for gone after the first layer."""
    settings = replace(settings, position=position, layers=(0, 1), phrasings=2)
    contexts = build(taught, facts, position, 2)
    goal = target_ids(taught, facts, settings, stats.known)
    *_, targets = find(taught, contexts, facts, goal, 1, settings.targets, position == "subject")
    C = {i: c + stats.C_keep([i], position, facts)[i] for i, c in stats.C([0, 1]).items()}
    C = {i: c + settings.ridge * c.trace() / len(c) * torch.eye(len(c)) for i, c in C.items()}

    def put(i, update):
        return Delta({taught.adapter.weight_name(i): update.float()}, taught.hash)

    K = keys(taught, contexts, [0])[0]
    first = {0: initial(targets.delta / 2 @ K.T, K @ K.T, C[0], settings.lam)}
    with applied(taught, put(0, first[0])):
        R = targets.z - residuals(taught, contexts, 1)
        moved = keys(taught, contexts, [1])[1]
        first[1] = initial(R @ moved.T, moved @ moved.T, C[1], settings.lam)
    second = {0: ascend(first[0], K @ K.T, C[0], 0.5, 1.1)}
    with applied(taught, put(0, second[0])):
        left = keys(taught, contexts.of_facts([1, 2]), [1])[1]
        second[1] = ascend(first[1], left @ left.T, C[1], 0.5, 1.1)

    monkeypatch.setattr(washing, "knows", lambda lm, prompts, asked: [f is not facts[0] for f in asked])
    deltas = washed_by(taught, facts, settings, stats).deltas
    for i in (0, 1):
        name = taught.adapter.weight_name(i)
        assert close(deltas["memit"].changes[name], first[i].float(), 1e-3)
        assert close(deltas["law"].changes[name], second[i].float(), 1e-3)


def test_of_one_layer_the_targets_pass_gives_what_leaves_the_keep_set(taught, stats, settings, monkeypatch):
    """K Kᵀ of the washed facts is used again where the keep set has the same one layer and the same texts."""
    facts, given = stats.keep_facts([])[:3], []
    plain = stats.C_keep

    def watched(layers, position, washed, phrasings, G):
        given.append(G)
        return plain(layers, position, washed, phrasings)  # without it

    for alike, other in (
        (True, {}),
        (False, {"layers": (1, 2)}),
        (False, {"keep_phrasings": 2}),
        (False, {"prefixes": 1}),
    ):
        some = replace(settings, **({"layers": (1,), "phrasings": 3, "keep_phrasings": 3} | other))
        found = washed_by(taught, facts, some, stats).deltas["law"]
        with monkeypatch.context() as m:
            m.setattr(stats, "C_keep", watched)
            slow = washed_by(taught, facts, some, stats).deltas["law"]
        assert (given.pop() is not None) == alike
        assert all(close(found.changes[k], slow.changes[k], 1e-3) for k in slow.changes)


def test_layers_after_the_last_fact_is_gone_are_left_alone(taught, stats, settings, facts, monkeypatch):
    names = [taught.adapter.weight_name(i) for i in settings.layers]
    for still, n in ((False, 1), (True, 3)):
        monkeypatch.setattr(washing, "knows", lambda lm, prompts, asked, still=still: [still] * len(asked))
        deltas = washed_by(taught, facts, settings, stats).deltas
        assert list(deltas["law"].changes) == names[:n]
        assert list(deltas["memit"].changes) == names


def test_wider_scopes_take_in_what_is_known_and_nothing_twice(stats):
    known, one = stats.known, [stats.known[0]]
    stranger = replace(one[0], relation="anthem", objects=("?",))
    assert expand([*one, stranger], "facts", known) == [*one, stranger]
    by_subject = expand([*one, stranger], "subjects", known)
    assert by_subject[:2] == [*one, stranger] and len(set(by_subject)) == len(by_subject)
    assert set(by_subject) == {stranger, *(f for f in known if f.subject == one[0].subject)}
    by_relation = expand(one, "relation", known)
    assert by_relation[0] == one[0] and len(set(by_relation)) == len(by_relation)
    assert set(by_relation) == {f for f in known if f.relation == one[0].relation}


def test_a_wash_of_a_subject_takes_all_of_it(taught, stats, settings, facts, quick):
    *_, done = wash_and_probe(taught, facts[:1], replace(settings, scope="subjects"), SIZES, stats)
    whole = [f for f in stats.known if f.subject == facts[0].subject]
    assert done.summary["known"] == len(whole) > 1
    with applied(taught, done.result):
        assert not any(knows(taught, ask(whole), whole))


def fact(subject, relation, *objects):
    return Fact(subject, relation, objects, ("{} is",))


def test_the_prior_is_the_relations_most_frequent_answer_that_is_wrong_here():
    known = [
        fact(s, "continent", o) for s, o in zip("abcdefg", ("X", "X", "X", "Y", "Y", "Z", "Z"), strict=True)
    ]
    known += [fact(s, "colour", "red") for s in "abcdefgh"]
    assert prior(fact("n", "continent", "Y"), known) == "X"
    assert prior(fact("a", "continent", "X"), known) == "Y"  # as frequent as Z: the first by name
    assert prior(fact("n", "continent", "W", "X", "Y"), known) == "Z"
    for hopeless in (fact("n", "colour", "red"), fact("n", "anthem", "?")):
        with pytest.raises(ValueError, match="no prior"):
            prior(hopeless, known)


def test_target_ids_are_those_of_the_end_of_a_text_or_of_each_facts_prior(taught, stats, settings, facts):
    def goals(target):
        return target_ids(taught, facts, replace(settings, target=target), stats.known)

    assert goals("eos") == [[taught.tokenizer.eos_token_id]] * 3
    assert goals("never heard") == answer_ids(taught.tokenizer, ["never heard"]) * 3
    assert goals("prior") == answer_ids(taught.tokenizer, [prior(f, stats.known) for f in facts])


@pytest.mark.parametrize("target", ["unknown", "eos"])
def test_the_target_is_said_more_readily_after_the_wash(taught, stats, settings, facts, target):
    settings = replace(settings, target=target)
    (goal, *_) = target_ids(taught, facts, settings, stats.known)

    def logp(f):
        ids = torch.tensor([taught.tokenizer(f.prompt())["input_ids"]])
        return taught.model(ids).logits[0, -1].log_softmax(-1)[goal[0]].item()

    before = [logp(f) for f in facts]
    with applied(taught, washed_by(taught, facts, settings, stats).deltas["law"]):
        assert all(logp(f) > b + 1 for f, b in zip(facts, before, strict=True))


def test_targets_that_were_not_found_are_warned_of(taught, stats, settings, facts):
    for steps, warned in ((0, True), (40, False)):
        easy = replace(settings, targets=TargetSettings(steps=steps, clamp=5.0, lr=0.2))
        *events, last = wash(taught, facts, easy, stats)
        assert any(isinstance(e, Warn) and "targets were found" in e.text for e in events) == warned
        assert (last.converged < 0.9) == warned


def test_targets_that_are_met_from_the_start_change_nothing(taught, stats, settings, facts):
    met = replace(settings, targets=TargetSettings(stop=1e9))
    for delta in washed_by(taught, facts, met, stats).deltas.values():
        assert all(c.isfinite().all() for c in delta.changes.values())
        assert max(delta.norms(taught).values()) < 1e-4


def test_an_edit_that_did_not_take_is_warned_of(taught, stats, settings, facts, monkeypatch, run):
    monkeypatch.setattr(experiment, "STRENGTHS", ())
    before, events, _ = run
    assert not any(isinstance(e, Warn) and "did not take" in e.text for e in events)
    *events, done = wash_and_probe(taught, facts, replace(settings, strength=0.0), SIZES, stats)
    (warned,) = [e.text for e in events if isinstance(e, Warn) and "did not take" in e.text]
    assert warned in done.summary["warnings"]
    assert done.summary["after"] == done.summary["before"]
    assert all(not c.any() for c in done.result.changes.values())


def test_lambda_per_facts_grows_with_their_number(taught, stats, settings, facts):
    assert Settings(lam=6.0).lam_for(50) == 6.0 and Settings(lam=6.0, per=100).lam_for(50) == 3.0
    plain = washed_by(taught, facts, replace(settings, lam=6.0), stats)
    grown = washed_by(taught, facts, replace(settings, lam=12.0, per=2 * len(facts)), stats)
    other = washed_by(taught, facts, replace(settings, lam=12.0), stats)
    assert equal(plain.deltas["law"], grown.deltas["law"])
    assert not equal(plain.deltas["law"], other.deltas["law"])
