"""Look inside: the causal trace as a heat map, what was chosen from it, and why."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from . import heat, words
from .plots import Heat
from .plots import heat as drawn
from .state import Shared
from .text import safe_html

if TYPE_CHECKING:
    from ..law.settings import Settings
    from ..law.trace import Trace

CSV = "trace.csv"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InsideSection:
    fold: gr.Accordion
    about: gr.HTML
    heat: heat.HeatSection

    def outputs(self) -> list:
        return [self.about, *self.heat.outputs()]

    def show(self, shared: Shared, name: str) -> dict:
        """Updates that show the model's trace. Loads the model."""
        from ..law.settings import settings_for
        from ..law.trace import load_trace

        try:
            lm = shared.lm(name)
            found, settings = load_trace(lm), settings_for(lm)
        except Exception:  # a damaged folder: the line under the model's name says so
            logger.exception("the trace of %s could not be shown", name)
            return {self.about: "", **self.heat.say()}
        if found is None:
            return {self.about: _line(words.INSIDE_NONE), **self.heat.say()}
        maps = measures(found, settings)
        plot = drawn([as_plot(found, *shown) for _, *shown in maps])
        tables = "".join(heat_map(title, found.places, *shown) for _, title, *shown in maps)
        path = Path(self.heat.csv.GRADIO_CACHE) / lm.hash / CSV
        shown = self.heat.show(plot, f'<div class="lethe-maps">{tables}</div>', rows(found, maps), path)
        return {self.about: about(found, settings), **shown}


def section() -> InsideSection:
    """A fold that is closed at first, and empty until it is opened: a plot takes long to draw."""
    with gr.Accordion(words.INSIDE, open=False, elem_id="inside") as fold:
        return InsideSection(
            fold, gr.HTML("", elem_id="trace-about", js_on_load=None), heat.section("trace", words.INSIDE_CSV)
        )


def wire(shared: Shared, part: InsideSection, model: gr.Dropdown, options: dict) -> None:
    """The fold is opened, or another model is chosen."""
    gr.on(
        [part.fold.expand, model.change],
        lambda name: part.show(shared, name),
        model,
        part.outputs(),
        **options,
    )


def about(found: "Trace", settings: "Settings") -> str:
    """What was done, what was chosen from it, and why, as HTML."""
    from ..law.trace import named

    now = words.INSIDE_SETTINGS.format(
        layers=named(settings.layers), position=words.POSITIONS[settings.position]
    )
    return (
        _line(words.INSIDE_INFO.format(n=found.n))
        + _line(words.INSIDE_WHY.format(why=found.why))
        + _line(now)
    )


def measures(found: "Trace", settings: "Settings") -> list[tuple[str, str, tuple, set]]:
    """What is drawn: (name, title, shares by place and layer, those that a wash edits as (place, layer))."""
    edited = {(words.POSITIONS[settings.position], i) for i in settings.layers}
    lost = tuple(tuple(1 - x for x in row) for row in found.zeroed)
    moved, silenced = (t.format(n=f"{found.n:,}") for t in (words.INSIDE_MOVED, words.INSIDE_LOST))
    return [("patched", moved, found.patched, set()), ("silenced", silenced, lost, edited)]


def rows(found: "Trace", maps: list) -> Iterator[dict]:
    """Rows of the CSV file: every share that is drawn."""
    for measure, title, shares, edited in maps:
        for place, row in zip(found.places, shares, strict=True):
            for layer, x in enumerate(row):
                where = {"measure": measure, "in words": title.split(",")[0], "token": place, "layer": layer}
                yield where | {"effect": round(x, 6), "n": found.n, "edited": (place, layer) in edited}


def as_plot(found: "Trace", title: str, shares, marked: set) -> Heat:
    """The same as a plot: layers go down, so that it is as narrow with many of them."""
    layers = range(len(shares[0]))
    return Heat(
        words.together(title).replace(": ", ":<br>"),
        [place.replace(" ", "<br>", 1) for place in found.places],
        [words.INSIDE_LAYER.format(i=i) for i in layers],
        [
            [(cell(row[i], (p, i) in marked), row[i]) for p, row in zip(found.places, shares, strict=True)]
            for i in layers
        ],
    )


def cell(x: float, marked: bool) -> str:
    return ("● " if marked else "") + words.percent(x)


def heat_map(title: str, places, shares, marked: set) -> str:
    """Shares (place by layer) as a table, coloured by size and written out; `marked`: (place, layer)."""
    layers = "".join(
        f'<th scope="col">{safe_html(words.INSIDE_LAYER.format(i=i))}</th>' for i in range(len(shares[0]))
    )
    rows = ""
    for place, row in zip(places, shares, strict=True):
        cells = "".join(
            f'<td class="heat" style="--share: {x:.3f}">{cell(x, (place, i) in marked)}</td>'
            for i, x in enumerate(row)
        )
        head = safe_html(words.INSIDE_PLACE.format(place=place))
        rows += f'<tr><th scope="row">{head}</th>{cells}</tr>'
    return (
        f"<table><caption>{safe_html(title)}</caption><thead><tr><td></td>{layers}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _line(text: str) -> str:
    return f"<p>{safe_html(text)}</p>"
