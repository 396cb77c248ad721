"""Which model, on what, how large, and how recall was led when it was trained."""

import json
import logging
from dataclasses import dataclass

import gradio as gr

from ..models.hub import free_memory
from ..models.loading import bundled, folder_of
from . import bring, words
from .state import Shared
from .text import safe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelSection:
    name: gr.Dropdown
    line: gr.Markdown
    bring: bring.BringSection | None


def section(shared: Shared) -> ModelSection:
    """The heading with the model's choice beside it."""
    hours = words.count(max(1, round(shared.runner.keep_seconds / 3600)), "hour", "hours")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=280):
            gr.Markdown(f"# {words.TITLE}\n{words.LEAD}")
        with gr.Column(scale=2, min_width=280):
            name = gr.Dropdown(
                shared.names,
                value=shared.names[0],
                label=words.MODEL,
                info=words.MODEL_INFO.format(hours=hours),
                elem_id="model",
            )
            line = gr.Markdown("", elem_id="model-line")
            bringing = bring.section(shared)
    return ModelSection(name, line, bringing)


def choose(shared: Shared, name: str):
    """The update that chooses a model, among all that are offered by now."""
    return gr.update(choices=list(shared.names), value=name) if shared.hub else name


def recall(name: str) -> str:
    """The sentence for the folder's recipe.json key "recall"; "" where nothing is said."""
    path = folder_of(name) / "recipe.json"
    said = json.loads(path.read_text(encoding="utf-8")).get("recall") if path.exists() else None
    return words.RECALL.get(said, "")


def describe(shared: Shared, name: str) -> str:
    """Device and its free memory, parameters and size on disk in a line. Loads the model."""
    try:
        lm = shared.lm(name)
    except Exception:  # a damaged folder: the person needs to know, and the log why
        logger.exception("model %s could not be loaded", name)
        return words.LOADING_FAILED
    parameters = sum(p.numel() for p in lm.model.parameters())
    size = sum(f.stat().st_size for f in lm.folder.glob("*.safetensors"))
    on = "CPU" if lm.device.type == "cpu" else ", ".join(map(str, lm.devices))
    room = None if shared.lent else free_memory(lm.device.type)
    line = words.MODEL_LINE.format(
        device=words.LENT if shared.lent else on,
        free=words.FREE.format(size=words.size(room)) if room else "",
        parameters=f"{parameters / 1e6:.1f}",
        megabytes=f"{size / 1e6:.0f}",
        recall=recall(name),
    )
    made = [words.MADE] if name in bundled() else []
    return safe(words.together(" ".join([line.strip(), *made])))
