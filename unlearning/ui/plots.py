"""Plots: plotly figures with one look for light and dark (see theme.CSS), readable in grey.

Every series has a sign of its own and its name beside it; shares are in percent; n stands on the plot.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import words
from .labels import LETTER, LINE, Frame, beside, spread

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, ACCENT = "#64748b", "#0d9488"  # greys of text and grid are set by the page's CSS
HEAT = [[0, "rgba(20, 184, 166, 0.04)"], [1, "rgba(20, 184, 166, 0.6)"]]
FONT = "system-ui, sans-serif"
CHOSEN_TEXT, OTHER_TEXT = "var(--focus, #0f766e)", "var(--body-text-color-subdued, #64748b)"
PANEL, GAP, NAMES = 180, 56, 84  # px: a panel's height, between two, and to its right
FRAME = Frame((-3, 106), (-5, 124), 190, PANEL)  # percent; on a phone
FRAMES = FRAME, replace(FRAME, width=1_100)
NEAR = 33  # percent: the width of a strength's label on a phone
LINES = {"law": ("solid", "circle"), "memit": ("dash", "diamond"), "scaled": ("dot", "x-open")}  # dash, sign


def _figure(height: int, **layout) -> "go.Figure":
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "white",  # of the PNG; on the page the CSS leaves it out
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 14, "color": INK},
            "margin": {"l": 8, "r": 16, "t": 48, "b": 48},
            "height": height,
            "showlegend": False,
            "modebar": {
                "remove": ["lasso2d", "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
                "bgcolor": "rgba(0,0,0,0)",
                "color": INK,
                "activecolor": ACCENT,
            },
            **layout,
        }
    )


def _title(text: str) -> dict:
    """A heading at the left, as large as the rest; plotly does not break lines by itself."""
    return {"text": text, "x": 0, "xref": "container", "pad": {"l": 8}, "font": {"size": 14}}


def before_and_after(title: str, rows: Sequence[tuple[str, dict, dict]]) -> "go.Figure":
    """Rates before (hollow) and after (filled) with their intervals, a row each: (label, before, after)."""
    rows = [r for r in rows if r[2]["n"]]
    places = list(range(len(rows), 0, -1))
    labels = [words.together(f"{label}  n = {after['n']:,}") for label, _, after in rows]
    fig = _figure(96 + 52 * len(rows), title=_title(title))
    for which, shift, sign, colour in ((1, 0.1, "circle-open", INK), (2, -0.16, "circle", ACCENT)):
        rates = [r[which] for r in rows]
        fig.add_scatter(
            x=[100 * r["accuracy"] for r in rates],
            y=[p + shift for p in places],
            error_x={
                "array": [100 * (r["high"] - r["accuracy"]) for r in rates],
                "arrayminus": [100 * (r["accuracy"] - r["low"]) for r in rates],
                "color": colour,
                "thickness": 1.5,
                "width": 4,
            },
            mode="markers",
            marker={"symbol": sign, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
            name=words.STAY_NAMES[which - 1],
            text=labels,
            hovertemplate="%{text}<br>%{x:.1f} %<extra>%{fullData.name}</extra>",
        )
    for place, label, (name, *_) in zip(
        places, labels, rows, strict=True
    ):  # above its row: beside it a phone has no room
        fig.add_annotation(
            text=label,
            x=0,
            xref="paper",
            y=place,
            xanchor="left",
            yanchor="bottom",
            yshift=10,
            showarrow=False,
            hovertext=words.MEANINGS.get(name, ""),
        )
    fig.update_xaxes(range=[-3, 103], ticksuffix=" %", zeroline=False, fixedrange=True, tickangle=0)
    fig.update_yaxes(
        range=[0.5, len(rows) + 0.8], showticklabels=False, showgrid=False, zeroline=False, fixedrange=True
    )
    return fig


def bars(title: str, rows: Sequence[tuple[str, float]]) -> "go.Figure":
    """Named values as bars that begin at 0, the value written out on each."""
    fig = _figure(120 + 32 * len(rows), title=_title(title), margin={"l": 8, "r": 16, "t": 64, "b": 40})
    fig.add_bar(
        x=[x for _, x in rows],
        y=[label for label, _ in rows],
        orientation="h",
        marker_color=ACCENT,
        text=[f"{x:.3f}" for _, x in rows],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    room = 1.25 * max(x for _, x in rows) or 1  # for the value beside the longest bar, on a phone too
    fig.update_xaxes(range=[0, room], zeroline=False, fixedrange=True, tickangle=0)
    fig.update_yaxes(autorange="reversed", automargin=True, fixedrange=True)
    return fig


@dataclass(frozen=True)
class Heat:
    """Shares (0 to 1) by row and column, each written out: `cells[row][column]` is (text, share).

    Texts are as plotly takes them: escaped, in lines parted by <br>. `size`: of those in cells, px.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[Sequence[tuple[str, float]]]
    size: int = 14


def heat(maps: Sequence[Heat]) -> "go.Figure":
    """Heat maps one below the other, rows in their order from the top."""
    from plotly.subplots import make_subplots

    def lines(text: str) -> int:
        return 1 + text.count("<br>")

    each = [max(lines(t) for row in m.cells for t, _ in row) * LINE * m.size / 14 + 12 for m in maps]
    tall = [each_row * len(m.rows) for each_row, m in zip(each, maps, strict=True)]
    heads = [(lines(m.title) + max(map(lines, m.columns))) * LINE + 16 for m in maps]
    between = max(heads) + 12
    inside = sum(tall) + between * (len(maps) - 1)
    size = _figure(heads[0] + inside + 16, margin={"l": 8, "r": 8, "t": heads[0], "b": 16})
    apart = between / inside if len(maps) > 1 else 0
    fig = make_subplots(rows=len(maps), row_heights=tall, vertical_spacing=apart, figure=size)
    for row, m in enumerate(maps, 1):
        where = {"row": row, "col": 1}
        fig.add_heatmap(
            z=[[share for _, share in cells] for cells in m.cells],
            text=[[text for text, _ in cells] for cells in m.cells],
            texttemplate="%{text}",
            textfont={"size": m.size},
            hoverinfo="text",
            colorscale=HEAT,
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            **where,
        )
        fig.add_annotation(
            text=m.title,
            x=0,
            xref="paper",
            xanchor="left",
            y=1,
            yref=f"y{row if row > 1 else ''} domain",
            yanchor="bottom",
            xshift=-LETTER * max(len(line) for name in m.rows for line in name.split("<br>")),
            yshift=max(map(lines, m.columns)) * LINE + 8,
            align="left",
            showarrow=False,
        )
        plain = {"showgrid": False, "zeroline": False, "fixedrange": True, "ticks": ""}
        at = [{"tickvals": list(range(len(x))), "ticktext": list(x)} for x in (m.columns, m.rows)]
        fig.update_xaxes(side="top", tickangle=0, **at[0], **plain, **where)
        fig.update_yaxes(autorange="reversed", automargin=True, **at[1], **plain, **where)
    return fig


def trade_off(curve: Sequence[dict], method: str, strength: float) -> "go.Figure":
    """What stays against what is gone: LAW and MEMIT by strength, the control, the chosen point ringed.

    Both axes go from nothing to all, so that a line at the top is one where all stays; where points of the
    method lie together, one label has their strengths. The lines' names stand at the right of all.

    `curve`: points of `run.json`, {"method", "strength", "washed", "retained", "reasoning"}. "Scaled only" is
    MEMIT's update at other strengths, so both lines are one; its own is drawn broad under MEMIT's, up to 1,
    where it is as large as LAW's update.
    """
    from plotly.subplots import make_subplots

    titles = {"retained": words.KEPT_AXIS, "reasoning": words.REASONING_AXIS}
    n = {name: max((p[name]["n"] for p in curve), default=0) for name in ("washed", *titles)}
    panels = [name for name in titles if n[name]]
    inside = PANEL * len(panels) + GAP * (len(panels) - 1) if panels else PANEL
    size = _figure(48 + inside + 80, margin={"l": 8, "r": NAMES, "t": 48, "b": 80})
    fig = make_subplots(
        rows=len(panels) or 1,
        shared_xaxes=True,
        vertical_spacing=GAP / inside,
        subplot_titles=[words.together(titles[name].format(n=f"{n[name]:,}")) for name in panels],
        figure=size,
    )
    fig.update_annotations(x=0, xanchor="left", font={"size": 14})
    for row, name in enumerate(panels, 1):
        where = {"row": row, "col": 1}
        for trace in _lines(curve, method, name):
            fig.add_scatter(**trace, **where)
        if chosen := point_at(curve, method, strength):
            fig.add_scatter(
                x=[_gone(chosen)],
                y=[100 * chosen[name]["accuracy"]],
                mode="markers",
                marker={"symbol": "circle-open", "size": 20, "color": ACCENT, "line": {"width": 3}},
                hoverinfo="skip",
                **where,
            )
        tails = {"axref": f"x{row}", "ayref": f"y{row}"} if row > 1 else {}
        for label in _labels(curve, method, name):
            fig.add_annotation(**(label | tails if "axref" in label else label), **where)
    fig.update_yaxes(range=FRAME.y, dtick=25, ticksuffix=" %", zeroline=False, automargin=True)
    fig.update_xaxes(range=FRAME.x, zeroline=False, ticksuffix=" %", tickangle=0)
    axis = words.together(words.GONE_AXIS.format(n=f"{n['washed']:,}"))
    fig.update_xaxes(title={"text": axis, "font": {"size": 14}}, row=len(panels) or 1, col=1)
    fig.update_traces(cliponaxis=False)
    return fig


def _lines(curve: Sequence[dict], method: str, name: str) -> Iterator[dict]:
    """The traces of a panel's lines; the method's own comes first, so that no other is hidden."""
    for other, (dash, sign) in sorted(LINES.items(), key=lambda line: line[0] != method):
        points = _line(curve, other)
        colour = ACCENT if other == method else INK
        broad = other == "scaled"  # MEMIT's line lies on it
        yield {
            "x": [_gone(p) for p in points],
            "y": [100 * p[name]["accuracy"] for p in points],
            "mode": "lines+markers",
            "line": {"dash": dash, "color": colour, "width": 3 if broad or other == method else 1.5},
            "marker": {"symbol": sign, "size": 13 if broad else 8, "color": colour},
            "customdata": [[p["strength"], p["washed"]["n"], p[name]["n"]] for p in points],
            "hovertemplate": words.POINT_HOVER,
            "name": words.METHOD_NAMES[other],
        }


def _line(curve: Sequence[dict], method: str) -> list[dict]:
    """A method's points from the base model on; of "scaled" none beyond the control itself."""
    most = 1.001 if method == "scaled" else math.inf
    mine = sorted(
        (p for p in curve if p["method"] == method and p["strength"] < most), key=lambda p: p["strength"]
    )
    return [p for p in curve if p["method"] == "base"] + mine


def _labels(curve: Sequence[dict], method: str, name: str) -> Iterator[dict]:
    """Annotations of a panel: strengths above the method's line, the lines' names, the paper's own point."""
    lines = {other: [(_gone(p), 100 * p[name]["accuracy"]) for p in _line(curve, other)] for other in LINES}
    strengths = []
    for group in _near(_line(curve, method)):
        ends = dict.fromkeys(f"{p['strength']:.3g}" for p in (group[0], group[-1]))
        x, anchor = _middle(group)
        strengths.append(("–".join(ends), x, max(100 * p[name]["accuracy"] for p in group), anchor, 20))
    for text, x, y, anchor, up in strengths:
        yield {"text": text, "x": x, "y": y, "yshift": up, "xanchor": anchor, "showarrow": False}
    colours = {other: CHOSEN_TEXT if other == method else OTHER_TEXT for other in LINES}
    yield from names({words.LINE_NAMES[k]: (colours[k], line[-1]) for k, line in lines.items()}, FRAME)
    if paper := point_at(curve, "law", 1.0):
        point = _gone(paper), 100 * paper[name]["accuracy"]
        place = beside(words.PAPER, point, list(lines.values()), strengths, FRAMES)
        arrow = {"arrowwidth": 1, "arrowcolor": INK, "align": place["xanchor"]}
        yield {"text": words.PAPER, "x": point[0], "y": point[1], **place, **arrow}


def names(ends: Mapping[str, tuple[str, tuple[float, float]]], frame: Frame) -> Iterator[dict]:
    """Annotations in the right margin that name lines, by name: (colour, last point); each with a thin line
    to that point."""
    unit = (frame.y[1] - frame.y[0]) / frame.height
    places = spread([y for _, (_, y) in ends.values()], LINE * unit, *frame.y)
    for (name, (colour, (x, y))), place in zip(ends.items(), places, strict=True):
        yield {
            "text": f'<span style="color:{colour}">\N{NO-BREAK SPACE}{name}</span>',
            "x": x,
            "y": y,
            "axref": "x",
            "ayref": "y",
            "ax": frame.x[1],
            "ay": place,
            "xanchor": "left",
            "standoff": 12,  # so much of it would lie in the ring
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": INK,
        }


def _near(points: Sequence[dict]) -> list[list[dict]]:
    """A line's points in their order, those together whose labels would lie on each other on a phone."""
    groups: list[list[dict]] = []
    for p in points:
        groups.append([p])
        while len(groups) > 1 and _span(groups[-1])[0] < _span(groups[-2])[1]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _middle(group: Sequence[dict]) -> tuple[float, str]:
    """Where the label of some points is, and which part of it: near an edge it begins or ends there."""
    x = (_gone(group[0]) + _gone(group[-1])) / 2
    return x, "left" if x < NEAR / 2 else "right" if x > 100 - NEAR / 2 else "center"


def _span(group: Sequence[dict]) -> tuple[float, float]:
    """From where to where the label of some points goes on a phone, in percent."""
    x, anchor = _middle(group)
    low = x - {"left": 0, "center": NEAR / 2, "right": NEAR}[anchor]
    return low, low + NEAR


def point_at(curve: Sequence[dict], method: str, strength: float) -> dict | None:
    """The curve's point of a method at a strength, if it was measured. Strength 0 is the base model's."""
    wanted = ("base", 0.0) if strength == 0 else (method, strength)
    return next(
        (p for p in curve if p["method"] == wanted[0] and abs(p["strength"] - wanted[1]) < 1e-3), None
    )


def _gone(point: dict) -> float:
    return 100 * (1 - point["washed"]["accuracy"])
