"""Section 1: what should go. Examples, a box to paste into, a file; and how all that was read."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..facts.examples import examples
from ..facts.read import UnreadableFile, read_file
from . import correct, cost, fetch, words
from .preview import Preview, asked
from .room import with_room
from .state import Shared
from .tables import table
from .text import safe

FILES = ["text", ".csv", ".tsv", ".json", ".jsonl"]


@dataclass(frozen=True)
class WhatSection:
    example: gr.Dropdown
    text: gr.Textbox
    upload: gr.UploadButton
    button: gr.Button
    fetch: fetch.FetchSection | None
    line: gr.Markdown
    table: gr.HTML
    correct: correct.CorrectSection

    def show(self, preview: Preview) -> dict:
        """Updates that show a preview of another text."""
        return self.tell(preview) | self.correct.show(preview)

    def tell(self, preview: Preview) -> dict:
        """Updates that say more about the text that is shown."""
        read_as = table(words.PREVIEW, words.PREVIEW_HEAD, preview.table(), more=words.MORE_READ)
        faults = table(words.PROBLEMS, words.PROBLEMS_HEAD, preview.problem_table(), more=words.MORE_READ)
        return {self.line: safe(preview.line()), self.table: read_as + faults}

    def complain(self, message: str) -> dict:
        """Updates that show why a text or a file could not be read at all."""
        return {self.line: safe(message), self.table: ""} | self.correct.show(Preview())

    def outputs(self) -> list:
        return [self.line, self.table, *self.correct.outputs()]


def section(shared: Shared) -> WhatSection:
    gr.Markdown(f"## {words.WHAT}")
    choices = [(words.EXAMPLE_NONE, "")] + [(e.title, e.name) for e in examples()]
    example = gr.Dropdown(choices, value="", label=words.EXAMPLE, info=words.EXAMPLE_INFO, elem_id="example")
    text = gr.Textbox(
        label=words.TEXT,
        info=words.TEXT_INFO,
        placeholder=words.TEXT_EMPTY,
        lines=6,
        max_lines=12,
        max_length=shared.limits[1],
        elem_id="facts",
    )
    with gr.Row():
        button = gr.Button(words.READ, elem_id="read", min_width=120)
        upload = gr.UploadButton(words.UPLOAD, file_types=FILES, elem_id="upload", min_width=120)
    fetching = fetch.section(shared, "")
    line = gr.Markdown("", elem_id="read-line")
    # never invisible: what gradio is told while it draws a part that was, it may undo a moment later
    rows = gr.HTML("", elem_id="preview", js_on_load=None)
    return WhatSection(example, text, upload, button, fetching, line, rows, correct.section())


def wire(shared: Shared, what: WhatSection, model: gr.Dropdown, was_asked: gr.State, on_model: dict) -> list:
    """An example or a file goes into the box, and whatever is in the box is read when asked for.

    `was_asked` gets what `cost.asked` makes of it. Returns the events that read.
    """

    def reread(text: str, name: str, was: cost.Asked | None) -> tuple[Preview, dict]:
        before = was.known() if was and was.model == name else None
        found = asked(shared.read(text, name), shared.lm(name), before)
        return found, what.show(found) | {was_asked: cost.asked(name, text, found)}

    @with_room
    def preview(text: str, name: str, was: cost.Asked | None) -> dict:
        try:
            return reread(text, name, was)[1]
        except UnreadableFile as error:
            return what.complain(str(error)) | {was_asked: None}

    def of_example(name: str):
        return next((e.text for e in examples() if e.name == name), gr.skip())

    def preview_example(text: str, name: str, was: cost.Asked | None, example: str) -> dict:
        return preview(text, name, was) if example else gr.skip()

    def of_file(path: str) -> dict:
        rows, size = shared.limits
        try:
            read_file(Path(path), max_rows=rows, max_bytes=size)
        except UnreadableFile as error:
            return what.complain(str(error))
        return {what.text: Path(path).read_text(encoding="utf-8-sig")}

    outputs = [*what.outputs(), was_asked]
    reading = {"fn": preview, "inputs": [what.text, model, was_asked], "outputs": outputs, **on_model}
    reading |= {"show_progress": "minimal", "show_progress_on": what.line}
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # not .input, which gradio tells again whenever the list loses the focus: what was edited would be lost
    chosen = what.example.change(of_example, what.example, what.text, **quick)
    of_chosen = {"fn": preview_example, "inputs": [what.text, model, was_asked, what.example]}
    taken = what.upload.upload(of_file, what.upload, [what.text, *what.outputs()], **quick)
    taken = taken.then(lambda: "", None, what.example, **quick)
    read = [what.button.click(**reading), chosen.then(**reading | of_chosen), taken.then(**reading)]
    if came := fetch.wire(shared, what.fetch, what.text):
        read.append(came(lambda: "", None, what.example, **quick).then(**reading))
    return read + correct.wire(shared, what.correct, what.text, model, was_asked, reread, outputs, on_model)
