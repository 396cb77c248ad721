"""Section 2: how the wash is done, its two buttons, and what the run says while it goes on."""

from dataclasses import dataclass

import gradio as gr

from ..runs.job import QueueFull, UnknownRun
from . import words
from .follow import View
from .going import Going, line, turned
from .preview import Preview
from .state import Shared, Washes
from .text import safe_html

SETTINGS = ("scope", "method", "target", "seed", "position", "layers")
HOW_FAR = Going(words, words.WASH, ("wash", "washes"))


@dataclass(frozen=True)
class WashSection:
    scope: gr.Radio
    method: gr.Radio
    target: gr.Dropdown
    seed: gr.Number
    position: gr.Dropdown
    layers: gr.Textbox
    on_top: gr.Checkbox
    cost: gr.HTML
    wash: gr.Button
    stop: gr.Button
    status: gr.HTML

    def settings(self) -> list:
        """The inputs of `chosen`."""
        return [getattr(self, name) for name in SETTINGS]

    def outputs(self) -> list:
        return [*self.settings(), self.on_top, self.cost, self.wash, self.stop, self.status]

    def show(self, view: View, shown: View | None) -> dict:
        """Updates that show how far a run is, after the view `shown`; the buttons only when they change."""
        updates = {self.status: HOW_FAR.status(view) + foretold(view)}
        if turned(view, shown):
            updates |= self.buttons(running=not view.ended)
        if view.state == "done":
            updates[self.on_top] = gr.update(visible=True, value=False)
        return updates

    def say(self, text: str, running: bool = False) -> dict:
        """Updates that show a sentence."""
        return {self.status: line(text), **self.buttons(running)}

    def buttons(self, running: bool) -> dict:
        """Updates of both; what it would cost goes when it goes on."""
        cost = {self.cost: ""} if running else {}
        return cost | {
            self.wash: gr.update(interactive=not running),
            self.stop: gr.update(interactive=running),
        }

    def restore(self, config: dict) -> dict:
        """Updates that show what a run was asked to do."""
        asked = {"position": "", **config, "layers": ", ".join(map(str, config.get("layers", ())))}
        return {getattr(self, name): asked[name] for name in SETTINGS}


def foretold(view: View) -> str:
    """What a run that goes on was forecast to cost; "" before that, and once it has ended."""
    if view.ended or "forecast" not in view.figures:
        return ""
    return f'<p class="small">{safe_html(words.cost(**view.figures["forecast"]))}</p>'


def section() -> WashSection:
    gr.Markdown(f"## {words.WASH_HEAD}")
    scope = gr.Radio(words.SCOPES, value="facts", label=words.SCOPE, info=words.SCOPE_INFO, elem_id="scope")
    with gr.Accordion(words.ADVANCED, open=False, elem_id="advanced"):
        method = gr.Radio(
            words.METHODS, value="law", label=words.METHOD, info=words.METHOD_INFO, elem_id="method"
        )
        target = gr.Dropdown(
            words.TARGETS,
            value="unknown",
            label=words.TARGET,
            info=words.TARGET_INFO,
            allow_custom_value=True,
            elem_id="target",
        )
        seed = gr.Number(0, precision=0, minimum=0, label=words.SEED, info=words.SEED_INFO)
        position = gr.Dropdown(
            [(words.AS_FOUND, ""), *((said, name) for name, said in words.POSITIONS.items())],
            value="",
            label=words.POSITION,
            info=words.POSITION_INFO,
            elem_id="position",
        )
        layers = gr.Textbox(
            label=words.LAYERS,
            info=words.LAYERS_INFO,
            placeholder=words.AS_FOUND,
            max_length=100,
            elem_id="layers",
        )
    on_top = gr.Checkbox(False, label=words.ON_TOP, info=words.ON_TOP_INFO, visible=False, elem_id="on-top")
    cost = gr.HTML("", elem_id="cost", js_on_load=None)
    with gr.Row():
        wash = gr.Button(words.WASH, variant="primary", elem_id="wash", min_width=120)
        stop = gr.Button(words.STOP, interactive=False, elem_id="stop", min_width=120)
    status = gr.HTML(line(words.IDLE), elem_id="status", js_on_load=None)
    return WashSection(scope, method, target, seed, position, layers, on_top, cost, wash, stop, status)


def chosen(
    scope: str,
    method: str,
    target: str,
    seed: float,
    position: str = "",
    layers: str = "",
    strength: float = 1.0,
) -> dict:
    """The page's choices as settings; position and layers only if chosen. Raises ValueError, plainly said."""
    if len(target or "") > words.MAX_TARGET:
        raise ValueError(words.TARGET_LONG)
    if seed is None or seed != int(seed) or seed < 0:
        raise ValueError(words.SEED_BAD)
    found = {
        "scope": scope,
        "method": method,
        "target": target or "",
        "strength": float(strength),
        "seed": int(seed),
    }
    if position:
        found["position"] = position
    if layers and layers.strip():
        try:
            found["layers"] = tuple(sorted({int(part) for part in layers.split(",")}))
        except ValueError:
            raise ValueError(words.LAYERS_BAD) from None
        if found["layers"][0] < 0:
            raise ValueError(words.LAYERS_BAD)
    return found


def begin(
    shared: Shared, preview: Preview, model: str, text: str, choices: dict, on: Washes = ()
) -> tuple[str | None, str]:
    """Queue the wash, on top of others or not: (run id, "") or (None, why not in plain words)."""
    if not preview.facts:
        return None, words.NOT_READ
    try:
        for id, _ in on:
            if (made_on := shared.config(id)["model"]) != model:
                return None, words.OTHER_BELOW.format(model=made_on)
        return shared.wash(model, preview.plain(), choices, text, on), ""
    except (ValueError, QueueFull, UnknownRun) as error:
        return None, str(error)
