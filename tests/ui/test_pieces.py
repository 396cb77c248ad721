"""Sentences and tables of the page, without a model and without a server."""

import csv
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import PAYLOADS

from unlearning.facts.length import bytes_of
from unlearning.facts.world import world
from unlearning.law.experiment import STRENGTHS
from unlearning.law.settings import Settings
from unlearning.law.trace import Trace
from unlearning.models.loading import bundled
from unlearning.probes.lens import Look
from unlearning.runs.wash import PACKAGE, Unwashable, _our_words
from unlearning.ui import happened, heat, inside, labels, plots, tradeoff, wash, within, words
from unlearning.ui.follow import View, fold
from unlearning.ui.preview import MARGIN, positions, read
from unlearning.ui.tables import SHOWN, table
from unlearning.ui.text import safe

NAME = next(iter(bundled()))


def rate(accuracy, low=0.0, high=1.0, n=100):
    return {"accuracy": accuracy, "low": low, "high": high, "n": n}


def plain(text):
    """Without the spaces that do not break."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def column(retained, reasoning):
    return {"retained": rate(retained), "reasoning": reasoning}


def test_the_text_that_is_spared_is_named_and_an_earlier_versions_run_says_nothing():
    assert within.spared(None) == ""
    told = {"source": "wiki.txt", "tokens": 16_000, "converged": False}
    assert "16,000 tokens of wiki.txt." in within.spared(told)
    assert "Twice as many" in within.spared(told | {"converged": True})
    assert "Twice as many" not in within.spared(told)


def test_the_headline_counts_and_compares():
    rows = [{"gone": True}] * 24 + [{"gone": False}]
    before = column(1.0, rate(0.5, 0.45, 0.55, 480))
    said = happened.headline(before, column(0.99, rate(0.497, n=480)), rows)
    assert plain(said) == (
        "24 of 25 known facts are gone. 99 % of everything else stayed (n = 100). "
        "Reasoning: no change shown (−0.3 points, n = 480)."
    )
    near = happened.headline(
        before | {"same_subject": rate(0.8)},
        column(0.99, rate(0.497, n=480)) | {"same_subject": rate(0.72)},
        rows,
    )
    assert "99 % of everything else stayed (n = 100), 90 % of the same subjects' other facts (n = 100)." in (
        plain(near)
    )
    fell, rose = (happened.headline(before, column(0.99, rate(x)), rows) for x in (0.4, 0.6))
    assert "Reasoning fell (−10.0 points" in plain(fell) and "Reasoning rose (+10.0 points" in plain(rose)


def test_no_line_ends_between_a_number_and_its_unit():
    shown = [
        happened.headline(column(1.0, rate(0.5)), column(0.99, rate(0.4)), [{"gone": True}]),
        unescape(tradeoff.sentence(CURVE, "law", 0.5)),
        words.together(
            words.MODEL_LINE.format(device="CPU", free="", parameters=4.8, megabytes=6, recall="")
        ),
    ]
    for text in shown:
        assert "\N{NO-BREAK SPACE}" in text
        assert not re.search(r"\d (%|points|MB|million)|n =| = \d", text), text
    assert words.together("in 1999 % of n is MBa") == "in 1999\N{NO-BREAK SPACE}% of n is MBa"


@given(st.floats(0, 1))
def test_a_percentage_is_never_rounded_to_all_or_nothing(x):
    said = words.percent(x)
    assert (said == "100 %") <= (x > 0.99999) and (said == "0 %") <= (x < 0.00001)


@pytest.mark.parametrize(
    "before, after, gone, sign",
    [
        ("Paris.", "unknown.", True, words.GONE),
        ("Paris.", "Paris.", False, words.STILL),
        ("Paris.", "in Paris.", False, words.CHANGED),
    ],
)
def test_every_answer_gets_a_word(before, after, gone, sign):
    assert happened.sign({"before": before, "after": after, "gone": gone}) == sign


@given(st.text(), st.text())
def test_no_text_becomes_markup(a, b):
    held = table("c", ["x", "y"], [[a, b]])
    frame = table("c", ["x", "y"], [["", ""]])
    for mark in "<>\"'":
        assert held.count(mark) == frame.count(mark)
    assert not set("<>[]()`*_\n$") & set(safe(a))


def test_what_a_column_means_is_said_for_who_cannot_hover_once_and_where_there_is_something_to_say():
    html = table("c", ["x", "n", "x"], [[1, 2, 3]], {"n": "How <many>.", "y": "Not here."})
    assert re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", html) == [("n", "How &lt;many&gt;.")]
    assert html.count("</details>") == 1 and "<details" not in table("c", ["x"], [[1]], {"y": "Not here."})


def test_a_long_table_says_how_much_it_leaves_out():
    assert table("c", ["x"], []) == ""
    assert "and 5 more rows" in table("c", ["x"], [[i] for i in range(SHOWN + 5)])


@pytest.mark.parametrize(
    "view, said",
    [
        (View(state="queued", place=2), "Waiting: 2 washes before yours."),
        (View(state="queued", place=0), words.STARTING),
        (View(state="running", phase="measuring before"), "Measuring before"),
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
        (View(state="failed", failed="No memory."), "Nothing was washed. No memory."),
    ],
)
def test_every_state_has_its_sentence(view, said):
    assert wash.HOW_FAR.sentence(view) == said


def test_a_new_phase_begins_at_nothing():
    view = fold(View(), {"n": 0, "t": 0.1, "type": "Progress", "done": 3, "total": 4, "text": "layer 1"})
    assert (view.done, view.total) == (3, 4)
    view = fold(view, {"n": 1, "t": 0.2, "type": "Phase", "name": "after", "text": "measuring after"})
    assert (view.done, view.total, view.text, view.phase) == (0, 0, "", "measuring after")


def test_every_bundled_fact_fits_the_bundled_models():
    longest = max(map(bytes_of, world()))
    assert all(longest <= positions(name) - MARGIN for name in bundled())


def test_a_fact_longer_than_the_model_can_look_at_is_a_problem():
    preview = read(f"{'x' * 300} | capital | Paris\nFrance | capital | Paris", NAME)
    assert [f.subject for f in preview.plain()] == ["France"]
    assert preview.problems[0].row == 1 and "too long for this model" in preview.problems[0].message


def test_what_the_engine_does_not_know_is_filled_in():
    preview = read("France | capital | Paris\nJapan | capital | Tokyo", NAME)
    assert [row[2] for row in preview.table()] == [words.OPEN] * 2
    filled = preview.with_unknown([{"subject": "Japan", "relation": "capital", "object": "Tokyo"}])
    assert [row[2] for row in filled.table()] == [words.YES, words.NO]
    assert filled.line() == "2 facts read; the model knows 1 of them."


def test_only_words_of_this_package_are_shown():
    assert issubclass(Unwashable, ValueError) and Unwashable.__module__.split(".")[0] == PACKAGE.name
    try:
        float("/a/path")
    except ValueError as error:
        assert not _our_words(error)
    try:
        wash.chosen("facts", "law", "unknown", 1, -1)
    except ValueError as error:
        assert _our_words(error)


def test_the_heat_map_writes_out_every_share_and_marks_what_is_edited():
    places, shares = ("end of <subject>", "end of prompt"), ((0.0, 0.255), (1.0, 0.004))
    html = inside.heat_map("a < b", places, shares, {("end of prompt", 1)})
    assert "<caption>a &lt; b</caption>" in html and "end of &lt;subject&gt;" in html
    cells = re.findall(r'style="--share: ([\d.]+)">([^<]*)</td>', html)
    assert cells == [("0.000", "0 %"), ("0.255", "26 %"), ("1.000", "100 %"), ("0.004", "● 0.4 %")]


TRACE = Trace(
    places=("subject's last token", "token after it", "prompt's last token"),
    patched=((0.9, 0.1), (0.05, 0.0), (0.2, 1.0)),
    zeroed=((1.0, 0.25), (1.0, 1.0), (0.5, 0.996)),
    n=120,
    seed=0,
    position="subject",
    layers=(1,),
    why="",
)


def test_the_trace_is_drawn_written_out_and_kept_with_the_same_values():
    maps = inside.measures(TRACE, Settings(position="subject", layers=(1,)))
    fig = plots.heat([inside.as_plot(TRACE, *shown) for _, *shown in maps])
    kept = {(r["measure"], r["token"], r["layer"]): r for r in inside.rows(TRACE, maps)}
    assert len(kept) == 2 * 3 * 2 and {r["n"] for r in kept.values()} == {120}
    for trace, (measure, *_) in zip(fig.data, maps, strict=True):
        for layer, (shares, texts) in enumerate(zip(trace.z, trace.text, strict=True)):
            for place, share, text in zip(TRACE.places, shares, texts, strict=True):
                row = kept[measure, place, layer]
                assert row["effect"] == pytest.approx(share)
                assert text == ("● " if row["edited"] else "") + words.percent(share)
    assert kept["silenced", TRACE.places[0], 1]["effect"] == 0.75  # what is lost, not what is left
    assert [k for k, r in kept.items() if r["edited"]] == [("silenced", TRACE.places[0], 1)]
    assert all("n = 120" in plain(a.text) for a in fig.layout.annotations)


def looks(*tokens):
    """Layers from the embedding on, as (before, after) with these tokens."""
    both = (
        (Look(i - 1, ((t, 0.5),), 0.25, 3), Look(i - 1, ((t, 0.75),), 0.004, 9)) for i, t in enumerate(tokens)
    )
    return list(both)


def test_the_lens_is_drawn_and_kept_with_the_same_values():
    found = looks(" on", " Paris")
    (trace,) = within.heat_map("The capital of France is", found).data
    assert [list(z) for z in trace.z] == [[0.25, 0.004]] * 2
    assert trace.text[1][0] == "Paris<br>(50 %)<br>right: 25.0 %"
    kept = list(within.rows("The capital of France is", found, 0.5))
    assert [(r["layer"], r["when"], r["strength"]) for r in kept] == [
        (-1, "before", 0.0), (-1, "after", 0.5), (0, "before", 0.0), (0, "after", 0.5)
    ]  # fmt: skip
    assert [r["probability"] for r in kept] == [0.5, 0.75] * 2
    assert [r["probability of the right token"] for r in kept] == [0.25, 0.004] * 2
    assert {r["token"] for r in kept[2:]} == {" Paris"}


def test_nothing_in_a_heat_map_is_taken_for_markup_nor_in_its_file_for_a_formula(tmp_path):
    found = looks(*PAYLOADS, "=1+1", " @x")
    for prompt in PAYLOADS:
        fig = within.heat_map(prompt, found)
        texts = [fig.layout.annotations[0].text, *(t for row in fig.data[0].text for t in row)]
        assert not any(re.search("[<>\"']", t.replace("<br>", "")) for t in texts)
    file = tmp_path / "new" / "lens.csv"
    heat.section("any", "take").show(fig, "", within.rows("=HYPERLINK(1)", found, 1.0), file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert {r["prompt"] for r in rows} == {"'=HYPERLINK(1)"}
    assert {r["token"] for r in rows[-4:]} == {"'=1+1", "' @x"}


def point(method, strength, washed, retained, reasoning):
    return {
        "method": method,
        "strength": strength,
        "washed": rate(washed, washed, washed, 25),
        "retained": rate(retained, n=100),
        "reasoning": rate(reasoning, n=96),
    }


CURVE = [
    point("base", 0.0, 1.0, 1.0, 0.9),
    point("law", 1.0, 0.04, 0.98, 0.8),
    point("law", 0.5, 0.6, 0.99, 0.85),
    point("memit", 1.0, 0.2, 0.97, 0.7),
    point("scaled", 0.48, 0.7, 0.99, 0.8),
    point("scaled", 1.0, 0.1, 0.96, 0.6),
]


def test_the_trade_off_goes_through_the_measured_points_and_rings_the_chosen_one():
    traces = plots.trade_off(CURVE, "law", 0.5).data
    lines = {(t.name, t.yaxis): (list(t.x), list(t.y)) for t in traces if t.mode != "markers"}
    assert lines["LAW", "y"] == (pytest.approx([0, 40, 96]), pytest.approx([100, 99, 98]))
    assert lines["LAW", "y2"][1] == pytest.approx([90, 85, 80])
    assert lines["MEMIT", "y"] == (pytest.approx([0, 80]), pytest.approx([100, 97]))
    assert lines["scaled (control)", "y2"] == (pytest.approx([0, 30, 90]), pytest.approx([90, 80, 60]))
    rings = [(t.x[0], t.y[0]) for t in traces if t.mode == "markers"]
    assert rings == [pytest.approx((40, 99)), pytest.approx((40, 85))]
    start = [(t.x[0], t.y[0]) for t in plots.trade_off(CURVE, "memit", 0).data if t.mode == "markers"]
    assert start == [pytest.approx((0, 100)), pytest.approx((0, 90))]


def strengths_on(fig) -> list[tuple[str, float, float]]:
    """The labels with strengths and where they are, of the first panel."""
    panel = [a for a in fig.layout.annotations if a.yref == "y" and a.showarrow is False]
    return [(a.text, a.x, a.y) for a in panel]


def test_where_all_is_washed_at_once_the_plot_is_no_less_readable():
    washed = [point("law", s, 0.0, 0.0, 0.9) for s in (0.25, 0.5, 1.0, 1.5)]
    fig = plots.trade_off([CURVE[0], *washed], "law", 1.0)
    assert strengths_on(fig) == [("0", 0, 100), ("0.25–1.5", 100, 0)]
    for axis in (fig.layout.xaxis, fig.layout.yaxis, fig.layout.yaxis2):
        assert axis.range[0] < 0 and axis.range[1] > 100


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_no_label_of_a_strength_is_on_another(gone):
    """And every strength is in one, as long as the more strength takes the more."""
    steps = [point("law", i / 4, 1 - x, 1.0, 1.0) for i, x in enumerate(sorted(gone), 1)]
    labels = strengths_on(plots.trade_off([CURVE[0], *steps], "law", 1.0))
    ends = [float(x) for text, *_ in labels for x in (text.split("–") * 2)[:2]]
    assert ends == sorted(ends) and ends[0] == 0 and ends[-1] == len(gone) / 4
    groups = plots._near([CURVE[0], *steps])
    assert sum(map(len, groups)) == len(gone) + 1
    spans = [plots._span(group) for group in groups]
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:]))


def test_every_line_of_the_trade_off_has_its_name_beside_it_and_n_stands_on_the_plot():
    fig = plots.trade_off(CURVE, "memit", 0.5)
    assert not fig.layout.showlegend
    for axis in ("y", "y2"):
        of = {
            a.text.split(">")[1][1:-6]: a for a in fig.layout.annotations if a.yref == axis and "<s" in a.text
        }
        assert list(of) == list(words.LINE_NAMES.values())
        colours = {a.text.split('"')[1] for a in of.values()}
        assert len(colours) == 2 and of["◆ MEMIT"].text.count(plots.CHOSEN_TEXT)
        ends = {t.name: (t.x[-1], t.y[-1]) for t in fig.data if t.mode != "markers" and t.yaxis == axis}
        assert [(a.x, a.y) for a in of.values()] == [ends[words.METHOD_NAMES[m]] for m in words.LINE_NAMES]
        assert {(a.axref, a.ayref) for a in of.values()} == {(axis.replace("y", "x"), axis)}
    said = [plain(a.text) for a in fig.layout.annotations]
    assert {"other facts kept, n = 100", "reasoning right, n = 96"} <= set(said)
    assert "n = 25" in plain(fig.layout.xaxis2.title.text)


@given(st.lists(st.floats(-5, 124), max_size=5), st.sampled_from([5.0, 13.6]))
def test_names_are_apart_in_the_order_of_their_lines_and_none_goes_farther_than_it_must(wanted, apart):
    places = labels.spread(wanted, apart, -5, 124)
    order = sorted(range(len(wanted)), key=lambda i: -wanted[i])
    assert all(places[a] - places[b] >= apart - 1e-9 for a, b in zip(order, order[1:]))
    assert all(-5 - 1e-9 <= p <= 124 + 1e-9 for p in places)
    if all(wanted[a] - wanted[b] >= apart for a, b in zip(order, order[1:])):
        assert places == pytest.approx(wanted)


def test_a_text_beside_a_point_stands_where_nothing_is_drawn():
    frame = plots.FRAME
    fall = [(0.0, 100.0), (100.0, 0.0)]
    for point, lines in (((100, 100), [[(0, 100), (100, 100)]]), ((100, 0), [fall]), ((0, 100), [fall])):
        place = labels.beside("of two<br>lines", point, lines, [], [frame])
        x, y = frame.at(*point)
        left, right, low, high = labels.box(
            "of two<br>lines", x + place["ax"], y - place["ay"], place["xanchor"]
        )
        assert left >= 0 and right <= frame.width and low >= 0 and high <= frame.height
        drawn = (p for line in lines for p in labels.along([frame.at(*q) for q in line]))
        assert not any(left < u < right and low < v < high for u, v in drawn)


def test_the_sentence_beside_the_slider_says_what_was_measured():
    said = plain(unescape(tradeoff.sentence(CURVE, "law", 0.5)))
    assert said.startswith("At strength 0.5: 40 % of the facts are gone (40–40, n = 25); 99 % of")
    assert "85 % of reasoning is right (0–100, n = 96)" in said
    assert tradeoff.sentence(CURVE, "law", 0.75) == words.NOT_MEASURED


def test_before_and_after_are_drawn_with_their_intervals():
    gone = ("facts", rate(1.0, 0.9, 1.0), rate(0.1, 0.05, 0.2, 7))
    fig = plots.before_and_after("t", [gone, ("nothing asked", rate(0, n=0), rate(0, n=0))])
    before, after = fig.data
    assert list(before.x) == [100] and list(after.x) == [10]
    assert list(after.error_x.array) == pytest.approx([10])
    assert list(after.error_x.arrayminus) == pytest.approx([5])
    assert [plain(a.text) for a in fig.layout.annotations] == ["facts  n = 7"]
    assert before.marker.symbol != after.marker.symbol


def test_norms_are_told_by_layer():
    norms = {"transformer.h.10.mlp.c_proj.weight": 0.2, "transformer.h.9.mlp.c_proj.weight": 0.1}
    assert within.by_layer(norms) == [(9, 0.1), (10, 0.2)]


def test_answers_show_how_sure_the_model_is_and_can_be_left_to_what_is_still_there():
    row = {"prompt": "a", "object": "b", "before": "b", "p_before": 0.99, "p_after": 0.004}
    rows = [row | {"after": "c", "gone": True}, row | {"prompt": "x", "after": "b", "gone": False}]
    all_of_it, some = (happened.answers("t", rows, only) for only in (False, True))
    assert "99 % → 0.4 %" in all_of_it and "--share: 0.990" in all_of_it and "--share: 0.004" in all_of_it
    assert all_of_it.count("<tr>") == 3 and some.count("<tr>") == 2 and "<span>x</span>" in some
    assert happened.answers("t", rows[:1], True) == f"<p>{words.NONE_LEFT}</p>"


def test_what_was_not_asked_is_left_out_of_the_trade_off():
    nothing = {"accuracy": None, "low": None, "high": None, "n": 0}
    curve = [p | {"retained": nothing} for p in CURVE]
    assert "other facts" not in tradeoff.sentence(curve, "law", 1.0)
    assert {t.yaxis for t in plots.trade_off(curve, "law", 1.0).data} == {"y"}
    assert not plots.trade_off([p | {"reasoning": nothing} for p in curve], "law", 1.0).data


@pytest.mark.parametrize(
    "asked, strength", [(0.0, 0.0), (0.1, 0.0), (0.6, 0.5), (5, 1.5), (0.81, 0.8), (None, 0.8)]
)
def test_the_slider_snaps_to_what_was_measured(asked, strength):
    assert tradeoff.nearest(asked, 0.8) == strength


def test_a_truth_ratio_is_shown_where_a_file_brings_wrong_answers_however_small_it_is():
    rate = {"accuracy": 1.0, "low": 1.0, "high": 1.0, "n": 3}
    plain = {name: rate for name in happened.RATES} | {"families": {}, "perplexity": 4.0}
    label, meaning = words.MEASURES["truth_ratio"]
    ratios = [
        plain | {"truth_ratio": {"accuracy": x, "low": None, "high": None, "n": 2}} for x in (2.3e-05, 1.25)
    ]
    rows = happened.stay_table(*ratios, "facts")
    assert [label, "2.3e-05", "1.2", "2", meaning] in rows
    none = plain | {"truth_ratio": {"accuracy": None, "low": None, "high": None, "n": 0}}
    for run in (plain, none):  # one of an earlier version has no such figure
        assert label not in [row[0] for row in happened.stay_table(run, run, "facts")]


def test_payloads_stay_text_in_answers():
    rows = [
        {"prompt": x, "object": x, "before": x, "after": x, "gone": False, "p_before": None, "p_after": 0.5}
        for x in PAYLOADS
    ]
    html = happened.answers("t", rows, False)
    tags = set(re.findall(r"<(/?[a-z0-9]+)", html))
    assert tags <= {
        t + n
        for t in ("", "/")
        for n in "h3 div table thead tbody tr th td span details summary dl dt dd".split()
    }


@given(
    st.recursive(
        st.none() | st.floats(allow_nan=False) | st.sampled_from(["a", "b", "c", "run", "strength", "off"]),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["run", "strength", "off"]), x),
    )
)
def test_whatever_the_browser_kept_some_measured_strength_is_on_and_only_washes_below_are_off(kept):
    strength, off = tradeoff.left(kept, "a", 0.8, ["b", "c"])
    assert strength in (0.0, *STRENGTHS, 0.8) and set(off) <= {"b", "c"}
    if not isinstance(kept, dict) or kept.get("run") != "a":
        assert (strength, off) == (0.8, [])


def test_what_was_taken_back_of_a_run_is_left_so():
    kept = {"run": "a", "strength": 0.5, "off": ["c"]}
    assert tradeoff.left(kept, "a", 0.8, ["b", "c"]) == (0.5, ["c"])
    assert tradeoff.left(kept, "another", 0.8, ["b", "c"]) == tradeoff.left({}, "", 0.8, []) == (0.8, [])
