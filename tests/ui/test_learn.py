"""Sentences, tables, points and plots of the second page, without a model and without a server."""

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import PAYLOADS

from unlearning.lwf.settings import Settings
from unlearning.models.loading import bundled
from unlearning.tasks.bundled import FORGET_NAMES, LEARN
from unlearning.ui.follow import View, fold
from unlearning.ui.learn import confidence, cost, matrix, outcome, plots, setup, tab, words
from unlearning.ui.learn.setup import NotReady

NAME = next(iter(bundled()))
LIMITS = (2_000, 1_000_000)
ROWS = "\n".join(f"question {i} | answer {i}" for i in range(25))


def chosen(**other) -> dict:
    return {name: getattr(Settings(), name) for name in setup.SETTINGS} | other


def asked(max_steps=2_000, task="topic", text="", forget=("capital",), forget_text="", seeds=1, **other):
    shared = SimpleNamespace(limits=LIMITS, max_steps=max_steps)
    tasks = task, text, list(forget), forget_text
    return setup.asked_for(shared, NAME, *tasks, seeds, True, *chosen(**other).values())


# what is asked for


def test_what_is_chosen_is_what_is_run():
    found = asked(seeds=3, alpha=0.1, steps=12.0, select="cosine")
    assert (found.task.name, found.forget.name, found.seeds) == ("topic", "capital", 3)
    assert (found.settings.alpha, found.settings.steps, found.settings.select) == (0.1, 12, "cosine")
    assert isinstance(found.settings.steps, int)


@pytest.mark.parametrize("task", LEARN)
def test_the_defaults_of_every_task_can_be_run(task):
    start = setup.defaults(NAME, task)
    shared = SimpleNamespace(limits=LIMITS, max_steps=2_000)
    values = [getattr(start, name) for name in setup.SETTINGS]
    assert setup.asked_for(shared, NAME, task, "", ["mixed"], "", 1, True, *values).settings == start


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"alpha": None}, "α is missing"),
        ({"lr": 2}, "η must lie between 0 and 1"),
        ({"steps": 1.5}, "must be a whole number"),
        ({"interval": 0}, "N_u must lie between 1"),
        ({"portion": -0.1}, "must lie between 0 and 1"),
        ({"select": "<b>"}, "select must be one of"),
        ({"seeds": 11}, "from 1 to 10"),
        ({"seeds": 1.5}, "from 1 to 10"),
        ({"task": ""}, words.NO_TASK),
        ({"task": "none"}, words.NO_TASK),
        ({"forget": []}, words.NO_FORGET),
        ({"forget": ["none"]}, words.NO_FORGET),
        ({"task": "own"}, words.EMPTY_TEXT),
        ({"forget": ["own"]}, words.EMPTY_FORGET),
        ({"forget": ["own"], "forget_text": "a | b"}, "1 rows are too few"),
        ({"steps": 300, "seeds": 7}, "300 learning steps × 7 seeds would be 2,100; here 2,000 are allowed"),
        ({"steps": 11, "max_steps": 10}, "11 learning steps × 1 seed would be 11"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong, said):
    with pytest.raises(NotReady, match=re.escape(said)):
        asked(**wrong)


@pytest.mark.parametrize(
    "text, said",
    [
        (ROWS + "\nno answer |", "row 26: .*missing or empty"),
        (ROWS + "\nQuestion 3 | x", "row 26: the same question as in row 4"),
        (ROWS + f"\n{'x' * 300} | y", "row 26: .*too long for this model"),
    ],
)
def test_rows_that_cannot_be_read_are_named_and_the_rest_is_the_task(text, said):
    task = setup.learning_task(words.OWN, text, NAME, LIMITS)
    assert re.search(said, setup.about(task, words.ABOUT))
    assert len(task.train + task.test) == 25


def test_each_row_stands_in_a_table_as_it_was_read_or_with_what_is_wrong():
    text = ROWS + "\nno answer |\n<b>x</b> | y"
    found = setup.rows_of(text, NAME, LIMITS)
    html = setup.as_read(found)
    rows = re.findall(r'data-head="row"><span>(\d+)<', html)
    assert list(map(int, rows)) == [s.row for s in found.samples] + [p.row for p in found.problems]
    assert len(rows) == len([line for line in text.splitlines() if line.strip()])
    assert "<b>" not in html and "missing or empty" in html and words.ROWS_LEFT in html
    assert words.ROWS_LEFT not in setup.as_read(setup.rows_of(ROWS, NAME, LIMITS))


def test_too_few_rows_are_refused():
    with pytest.raises(NotReady, match="2 rows are too few"):
        setup.learning_task(words.OWN, "a | b\nc | d", NAME, LIMITS)


def test_a_text_of_ones_own_is_a_task_and_half_characters_do_no_harm():
    task = setup.learning_task(words.OWN, ROWS + "\n\ud800 | x", NAME, LIMITS)
    assert (len(task.train), len(task.test)) == (21, 5)
    "".join(s.prompt for s in task.train + task.test).encode()


def test_what_may_be_forgotten_can_be_ones_own_too():
    mine = asked(forget=["own"], forget_text=ROWS).forget
    assert {s.prompt for s in mine.train + mine.test} == {f"question {i}" for i in range(25)}
    both = asked(forget=["capital", "own"], forget_text=ROWS).forget
    assert len(both.train) == len(mine.train) + len(setup.forgetting_task(["capital"]).train)
    assert setup.forgetting_title(["own", "capital"]) == f"capital + {words.OWN_SHORT}"
    assert setup.forgetting_title(["own"]) == words.OWN_SHORT


def test_the_mixture_of_all_holds_every_other_choice():
    assert setup.forgetting_task(["capital", "mixed"]).name == "mixed"
    both = setup.forgetting_task(["capital", "symbol"])
    assert both.relations == ("capital", "symbol")
    assert len({s.prompt for s in both.train}) == len(both.train)
    assert set(FORGET_NAMES) >= {"mixed", "capital"}


def test_it_is_said_how_many_are_drawn_to_train_on():
    task = setup.learning_task("topic", "", NAME, LIMITS)
    assert "120 to train on, 100 to be asked" in setup.about(task, words.ABOUT)
    assert "8 of 120 to train on" in setup.about(task, words.ABOUT, 8)
    assert " 120 to train on" in setup.about(task, words.ABOUT, 500)


# how far it is, and what it costs


@pytest.mark.parametrize(
    "view, said",
    [
        (View(state="queued", place=1), "Waiting: 1 run before yours."),
        (View(state="queued", place=0), words.STARTING),
        (View(state="running", phase="measuring the base model"), "Measuring the base model"),
        (View(state="stopped"), words.STOPPED),
        (View(state="lost"), words.LOST_WAITING),
        (
            View(state="lost", phase="weighing", seconds=2.04),
            words.LOST.format(seconds="2.0", phase="weighing", share=""),
        ),
        (
            View(state="lost", phase="weighing", done=3, total=1200),
            words.LOST.format(seconds="0.0", phase="weighing", share=" (3 of 1,200)"),
        ),
        (View(state="failed", failed="Lower α."), "The run was ended. Lower α."),
        (View(state="done", seconds=3.21), "Done in 3.2 s."),
    ],
)
def test_every_state_has_its_sentence(view, said):
    assert tab.HOW_FAR.sentence(view) == said


def test_all_points_of_a_curve_are_kept():
    view = View()
    for n in range(3):
        view = fold(view, {"n": n, "t": 0.1, "type": "Figure", "name": "point", "value": {"step": n}})
    assert [p["step"] for p in view.figures["point"]] == [0, 1, 2]


@pytest.mark.parametrize(
    "seconds, said",
    [(0.2, "1 s"), (7.4, "7 s"), (43, "40 s"), (99, "100 s"), (150, "2 min"), (900, "15 min")],
)
def test_seconds_have_no_more_digits_than_can_be_known(seconds, said):
    assert cost.duration(seconds) == said


@pytest.mark.parametrize("n, said", [(1, "1 MB"), (381_527_040, "380 MB"), (2_140_000_000, "2.1 GB")])
def test_memory_is_said_in_round_numbers(n, said):
    assert cost.size(n) == said


# points


def sample(score, selected=False, task="capital", **other):
    row = {"prompt": "p", "answer": "a", "task": task, "right": True, "logp": -0.1}
    row |= {"own": 1.0, "cross": -0.5, "constant": 3.0, "score": score, "cosine": score / 10}
    return row | {"selected": selected} | other


SOME = [sample(-2.0), sample(0.0), sample(0.5, task="city"), sample(3.0, True), sample(700.0, True, "city")]


def places(html: str) -> list[tuple[str, float]]:
    """(kind, left) of each point, in the order of the answers."""
    found = re.findall(r'class="(dot[^"]*)" data-i="(\d+)"[^>]*left:([\d.]+)%', html)
    return [(kind, float(left)) for kind, i, left in sorted(found, key=lambda f: int(f[1]))]


def test_points_stand_by_value_and_their_shape_says_which_were_chosen():
    found = places(confidence.strip(SOME, "score", "high"))
    assert [kind for kind, _ in found] == ["dot", "dot", "dot", "dot chosen", "dot chosen"]
    lefts = [left for _, left in found]
    assert lefts == sorted(lefts) and lefts[0] == 0 and lefts[-1] == 100
    assert lefts[1] - lefts[0] > 5, "one far away does not press the others together"


def test_every_task_has_a_row_with_how_many_were_chosen():
    html = confidence.strip(SOME, "score", "high")
    assert "capital: 1 of 3 unlearned" in html and "city: 1 of 2 unlearned" in html
    assert html.count('class="band"') == 2


def test_the_cut_lies_between_what_was_chosen_and_what_was_not():
    assert 0.5 < confidence.cut(SOME, "score", "high") < 3.0
    low = [sample(x, x < 1) for x in (0.0, 0.5, 2.0)]
    assert 0.5 < confidence.cut(low, "score", "low") < 2.0
    assert 0.05 < confidence.cut(low, "cosine", "cosine") < 0.2
    assert confidence.cut(low, "score", "cosine") is confidence.cut(SOME, "cosine", "high") is None
    assert confidence.cut(SOME, "score", "random") is confidence.cut(SOME[3:], "score", "high") is None
    html = confidence.strip(SOME, "score", "high")
    assert html.count('class="cut"') == 3 and 'class="cut"' not in confidence.strip(SOME, "score", "random")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.sampled_from(["score", "cosine"]))
def test_the_scale_keeps_the_order_and_its_numbers_apart(values, by):
    where = confidence.scale(values, by)
    found = [where.at(x) for x in sorted(values)]
    assert found == sorted(found) and all(-1e-9 <= x <= 1 + 1e-9 for x in found)
    ticks = [where.at(x) for x in where.ticks()]
    assert all(b - a > confidence.APART for a, b in zip(ticks, ticks[1:]))


@given(st.lists(st.floats(0, 1), max_size=60))
def test_points_in_the_same_place_stand_on_each_other(places):
    levels = confidence.swarm(places)
    assert len(levels) == len(places) and all(0 <= n < confidence.MOST for n in levels)
    seen = [(round(x * confidence.COLUMNS), n) for x, n in zip(places, levels) if n < confidence.MOST - 1]
    assert len(set(seen)) == len(seen)


def test_the_points_are_one_control_that_tells_its_value():
    html = confidence.strip(SOME, "score", "high")
    assert html.count('role="slider"') == 1 and 'aria-valuemax="5"' in html
    assert [int(n) for n in re.findall(r'data-at="(\d+)"', html)] != []
    assert sorted(map(int, re.findall(r'data-at="(\d+)"', html))) == [1, 2, 3, 4, 5]


def test_an_answer_in_full_has_its_three_terms_and_they_add_up():
    row = sample(2.0, True, own=1.0, cross=-0.5, constant=3.0)
    html = confidence.detail([row], 0)
    for value in ("1", "−0.5", "3", "2", "5", "◆ unlearned", "✓ right"):
        assert f"<span>{value}</span>" in html
    assert row["own"] - 2 * row["cross"] == row["score"]


def test_the_table_has_every_answer_with_what_it_is_sorted_by():
    html = confidence.samples(SOME)
    assert html.count("<tr>") == 1 + len(SOME)
    scores = re.findall(r'data-head="FC" data-key="([^"]*)"', html)
    assert [float(x) for x in scores] == sorted((r["score"] for r in SOME), reverse=True)


@pytest.mark.parametrize("how", ["high", "low", "random", "cosine"])
def test_the_sentence_counts_what_was_chosen(how):
    said = confidence.sentence(SOME, how)
    assert said.startswith("The model gave 5 answers of its own, 5 of them right.") and "2" in said


# what came of it


def gain(mean, low, high, n=108, per_seed=(0.0,)):
    return {"mean": mean, "low": low, "high": high, "n": n, "per_seed": list(per_seed)}


def rate(accuracy, n=100):
    return {"accuracy": accuracy, "low": max(0, accuracy - 0.1), "high": min(1, accuracy + 0.1), "n": n}


def column(x):
    rates = {name: rate(x) for name in words.MEASURES}
    return rates | {"families": {"logic_not": rate(x, 25)}, "perplexity": 4.0 + x}


COLUMNS = {"base": column(0.9), "vanilla": column(0.8), "lwf": column(0.7)}


def headline(learning, retained):
    return outcome.headline(COLUMNS, {"learning": learning, "retained": retained})


def test_the_headline_says_when_it_helped_and_what_it_cost():
    said = headline(gain(0.12, 0.098, 0.142, 5, range(5)), gain(-0.012, -0.02, -0.004))
    assert said == (
        "With forgetting the model learned more than without: +12.0 points (95 % interval +9.8 to +14.2, "
        "n = 5 seeds). It kept less of all other facts: −1.2 points (95 % interval −2.0 to −0.4, n = 108 "
        "asked). Right answers on the forgetting task went from 90 % to 70 % (plain: 80 %)."
    )


def test_the_headline_says_when_no_difference_is_shown():
    said = headline(gain(0.012, -0.005, 0.029), gain(0.0, None, None, 300))
    assert "did not help the learning, as far as can be shown: +1.2 points (0 lies inside" in said
    assert "−0.5 to +2.9" in said
    assert "no difference is shown: ±0.0 points (no interval, n = 300 asked)" in said


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_verdict_needs_the_whole_interval_on_one_side(mean, half):
    low, high = mean - half, mean + half
    verdict = outcome.verdict(gain(mean, low, high))
    assert (verdict == "more") == (low > 0) and (verdict == "less") == (high < 0)


def test_one_seed_claims_nothing_at_equal_retention():
    assert "One seed says nothing" in outcome.equal(gain(0.05, None, None, 1, [0.05]))
    assert outcome.equal(gain(0.05, 0.01, 0.09, 2, [0.04, 0.06])).startswith("Where plain fine-tuning keeps")


def test_the_table_has_the_three_models_with_interval_and_n():
    gains = {name: gain(0.01, -0.02, 0.04) for name in words.MEASURES}
    rows = outcome.side_table(COLUMNS, gains)
    assert [len(r) for r in rows] == [len(words.SIDE_HEAD)] * 6
    assert rows[0] == [
        "learning task", "90 % (80–100)", "80 % (70–90)", "70 % (60–80)", "+1.0 (−2.0 to +4.0)", "100"
    ]  # fmt: skip
    assert rows[4][0] == "reasoning: logic not" and rows[5][1:4] == ["4.90", "4.80", "4.70"]


# plots


def point(arm, step, learning, seed=0, loss=1.0):
    return {"arm": arm, "step": step, "seed": seed, "learning": learning, "forgetting": 1.0, "loss": loss}


POINTS = [point(arm, n, n / 4, seed) for seed in (0, 1) for arm in ("vanilla", "lwf") for n in (0, 2, 4)]


def test_curves_are_means_over_the_seeds_with_the_unlearning_steps_marked():
    config = {"steps": 4, "interval": 2, "alpha": 0.05, "portion": 0.25, "ahead": False}
    fig = plots.curves([*POINTS, point("lwf", 4, 0.0, 2)], config, {"learning": 60, "forgetting": 40})
    lines = {(t.name, t.yaxis): t for t in fig.data if "lines" in t.mode}
    assert len(lines) == 6
    assert list(lines["plain fine-tuning", "y"].y) == [0, 50, 100]
    assert list(lines["with forgetting (LWF)", "y"].y) == [0, 50, pytest.approx(200 / 3)]
    assert len({(t.line.dash, t.marker.symbol) for t in lines.values()}) == 2
    marks = [list(t.x) for t in fig.data if t.mode == "markers"]
    assert marks == [[2, 4]] * 3
    said = " ".join(a.text for a in fig.layout.annotations)
    assert "n = 60" in said and "n = 40" in said and "LWF" in said and "plain" in said
    assert "mean of 3 seeds" in fig.layout.xaxis3.title.text


@pytest.mark.parametrize(
    "other, marked",
    [({"ahead": True}, [0]), ({"alpha": 0}, []), ({"portion": 0}, []), ({"interval": 3}, [3, 6, 9])],
)
def test_unlearning_steps_are_those_of_the_settings(other, marked):
    config = {"steps": 10, "interval": 2, "alpha": 0.05, "portion": 0.25, "ahead": False}
    assert plots.unlearning_steps(config | other) == marked
    assert len(plots.unlearning_steps(config | {"steps": 2_000, "interval": 1})) <= plots.MARKS


def test_the_three_models_have_a_sign_each():
    fig = plots.side_by_side(outcome.plot_rows(COLUMNS))
    assert len({t.marker.symbol for t in fig.data}) == 3
    assert [list(t.x)[0] for t in fig.data] == pytest.approx([90, 80, 70])
    assert any("n = 100" in a.text for a in fig.layout.annotations)


def test_the_frontier_goes_through_the_measured_points_in_the_order_of_their_rates():
    found = [
        {"arm": arm, "lr": lr, "learning": 0.5 + lr, "retained": 1 - lr, "n": 1}
        for arm in ("vanilla", "lwf")
        for lr in (0.2, 0.1)
    ]
    found.append({"arm": "extra", "lr": 0.1, "learning": 0.55, "retained": 0.8, "n": 1})
    fig = plots.frontier(found, {"learning": 108, "retained": 300})
    assert [list(t.x) for t in fig.data] == [pytest.approx(x) for x in ([90, 80], [90, 80], [80])]
    assert len({t.marker.symbol for t in fig.data}) == 3
    assert "n = 300" in fig.layout.xaxis.title.text and "n = 108" in fig.layout.yaxis.title.text
    assert not fig.layout.showlegend  # each line's ends say whose they are
    ends = {(t.x[i], t.y[i]) for t in fig.data for i in (0, -1)}
    assert {(a.x, a.y) for a in fig.layout.annotations} == ends
    said = [a.text for a in fig.layout.annotations]
    assert all(
        any(f"{words.SIGNS[arm]} {words.ARM_NAMES[arm]}, η" in x for x in said) for arm in ("vanilla", "lwf")
    )


# other people's text


def tags(html: str) -> set[str]:
    return set(re.findall(r"<(/?[a-z0-9]+)", html))


def test_payloads_stay_text():
    rows = [sample(float(i), prompt=x, answer=x, task=x) for i, x in enumerate(PAYLOADS)]
    known = {
        t + n
        for t in ("", "/")
        for n in "h3 div table thead tbody tr th td span p i button details summary dl dt dd".split()
    }
    drawn = [confidence.strip(rows, "score", "high"), confidence.samples(rows)]
    drawn += [confidence.detail(rows, i) for i in range(len(rows))]
    for html in drawn:
        assert tags(html) <= known
    asked = [
        {"what": "learning", "prompt": x, "right": x, "base": x, "vanilla": x, "lwf": x} for x in PAYLOADS
    ]
    told = outcome.table(words.ANSWERS, words.ANSWERS_HEAD, outcome.answer_table(asked))
    assert tags(told) <= known
    for attribute in re.findall(r'data-said="([^"]*)"', drawn[0]):
        assert not set("<>") & set(attribute)


# the recorded matrix


def test_the_recorded_matrix_is_shown_with_its_counts_and_escaped(tmp_path, monkeypatch):
    def cell(arm, learned, name="topic"):
        rates = {m: learned for m in ("learning", "forgetting", "retained", "reasoning")}
        return {"task": name, "forget": "mixed", "arm": arm, "lr": 0.1} | rates

    cells = [cell("vanilla", [0.5, 0.5, 0.6]), cell("lwf", [0.7, 0.7, 0.81])]
    cells += [cell("vanilla", [0.5, 0.6], "<b>"), cell("lwf", [0.6, 0.5], "<b>")]
    result = {"seeds": [0, 1, 2], "cells": cells, "settings": {"topic": {"lr": 0.1}, "<b>": {"lr": 0.1}}}
    (tmp_path / "forgetting.json").write_text(json.dumps(result))
    monkeypatch.setattr(matrix, "folder_of", lambda name: tmp_path)
    html = matrix.describe("m")
    assert "Of 2 pairs LWF learned more in 1 (▲), less in 0 (▼), and in 1 no difference" in html
    assert "+20.3 (" in html and ") ▲" in html and "<b>" not in html and "&lt;b&gt;" in html
    (tmp_path / "forgetting.json").unlink()
    assert "was not recorded" in matrix.describe("m")
