"""A fold that fetches rows of a data set from the hub into a box; only where the page's settings allow it.

A public host must not fetch for strangers, so it is off by default, and then not even part of the page.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from ..facts.hub import NoSet, columns_of, lines_of, source
from . import words
from .going import line
from .state import Shared
from .text import safe_html

FETCHING = {"concurrency_id": "hub", "concurrency_limit": 1, "api_visibility": "private"}
MAX_NAME, MAX_COLUMNS = 300, 1_000  # characters


@dataclass(frozen=True)
class FetchSection:
    source: gr.Textbox
    columns: gr.Textbox
    button: gr.Button
    note: gr.HTML


def section(shared: Shared, prefix: str) -> FetchSection | None:
    """The fold, its ids beginning with `prefix`; None where the hub is not to be asked."""
    if not shared.hub:
        return None
    with gr.Accordion(words.HUB_HEAD, open=False, elem_id=f"{prefix}hub"):
        where = gr.Textbox(
            label=words.HUB, info=words.HUB_INFO, max_length=MAX_NAME, elem_id=f"{prefix}hub-source"
        )
        columns = gr.Textbox(
            label=words.COLUMNS,
            info=words.COLUMNS_INFO,
            max_length=MAX_COLUMNS,
            elem_id=f"{prefix}hub-columns",
        )
        button = gr.Button(words.FETCH, elem_id=f"{prefix}hub-fetch", min_width=120)
        note = gr.HTML("", elem_id=f"{prefix}hub-note", js_on_load=None)
    return FetchSection(where, columns, button, note)


def wire(shared: Shared, fetch: FetchSection | None, text: gr.Textbox) -> Callable | None:
    """Fetched rows go into `text` as JSON Lines. Returns what follows a fetch that went well, or None."""
    if fetch is None:
        return None

    def fetched(where: str, columns: str) -> tuple[str, str]:
        rows, size = shared.limits
        try:
            found, n, more = lines_of(source((where or "").strip()), columns_of(columns), rows, size)
        except NoSet as error:
            said = safe_html(f"{error}.")  # gradio takes it for markup
            raise gr.Error(said, title=words.NOT_FETCHED, print_exception=False) from error
        said = words.FETCHED_PART if more else words.FETCHED
        return found, line(said.format(rows=words.count(n, "row", "rows")))

    inputs = [fetch.source, fetch.columns]
    saying = {"show_progress": "minimal", "show_progress_on": fetch.note, **FETCHING}
    return gr.on(
        [fetch.button.click, fetch.source.submit], fetched, inputs, [text, fetch.note], **saying
    ).success
