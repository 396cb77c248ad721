"""The recorded matrix, every learning task with every forgetting task, in a fold that is closed at first."""

import gradio as gr

from ...models.loading import folder_of
from ..tables import table
from ..text import safe_html
from . import words


def section() -> tuple[gr.Accordion, gr.HTML]:
    with gr.Accordion(words.MATRIX, open=False, elem_id="matrix") as fold:
        return fold, gr.HTML("", elem_id="matrix-found", js_on_load=None)


def describe(name: str) -> str:
    """What was recorded on this model, as HTML."""
    from ...lwf.recorded import counts, recorded, tables

    found = recorded(folder_of(name))
    if found is None:
        return f"<p>{safe_html(words.MATRIX_NONE)}</p>"
    said = words.MATRIX_INFO.format(model=name, seeds=len(found["seeds"]), **counts(found))
    shown = (table(t.caption, t.head, t.rows, {}) for t in tables(found))
    return f"<p>{safe_html(said)}</p>{''.join(shown)}"
