"""Below the run's buttons: learning curves, drawn anew at each point while the run goes on."""

from dataclasses import dataclass

import gradio as gr

from . import words
from .plots import curves


@dataclass(frozen=True)
class CurvesSection:
    part: gr.Column
    plot: gr.Plot

    def outputs(self) -> list:
        return [self.part, self.plot]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, points: list[dict], config: dict, base: dict, most: int) -> dict:
        """Updates with all points so far. `base`: the base model's column; `most`: asked at a point."""
        n = {name: min(most, base[name]["n"]) for name in ("learning", "forgetting")}
        return {self.part: gr.update(visible=True), self.plot: curves(points, config["settings"], n)}


def section() -> CurvesSection:
    with gr.Column(visible=False, elem_id="curves") as part:
        gr.Markdown(f"### {words.CURVES}")
        plot = gr.Plot(show_label=False, elem_id="curves-plot")
    return CurvesSection(part, plot)
