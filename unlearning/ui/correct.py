"""Correcting a row of what was read: it is rewritten in the text, and the text is read again."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from ..facts.read import MAX_LINE, UnreadableFile
from ..facts.rewrite import in_fields, parts, remove, rewrite, row_at
from ..facts.triples import Unclear
from . import words
from .cost import Asked
from .going import line
from .preview import Preview, triple
from .room import with_room
from .state import Shared

MAX_LABEL = 60  # characters of a row in the list of rows


@dataclass(frozen=True)
class CorrectSection:
    part: gr.Accordion
    row: gr.Dropdown
    said: gr.Textbox
    subject: gr.Textbox
    relation: gr.Textbox
    object: gr.Textbox
    button: gr.Button
    remove: gr.Button
    note: gr.HTML

    def fields(self) -> list:
        return [self.subject, self.relation, self.object]

    def outputs(self) -> list:
        return [self.part, self.row, self.said, *self.fields(), self.note]

    def show(self, preview: Preview) -> dict:
        """Updates for a new text: its rows to choose from, none chosen."""
        choices = rows(preview)
        return {
            self.part: gr.update(visible=bool(choices)),
            self.row: gr.update(choices=choices, value=None),
            **self.fill(),
        }

    def fill(self, said: str = "", fields: tuple[str, str, str] = ("", "", ""), note: str = "") -> dict:
        """Updates that show a row, or none: as it stands in the text, and as it was read."""
        found = {field: clean(value[:MAX_LINE]) for field, value in zip(self.fields(), fields, strict=True)}
        return {self.said: said, **found, self.note: line(note)}


def section() -> CorrectSection:
    with gr.Accordion(words.CORRECT_HEAD, open=False, visible=False, elem_id="correct") as part:
        row = gr.Dropdown([], value=None, label=words.ROW, info=words.ROW_INFO, elem_id="row")
        said = gr.Textbox(label=words.SAID, interactive=False, max_lines=3, elem_id="row-said")
        with gr.Row():
            subject, relation, answer = (
                gr.Textbox(
                    label=label, max_lines=3, max_length=MAX_LINE, min_width=180, elem_id=f"row-{name}"
                )
                for name, label in words.FIELDS.items()
            )
        with gr.Row():
            button = gr.Button(words.CORRECT, elem_id="row-correct", min_width=120)
            remove = gr.Button(words.REMOVE, elem_id="row-remove", min_width=120)
        note = gr.HTML("", elem_id="row-note", js_on_load=None)
    return CorrectSection(part, row, said, subject, relation, answer, button, remove, note)


def rows(preview: Preview) -> list[tuple[str, int]]:
    """All rows: name and number, rows at fault first."""
    faults = [(words.ROW_FAULT, p.row, p.raw) for p in preview.problems]
    read = [(words.ROW_READ, r.row, triple(r.fact)) for r in preview.facts]
    labels = {
        n: said.format(row=n, text=clean(text[:MAX_LABEL])) for said, n, text in reversed(faults + read)
    }
    return [(label, n) for n, label in reversed(labels.items())]  # a row of several facts once


def clean(text: str) -> str:
    """The text without half characters (lone surrogates), which cannot be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def raw(text: str, number: int) -> str:
    """A row as it stands in the text, its beginning if it is long. Raises Unclear."""
    return clean(row_at(text, number).raw[:MAX_LINE])


def now(preview: Preview, number: int) -> str:
    """What a corrected row is read as."""
    fact = next((r.fact for r in preview.facts if r.row == number), None)
    if fact is not None:
        return words.CORRECTED.format(row=number, text=triple(fact))
    problem = next((p.message for p in preview.problems if p.row == number), "")
    return words.CORRECTED_FAULT.format(row=number, text=problem)


def wire(
    shared: Shared,
    correct: CorrectSection,
    text: gr.Textbox,
    model: gr.Dropdown,
    was_asked: gr.State,
    reread: Callable[[str, str, Asked | None], tuple[Preview, dict]],
    outputs: list,
    on_model: dict,
) -> list:
    """A chosen row fills the fields; the buttons change it in the text, which is then read again.

    `reread(text, model, asked)` reads a text, asks the model what `asked`, of `was_asked`, leaves open, and
    gives with that the updates of `outputs`. Returns the events that read.
    """

    def choose(box: str, name: str, number: int | None, said: str) -> dict:
        if number is None:
            return correct.fill()
        try:
            if raw(box, number) == said:  # gradio tells again when the list loses the focus
                return {correct.said: said}  # and what was typed meanwhile stays
            fact = next((r.fact for r in shared.read(box, name).facts if r.row == number), None)
            return correct.fill(raw(box, number), in_fields(fact) if fact else parts(row_at(box, number)))
        except (Unclear, UnreadableFile) as error:
            return correct.fill(note=str(error))

    def changed(box: str, name: str, was: Asked | None, number: int | None, said: str, change: Callable):
        """The new text, how it is read with its updates, and no complaint; or the complaint alone."""
        try:
            if number is None:
                return box, None, words.NO_ROW
            if raw(box, number) != said:
                return box, None, words.MEANWHILE
            new = change()
            return new, reread(new, name, was), ""
        except (Unclear, UnreadableFile) as error:
            return box, None, words.NOT_CORRECTED.format(text=error)

    @with_room
    def rewritten(box: str, name: str, was: Asked | None, number: int | None, said: str, *fields: str):
        new, again, fault = changed(box, name, was, number, said, lambda: rewrite(box, number, *fields))
        if fault:
            return {correct.note: line(fault)}
        preview, updates = again
        return {text: new} | updates | {correct.note: line(now(preview, number))}

    @with_room
    def removed(box: str, name: str, was: Asked | None, number: int | None, said: str):
        new, again, fault = changed(box, name, was, number, said, lambda: remove(box, number))
        if fault:
            return {correct.note: line(fault)}
        return {text: new} | again[1] | {correct.note: line(words.REMOVED.format(row=number))}

    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    chosen = [correct.row, correct.said]
    inputs = [text, model, was_asked, *chosen]
    correct.row.input(choose, [text, model, *chosen], correct.outputs(), **quick)
    saying = {"show_progress": "minimal", "show_progress_on": correct.note, **on_model}
    done = [correct.button.click, *(field.submit for field in correct.fields())]
    return [
        gr.on(done, rewritten, [*inputs, *correct.fields()], [text, *outputs], **saying),
        correct.remove.click(removed, inputs, [text, *outputs], **saying),
    ]
