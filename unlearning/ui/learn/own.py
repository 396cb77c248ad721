"""Questions with answers that a person brings, to learn or to forget: pasted, from a file, from the hub."""

from dataclasses import dataclass

import gradio as gr

from .. import fetch
from ..what import FILES
from . import words


@dataclass(frozen=True)
class OwnSection:
    part: gr.Column
    text: gr.Textbox
    upload: gr.UploadButton
    check: gr.Button
    fetch: fetch.FetchSection | None
    rows: gr.HTML

    def outputs(self) -> list:
        """All that `show` updates."""
        return [self.part, self.rows]

    def show(self, wanted: bool, rows: str) -> dict:
        """Updates: there only when it is wanted, and how its rows were read, as HTML."""
        return {self.part: gr.update(visible=wanted), self.rows: rows}


def section(shared, prefix: str) -> OwnSection:
    """The box with its buttons, not to be seen yet; its ids begin with `prefix`."""
    with gr.Column(visible=False) as part:
        text = gr.Textbox(
            label=words.TEXTS[prefix],
            info=words.TEXT_INFO,
            placeholder=words.TEXT_EMPTY,
            lines=6,
            max_lines=12,
            max_length=shared.limits[1],
            elem_id=f"{prefix}text",
        )
        with gr.Row():
            check = gr.Button(words.CHECK, elem_id=f"{prefix}check", min_width=120)
            upload = gr.UploadButton(words.UPLOAD, file_types=FILES, elem_id=f"{prefix}upload", min_width=120)
        fetching = fetch.section(shared, prefix)
        rows = gr.HTML("", elem_id=f"{prefix}preview", js_on_load=None)
    return OwnSection(part, text, upload, check, fetching, rows)
