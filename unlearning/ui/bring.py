"""A fold that downloads a model of the hub and offers it; only where the page's settings allow it.

A public host must not download for strangers, so it is off by default, and then not even part of the page.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import gradio as gr

from ..events import Phase, Progress
from ..models.hub import NoModel
from ..models.loading import BUNDLED
from . import words
from .going import line
from .state import Shared

BRINGING = {"concurrency_id": "bring", "concurrency_limit": 1, "api_visibility": "private"}
POLL = 0.3  # seconds between two looks at a download


@dataclass(frozen=True)
class BringSection:
    name: gr.Dropdown
    button: gr.Button
    note: gr.HTML


def section(shared: Shared) -> BringSection | None:
    """The fold; None where the hub is not to be asked."""
    if not shared.hub:
        return None
    listed = json.loads((BUNDLED / "hub.json").read_text(encoding="utf-8"))
    choices = [(words.BRING_CHOICE.format(**m), m["name"]) for m in listed]
    with gr.Accordion(words.BRING_HEAD, open=False, elem_id="bring"):
        name = gr.Dropdown(
            choices,
            value=None,
            label=words.BRING,
            info=words.BRING_INFO,
            allow_custom_value=True,
            elem_id="bring-name",
        )
        button = gr.Button(words.BRING_GO, elem_id="bring-go", min_width=120)
        note = gr.HTML("", elem_id="bring-note", js_on_load=None)
    return BringSection(name, button, note)


def wire(demo: gr.Blocks, shared: Shared, bring: BringSection | None, model: gr.Dropdown) -> None:
    """What was downloaded is chosen as `model`, and offered to whoever opens the page."""
    if bring is None:
        return

    async def bring_model(name: str) -> AsyncIterator[tuple]:
        """How far a download is, as it goes on. It goes on, too, when the page is closed."""
        events, said = [], ""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, shared.bring, (name or "").strip(), events.append)
        while not work.done():
            await asyncio.wait([work], timeout=POLL)
            if (now := progress(events)) != said:
                said = now
                yield line(said), gr.skip()
        try:
            await work
        except NoModel as error:
            yield line(f"{error}."), gr.skip()
            return
        yield line(words.BROUGHT), gr.update(choices=list(shared.names), value=name.strip())

    hidden = {"show_progress": "hidden", **BRINGING}
    bring.button.click(bring_model, bring.name, [bring.note, model], **hidden)
    offered = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    demo.load(lambda: gr.update(choices=list(shared.names)), None, model, **offered)


def progress(events: list) -> str:
    """The last of the events in words; "" before the first."""
    last = events[-1] if events else None
    if isinstance(last, Progress):
        return words.BRING_PROGRESS.format(done=last.done, total=last.total)
    return f"{last.text[0].upper()}{last.text[1:]} …" if isinstance(last, Phase) else ""
