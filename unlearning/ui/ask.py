"""Ask both: any text, continued by the base model and by the visitor's washed one."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ..models.delta import BadDelta
from ..runs.job import UnknownRun
from . import words
from .preview import MARGIN, positions
from .room import with_room
from .state import Shared
from .tradeoff import off


@dataclass(frozen=True)
class AskSection:
    prompt: gr.Textbox
    button: gr.Button
    before: gr.Textbox
    after: gr.Textbox

    def ready(self) -> dict:
        """Updates for a new wash: what was said with an earlier one goes."""
        return {self.before: "", self.after: ""}

    def outputs(self) -> list:
        return [self.before, self.after]


def section() -> AskSection:
    gr.Markdown(f"## {words.ASK_HEAD}\n\n{words.ASK_INFO}")
    with gr.Row(equal_height=True):
        prompt = gr.Textbox(
            label=words.ASK_LABEL,
            placeholder=words.ASK_EMPTY,
            max_length=2_000,
            lines=1,
            max_lines=3,
            scale=5,
            min_width=240,
            elem_id="prompt",
        )
        button = gr.Button(words.ASK, scale=1, min_width=100, elem_id="ask")
    with gr.Row():
        before = gr.Textbox(label=words.BEFORE, interactive=False, min_width=240, elem_id="before")
        after = gr.Textbox(label=words.AFTER, interactive=False, min_width=240, elem_id="after")
    return AskSection(prompt, button, before, after)


def both(
    shared: Shared,
    prompt: str,
    model: str,
    run: str,
    strength: float | None = None,
    off: Sequence[str] = (),
) -> tuple[str, str]:
    """What the base model says, and what it says with the run's wash on, so strong (or why there is none).

    On are the washes below it too, but those in `off`; all of it is on only for this one answer, under the
    model's lock. Raises `NoModel`.
    """
    from ..models.delta import applied

    limit = positions(model) - MARGIN if model in shared.names else 0
    if limit and len(prompt.encode()) > limit:
        note = words.ASK_LONG.format(limit=limit)
        return note, note
    lm = shared.lm(model)
    deltas, note = _deltas(shared, lm, run, strength, off)
    with lm.lock:
        before = _say(lm, prompt)
        if not deltas:
            return before, note
        with applied(lm, *deltas):
            return before, _say(lm, prompt)


def _deltas(shared: Shared, lm, run: str, strength: float | None, off: Sequence[str]):
    """What is on with the run, for this very model; or nothing and a note."""
    try:
        if not run or shared.runner.state(run) != "done":
            return [], words.NOT_WASHED
        return shared.deltas(run, lm, strength, off), ""
    except UnknownRun:
        return [], words.NOT_WASHED
    except BadDelta:
        return [], words.OTHER_MODEL.format(model=shared.config(run).get("model", "?"))


def _say(lm, prompt: str) -> str:
    from ..models.text import greedy

    return greedy(lm.model, lm.tokenizer, [prompt])[0] or words.NO_ANSWER


def wire(
    shared: Shared, ask: AskSection, model: gr.Dropdown, run, strength, below, moved: list, on_model: dict
) -> None:
    """The button and Enter ask; what stands in the box is asked again after each event in `moved`."""

    @with_room
    def answer(prompt: str, name: str, id: str, much: float | None, on: list[str]):
        return both(shared, prompt, name, id, much, off(shared, id, on)) if prompt.strip() else ("", "")

    for start in (ask.button.click, ask.prompt.submit, *(event.then for event in moved)):
        start(
            answer,
            [ask.prompt, model, run, strength, below],
            [ask.before, ask.after],
            show_progress="minimal",
            **on_model,
        )
