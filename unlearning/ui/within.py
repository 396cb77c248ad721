"""Inside a wash: where the weights changed, and one fact seen layer by layer, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ..facts.fact import Fact
from ..models.delta import BadDelta
from . import words
from .follow import View, look
from .plots import bars
from .room import with_room
from .state import Shared
from .tables import table
from .text import safe
from .tradeoff import GONE, measured, off
from .words import percent

CHOICES = 200  # facts in the list


@dataclass(frozen=True)
class WithinSection:
    part: gr.Accordion
    spared: gr.Markdown
    norms: gr.Plot
    fact: gr.Dropdown
    lens: gr.HTML

    def outputs(self) -> list:
        return [self.part, self.spared, self.norms, self.fact, self.lens]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, view: View) -> dict:
        """Updates for a finished run."""
        norms = view.summary["norms"]
        prompts = [r["prompt"] for r in view.figures["answers"][:CHOICES]]
        return {
            self.part: gr.update(visible=True),
            self.spared: safe(spared(view.summary.get("moments"))),
            self.norms: bars(words.NORMS, [(words.INSIDE_LAYER.format(i=i), x) for i, x in by_layer(norms)]),
            self.fact: gr.update(choices=prompts, value=None),
            self.lens: "",
        }


def section() -> WithinSection:
    with gr.Accordion(words.WITHIN, open=False, visible=False, elem_id="within") as part:
        gr.Markdown(words.WITHIN_INFO)
        spared = gr.Markdown(elem_id="spared")
        norms = gr.Plot(show_label=False, elem_id="norms")
        fact = gr.Dropdown([], label=words.LENS_FACT, info=words.LENS_INFO, elem_id="lens-fact")
        lens = gr.HTML("", elem_id="lens", js_on_load=None)
    return WithinSection(part, spared, norms, fact, lens)


def spared(moments: dict | None) -> str:
    """Which text C was measured on, and if more of it would change C; "" of a run that does not tell.

    `moments`: as of `Statistics.measured`.
    """
    if not moments:
        return ""
    said = words.SPARED_CONVERGED if moments["converged"] else words.SPARED_ALL
    return said.format(**moments)


def by_layer(norms: dict[str, float]) -> list[tuple[int, float]]:
    """(layer, ‖ΔW‖ / ‖W‖) of every changed weight, by the first number in its name."""
    return sorted(
        (next(int(part) for part in name.split(".") if part.isdigit()), x) for name, x in norms.items()
    )


def lens_table(shared: Shared, id: str, prompt: str, strength: float, off: Sequence[str] = ()) -> str:
    """The fact with this prompt after every layer, by the base model and with all that is on with the run.

    Raises `NoModel`, `UnknownRun`, `BadDelta`, `OSError`.
    """
    from ..models.delta import applied
    from ..probes.lens import lens

    lm = shared.lm(shared.config(id)["model"])
    row = next(r for r in look(shared.runner, id).figures["answers"] if r["prompt"] == prompt)
    fact = Fact(prompt, row["relation"], tuple(row["objects"]), ("{}",))
    with lm.lock:
        before = lens(lm, [fact], top=1)[0]
        with applied(lm, *shared.deltas(id, lm, strength, off)):
            after = lens(lm, [fact], top=1)[0]
    rows = [
        [
            words.INSIDE_LAYER.format(i=b.layer) if b.layer >= 0 else words.LENS_START,
            *(
                words.LENS_SAID.format(token=x.top[0][0].strip() or "⏎", p=percent(x.top[0][1]))
                for x in (b, a)
            ),
            *(percent(x.p, 1) for x in (b, a)),
        ]
        for b, a in zip(before, after, strict=True)
    ]
    return table(words.LENS.format(strength=f"{strength:g}"), words.LENS_HEAD, rows)


def wire(
    shared: Shared,
    part: WithinSection,
    run: gr.BrowserState,
    strength: gr.Slider,
    below: gr.CheckboxGroup,
    moved: list,
    on_model: dict,
) -> None:
    """A fact is chosen, or the wash becomes another."""

    @with_room
    def chosen(prompt: str | None, id: str, much: float | None, on: list[str]) -> str:
        if not prompt:
            return ""
        try:
            return lens_table(shared, id, prompt, measured(shared, id, much), off(shared, id, on))
        except (*GONE, BadDelta, StopIteration):
            return f"<p>{words.TOO_OLD}</p>"

    for start in (part.fact.input, *(event.then for event in moved)):
        start(chosen, [part.fact, run, strength, below], part.lens, show_progress="minimal", **on_model)
