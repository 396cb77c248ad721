"""Inside a wash: where the weights changed, and one fact seen layer by layer, before and after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from ..facts.fact import Fact
from ..models.delta import BadDelta
from . import heat, words
from .follow import View, look
from .plots import Heat, bars
from .plots import heat as drawn
from .room import with_room
from .state import Shared
from .tables import table
from .text import safe, safe_html
from .tradeoff import GONE, measured, named, off
from .words import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ..probes.lens import Look

CHOICES = 200  # facts in the list
MOST, TOKEN = 28, 14  # characters of a prompt and of a token in the plot, so that it fits on a phone


@dataclass(frozen=True)
class WithinSection:
    part: gr.Accordion
    spared: gr.Markdown
    norms: gr.Plot
    fact: gr.Dropdown
    lens: heat.HeatSection

    def outputs(self) -> list:
        return [self.part, self.spared, self.norms, self.fact, *self.lens.outputs()]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, view: View) -> dict:
        """Updates for a finished run."""
        norms = by_layer(view.summary["norms"])
        facts = words.count(view.summary["known"], "fact", "facts")
        prompts = [r["prompt"] for r in view.figures["answers"][:CHOICES]]
        return {
            self.part: gr.update(visible=True),
            self.spared: safe(spared(view.summary.get("moments"))),
            self.norms: bars(
                words.NORMS.format(facts=facts), [(words.INSIDE_LAYER.format(i=i), x) for i, x in norms]
            ),
            self.fact: gr.update(choices=prompts, value=None),
            **self.lens.say(),
        }


def section() -> WithinSection:
    with gr.Accordion(words.WITHIN, open=False, visible=False, elem_id="within") as part:
        gr.Markdown(words.WITHIN_INFO)
        spared = gr.Markdown(elem_id="spared")
        norms = gr.Plot(show_label=False, elem_id="norms")
        fact = gr.Dropdown([], label=words.LENS_FACT, info=words.LENS_INFO, elem_id="lens-fact")
        lens = heat.section("lens", words.LENS_CSV)
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


def looked(
    shared: Shared, id: str, prompt: str, strength: float, off: Sequence[str] = ()
) -> list[tuple["Look", "Look"]]:
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
    return list(zip(before, after, strict=True))


def layer_name(seen: "Look") -> str:
    return words.INSIDE_LAYER.format(i=seen.layer) if seen.layer >= 0 else words.LENS_START


def token(seen: "Look", most: int = 1_000) -> str:
    """The likeliest token, its first `most` characters."""
    text = seen.top[0][0].strip() or "⏎"
    return text if len(text) <= most else text[:most] + "…"


def said(seen: "Look") -> str:
    """The likeliest token and how likely it is."""
    return words.LENS_SAID.format(token=token(seen), p=percent(seen.top[0][1]))


def lens_table(looks: Sequence[tuple["Look", "Look"]], strength: float) -> str:
    """A fact after every layer, before and after, as HTML."""
    shown = [
        [layer_name(both[0]), *(said(x) for x in both), *(percent(x.p, 1) for x in both)] for both in looks
    ]
    return table(words.LENS.format(strength=f"{strength:g}"), words.LENS_HEAD, shown)


def rows(prompt: str, looks: Sequence[tuple["Look", "Look"]], strength: float) -> Iterator[dict]:
    """Rows of the CSV file; layer -1 is the embedding."""
    for both in looks:
        for when, on, seen in zip(("before", "after"), (0.0, strength), both, strict=True):
            text, p = seen.top[0]
            about = {"prompt": prompt, "layer": seen.layer, "when": when, "strength": on, "token": text}
            yield about | {"probability": p, "probability of the right token": seen.p, "its rank": seen.rank}


def heat_map(prompt: str, looks: Sequence[tuple["Look", "Look"]]) -> "go.Figure":
    """The same as a plot, coloured by how likely the right piece is."""
    asked = prompt if len(prompt) <= MOST else prompt[:MOST] + "…"
    heads = [name.replace(" ", "<br>", 1) for name in words.LENS_HEAD[1:3]]
    names = [layer_name(both[0]).replace("the ", "the<br>") for both in looks]
    cells = [[(_cell(seen), seen.p) for seen in both] for both in looks]
    title = words.together(words.LENS_PLOT.format(prompt=safe_html(asked)))
    return drawn([Heat(title, heads, names, cells, size=12)])


def _cell(seen: "Look") -> str:
    """The likeliest token, how likely it is, and how likely the right one: a line each."""
    p, right = percent(seen.top[0][1]), percent(seen.p, 1)
    return words.LENS_CELL.format(token=safe_html(token(seen, TOKEN)), p=p, right=right)


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
    def chosen(prompt: str | None, id: str, much: float | None, on: list[str]) -> dict:
        if not prompt:
            return part.lens.say()
        try:
            strength, taken_back = measured(shared, id, much), off(shared, id, on)
            looks = looked(shared, id, prompt, strength, taken_back)
            path = shared.runner.folder(id) / f"lens-{named(shared, id, strength, taken_back)}.csv"
            found = heat_map(prompt, looks), lens_table(looks, strength), rows(prompt, looks, strength)
            return part.lens.show(*found, path)
        except (*GONE, BadDelta, StopIteration):
            return part.lens.say(f"<p>{words.TOO_OLD}</p>")

    for start in (part.fact.input, *(event.then for event in moved)):
        start(
            chosen,
            [part.fact, run, strength, below],
            part.lens.outputs(),
            show_progress="minimal",
            **on_model,
        )
