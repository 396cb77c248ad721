"""Look inside: the causal trace as a heat map, what was chosen from it, and why."""

import logging

import gradio as gr

from . import words
from .state import Shared
from .text import safe_html

logger = logging.getLogger(__name__)


def section() -> gr.HTML:
    """A fold that is closed at first."""
    with gr.Accordion(words.INSIDE, open=False, elem_id="inside"):
        return gr.HTML("", elem_id="trace", js_on_load=None)


def describe(shared: Shared, name: str) -> str:
    """The model's trace as HTML. Loads the model."""
    from ..law.settings import settings_for
    from ..law.trace import load_trace, named

    try:
        lm = shared.lm(name)
        found, settings = load_trace(lm), settings_for(lm)
    except Exception:  # a damaged folder: the line under the model's name says so
        logger.exception("the trace of %s could not be shown", name)
        return ""
    if found is None:
        return _line(words.INSIDE_NONE)
    edited = {(words.POSITIONS[settings.position], i) for i in settings.layers}
    lost = [[1 - x for x in row] for row in found.zeroed]
    now = words.INSIDE_SETTINGS.format(
        layers=named(settings.layers), position=words.POSITIONS[settings.position]
    )
    return (
        _line(words.INSIDE_INFO.format(n=found.n))
        + '<div class="lethe-maps">'
        + heat_map(words.INSIDE_MOVED, found.places, found.patched, set())
        + heat_map(words.INSIDE_LOST, found.places, lost, edited)
        + "</div>"
        + _line(words.INSIDE_WHY.format(why=found.why))
        + _line(now)
    )


def heat_map(title: str, places, shares, marked: set) -> str:
    """Shares (place by layer) as a table, coloured by size and written out; `marked`: (place, layer)."""
    layers = "".join(
        f'<th scope="col">{safe_html(words.INSIDE_LAYER.format(i=i))}</th>' for i in range(len(shares[0]))
    )
    rows = ""
    for place, row in zip(places, shares, strict=True):
        cells = "".join(
            f'<td class="heat" style="--share: {x:.3f}">{"● " if (place, i) in marked else ""}'
            f"{words.percent(x)}</td>"
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
