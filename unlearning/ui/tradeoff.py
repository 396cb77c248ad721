"""The strength slider: a point on the measured trade-off; and the facts asked again with so much of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..models.delta import BadDelta
from ..runs.job import UnknownRun
from ..runs.wash import RECORD
from . import words
from .follow import look
from .happened import HappenedSection
from .plots import at, trade_off
from .state import Shared
from .text import safe
from .words import percent


@dataclass(frozen=True)
class TradeOffSection:
    part: gr.Column
    strength: gr.Slider
    line: gr.Markdown
    plot: gr.Plot

    def outputs(self) -> list:
        return [self.part, self.strength, self.line, self.plot]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, record: dict) -> dict:
        """Updates that show a finished run's curve, at the strength it was made with."""
        strength = record["config"]["strength"]
        return {self.part: gr.update(visible=True), self.strength: strength} | self.move(record, strength)

    def move(self, record: dict, strength: float) -> dict:
        """Updates for another strength."""
        method = record["config"]["method"]
        return {
            self.line: sentence(record["curve"], method, strength),
            self.plot: trade_off(record["curve"], method, strength),
        }


def section() -> TradeOffSection:
    from ..law.experiment import STRENGTHS

    with gr.Column(visible=False, elem_id="trade-off") as part:
        gr.Markdown(f"### {words.TRADE_OFF}")
        strength = gr.Slider(
            0,
            max(STRENGTHS),
            value=1,
            step=min(STRENGTHS),
            label=words.STRENGTH,
            info=words.STRENGTH_INFO,
            elem_id="strength",
        )
        line = gr.Markdown("", elem_id="strength-line")
        plot = gr.Plot(show_label=False, elem_id="trade-off-plot")
    return TradeOffSection(part, strength, line, plot)


def sentence(curve: list[dict], method: str, strength: float) -> str:
    """What was measured at this strength, in words."""
    point = next((p for p in curve if at(p, method, strength)), None)
    if point is None:
        return words.NOT_MEASURED
    washed = point["washed"]
    shares = point | {
        "gone": washed
        | {"accuracy": 1 - washed["accuracy"], "low": 1 - washed["high"], "high": 1 - washed["low"]}
    }
    said = [text.format(**_numbers(shares[name])) for name, text in words.AT.items()]
    return safe(f"{words.AT_STRENGTH.format(strength=f'{strength:g}')} {'; '.join(said)}.")


def _numbers(rate: dict) -> dict:
    low, high = (f"{100 * rate[end]:.0f}" for end in ("low", "high"))
    return {"share": percent(rate["accuracy"]), "low": low, "high": high, "n": rate["n"]}


def record_of(shared: Shared, id: str) -> dict:
    """A finished run's record. Raises `UnknownRun`, `OSError`."""
    return json.loads((shared.runner.folder(id) / RECORD).read_bytes())


def asked_at(shared: Shared, id: str, name: str, strength: float) -> tuple[list[dict], Path]:
    """The washed facts' answers with this much of a run's wash on, and a file with that delta.

    Raises `NoModel`, `UnknownRun`, `BadDelta`, `OSError`.
    """
    from ..law.experiment import asked_again
    from ..models.delta import applied

    lm = shared.lm(name)
    delta = shared.delta(id, lm, strength)
    file = shared.runner.folder(id) / f"delta-{strength:g}.safetensors"
    if not file.exists():
        delta.save(file)
    with applied(lm, delta):
        return asked_again(lm, look(shared.runner, id).figures["answers"]), file


def wire(
    shared: Shared, part: TradeOffSection, happened: HappenedSection, run: gr.BrowserState, on_model: dict
) -> None:
    """The point moves as the slider does; when it is let go the facts are asked again."""

    def move(strength: float, id: str) -> dict:
        try:
            return part.move(record_of(shared, id), strength)
        except (UnknownRun, OSError):
            return {part.line: words.TOO_OLD}

    def again(strength: float, id: str, only: bool) -> dict:
        try:
            rows, file = asked_at(shared, id, shared.config(id)["model"], strength)
        except (UnknownRun, OSError, BadDelta):
            return {part.line: words.TOO_OLD}
        return happened.at(strength, rows, only, file)

    inputs = [part.strength, run]
    part.strength.input(
        move,
        inputs,
        [part.line, part.plot],
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )
    part.strength.release(
        again, [*inputs, happened.only], [part.line, *happened.outputs()], show_progress="hidden", **on_model
    )
