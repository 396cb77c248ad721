"""Plots of the second page, in the look of the first: each line has a dash, a sign and its name beside it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..plots import ACCENT, CHOSEN_TEXT, INK, OTHER_TEXT, _figure, _title
from . import words

if TYPE_CHECKING:
    import plotly.graph_objects as go

# dash, sign, colour, width
LOOKS = {
    "base": ("dot", "square-open", INK, 1.5),
    "vanilla": ("dash", "circle-open", INK, 2),
    "lwf": ("solid", "diamond", ACCENT, 3),
    "extra": ("dot", "x", INK, 1.5),
}
PANELS = ("learning", "loss", "forgetting")
MARKS = 200  # unlearning steps that are marked at most


def means(points: Sequence[dict], arm: str, name: str) -> list[tuple[int, float, int]]:
    """(step, mean over the seeds, number of seeds) of a curve, where there is a value."""
    found: dict[int, list[float]] = {}
    for p in points:
        if p["arm"] == arm and p[name] is not None:
            found.setdefault(p["step"], []).append(p[name])
    return [(step, sum(v) / len(v), len(v)) for step, v in sorted(found.items())]


def unlearning_steps(settings: dict) -> list[int]:
    """The learning steps after which LWF unlearns, thinned out where they are many; 0 for all ahead."""
    if not settings["alpha"] or not settings["portion"]:
        return []
    if settings["ahead"]:
        return [0]
    every = list(range(settings["interval"], settings["steps"] + 1, settings["interval"]))
    return every[:: -(-len(every) // MARKS)] if every else []


def curves(points: Sequence[dict], settings: dict, n: dict[str, int]) -> "go.Figure":
    """Learning curves of both arms so far, one panel below the other.

    `settings`: of the run, as in its config; `n`: how many are asked at each point, by panel.
    """
    from plotly.subplots import make_subplots

    size = _figure(780, margin={"l": 8, "r": 76, "t": 40, "b": 72})
    said = words.CURVE_TITLES
    titles = [words.CURVE_N.format(title=said[p], n=n[p]) if p in n else said[p] for p in PANELS]
    fig = make_subplots(
        rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.09, subplot_titles=titles, figure=size
    )
    fig.update_annotations(x=0, xanchor="left", font={"size": 14})
    marked = unlearning_steps(settings)
    for row, name in enumerate(PANELS, 1):
        where = {"row": row, "col": 1}
        ends = []
        for arm in ("vanilla", "lwf"):
            line = means(points, arm, name)
            share = 1 if name == "loss" else 100
            xs, ys = [x for x, _, _ in line], [share * y for _, y, _ in line]
            dash, sign, colour, width = LOOKS[arm]
            fig.add_scatter(
                x=xs,
                y=ys,
                mode="lines+markers",
                line={"dash": dash, "color": colour, "width": width},
                marker={"symbol": sign, "size": 8, "color": colour, "line": {"width": 2, "color": colour}},
                name=words.LEGEND[arm],
                hovertemplate=words.CURVE_HOVER,
                **where,
            )
            if line:
                ends.append((ys[-1], arm, xs[-1]))
        top = max([100.0 if name != "loss" else 0.0, *(y for t in fig.data[-2:] for y in t.y)]) or 1.0
        _name_ends(fig, ends, top, where)
        if marked:
            fig.add_scatter(
                x=marked,
                y=[-0.14 * top] * len(marked),
                mode="markers",
                marker={"symbol": "triangle-up", "size": 7, "color": ACCENT},
                hoverinfo="skip",
                **where,
            )
        fig.update_yaxes(range=[-0.2 * top, 1.16 * top], automargin=True, zeroline=False, **where)
        if name != "loss":
            fig.update_yaxes(ticksuffix=" %", **where)
    axis = [words.CURVE_STEPS]
    if (seeds := len({p["seed"] for p in points})) > 1:
        axis.append(words.CURVE_SEEDS.format(n=seeds))
    if marked:
        axis.append(words.CURVE_AHEAD if settings["ahead"] else words.CURVE_UNLEARNING)
    first, last = -0.03 * settings["steps"], settings["steps"]  # the first points stand clear of the axis
    fig.update_xaxes(range=[first, last], zeroline=False, tickangle=0)
    fig.update_xaxes(title={"text": "<br>".join(axis), "font": {"size": 14}}, row=3, col=1)
    fig.update_traces(cliponaxis=False)
    return fig


def _name_ends(fig: "go.Figure", ends: Sequence[tuple[float, str, float]], top: float, where: dict) -> None:
    """The lines' names beside their last points, apart where they would overlap, and up from the foot."""
    close = len(ends) == 2 and abs(ends[0][0] - ends[1][0]) < 0.12 * top
    up = 9 if close and min(y for y, *_ in ends) < 0.05 * top else 0
    for y, arm, x in ends:
        higher = all(y >= other for other, *_ in ends) and (arm == "lwf" or ends[0][0] != ends[-1][0])
        fig.add_annotation(
            x=x,
            y=y,
            text=f"{words.SIGNS[arm]} {words.ARM_NAMES[arm]}",
            xanchor="left",
            xshift=10,
            yshift=up + (9 if higher else -9) if close else 0,
            showarrow=False,
            **where,
        )


def side_by_side(rows: Sequence[tuple[str, dict]]) -> "go.Figure":
    """Rates of base, vanilla and LWF with their intervals, a row for each: (label, {arm: rate})."""
    rows = [r for r in rows if r[1]["base"]["n"]]
    places = list(range(len(rows), 0, -1))
    fig = _figure(96 + 66 * len(rows), title=_title(words.SIDE_PLOT))
    for arm, shift in (("base", 0.16), ("vanilla", -0.04), ("lwf", -0.24)):
        rates = [found[arm] for _, found in rows]
        _, sign, colour, _ = LOOKS[arm]
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
            name=words.ARM_NAMES[arm],
            text=[label for label, _ in rows],
            hovertemplate="%{text}<br>%{x:.1f} %<extra>%{fullData.name}</extra>",
        )
    for place, (label, found) in zip(places, rows, strict=True):
        fig.add_annotation(
            text=f"{label}  n = {found['base']['n']:,}",
            x=0,
            xref="paper",
            y=place,
            xanchor="left",
            yanchor="bottom",
            yshift=19,
            showarrow=False,
        )
    fig.update_xaxes(range=[-3, 103], ticksuffix=" %", zeroline=False, fixedrange=True, tickangle=0)
    fig.update_yaxes(
        range=[0.5, len(rows) + 1.0], showticklabels=False, showgrid=False, zeroline=False, fixedrange=True
    )
    return fig


def _name_rate(fig: "go.Figure", p: dict, **where) -> None:
    """A point's way of training and its learning rate, beside it."""
    text = f"{words.SIGNS[p['arm']]} {words.ARM_NAMES[p['arm']]}, η {p['lr']:.2g}"
    colour = CHOSEN_TEXT if p["arm"] == "lwf" else OTHER_TEXT
    text = f'<span style="color:{colour}">{text}</span>'
    x, y = 100 * p["retained"], 100 * p["learning"]
    fig.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": 12}, **where)


def frontier(points: Sequence[dict], n: dict[str, int]) -> "go.Figure":
    """Learning accuracy against retained facts: both arms at their learning rates, and the control.

    `n`: how many were asked, by axis.
    """
    fig = _figure(420, margin={"l": 8, "r": 16, "t": 44, "b": 64})
    axes = {"retained": words.FRONTIER_X, "learning": words.FRONTIER_Y}
    axes = {name: words.FRONTIER_N.format(axis=said, n=f"{n[name]:,}") for name, said in axes.items()}
    for arm in ("vanilla", "lwf", "extra"):
        line = sorted((p for p in points if p["arm"] == arm), key=lambda p: p["lr"])
        dash, sign, colour, width = LOOKS[arm]
        fig.add_scatter(
            x=[100 * p["retained"] for p in line],
            y=[100 * p["learning"] for p in line],
            mode="lines+markers",
            line={"dash": dash, "color": colour, "width": width},
            marker={"symbol": sign, "size": 10, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=[f"{p['lr']:.2g}" for p in line],
            hovertemplate=words.FRONTIER_HOVER,
            name=words.FRONTIER_NAMES[arm],
        )
        if arm != "extra" and len(line) > 1:
            _name_rate(fig, line[-1], xanchor="center", yshift=-18 if arm == "vanilla" else 18)
    # the lowest rates stand at the lower right, where nothing is on their left; one below the other
    ends = [
        min(mine, key=lambda p: p["lr"]) for arm in LOOKS if (mine := [p for p in points if p["arm"] == arm])
    ]
    ends.sort(key=lambda p: -p["learning"])
    for i, p in enumerate(ends):
        close = i and ends[i - 1]["learning"] - p["learning"] < 0.08
        _name_rate(fig, p, xanchor="right", xshift=-12, yshift=-10 if close else 4)
    xs, ys = ([100 * p[name] for p in points] for name in ("retained", "learning"))
    room = max(1.0, 0.35 * (max(xs) - min(xs)))
    fig.update_xaxes(range=[min(xs) - room, min(100.5, max(xs) + 1)], ticksuffix=" %", zeroline=False)
    fig.update_xaxes(title={"text": axes["retained"], "font": {"size": 14}}, tickangle=0)
    fig.update_yaxes(range=[min(ys) - 6, max(ys) + 6], ticksuffix=" %", zeroline=False, automargin=True)
    fig.update_yaxes(title={"text": axes["learning"], "font": {"size": 14}})
    fig.update_traces(cliponaxis=False)
    return fig
