"""What the wash will cost, said beside its button as soon as facts are read: how many, seconds, memory."""

from dataclasses import dataclass

import gradio as gr

from ..facts.fact import Fact
from ..runs.job import UnknownRun
from . import words
from .preview import Preview
from .room import with_room
from .state import Shared
from .wash import WashSection, chosen, line

QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Asked:
    """The facts last read from `text` and asked of a model, and the keys of those that it does not know."""

    model: str
    text: str
    facts: tuple[Fact, ...]
    unknown: frozenset[tuple[str, str]]


def asked(model: str, text: str, preview: Preview) -> Asked | None:
    """Of a preview with `known` filled in; None when no fact was read."""
    if not preview.facts:
        return None
    unknown = frozenset(key for key, known in preview.known.items() if not known)
    return Asked(model, text, tuple(preview.plain()), unknown)


def sentences(shared: Shared, asked: Asked, choices: dict, on_top: bool) -> str:
    """The cost in words; "" before the model's pace was measured. Raises ValueError as `settings_for`."""
    from ..law.settings import settings_for

    lm = shared.lm(asked.model)
    settings = settings_for(lm, **choices)
    found = shared.costs.forecast(lm, asked.facts, asked.unknown, settings, on_top)
    if found is None:
        return ""
    if not found.facts:
        return words.COST_NONE
    facts = words.count(found.facts, "fact", "facts")
    said = [
        (words.COST if shared.costs.timed(lm) else words.COST_UNTIMED).format(
            facts=facts if found.exact else words.COST_AT_MOST.format(facts=facts),
            seconds=words.seconds(found.result),
            curve=words.seconds(found.seconds["curve"]),
            memory=words.memory(found.memory),
        )
    ]
    if shared.costs.timed(lm) and (once := found.seconds["statistics"]) >= 1:
        said.append((words.COST_ON_TOP if on_top else words.COST_ONCE).format(seconds=words.seconds(once)))
    if ahead := shared.runner.unfinished():
        said.append(words.COST_WAIT.format(runs=words.count(ahead, "wash", "washes")))
    return " ".join(said)


def wire(
    shared: Shared,
    wash: WashSection,
    text: gr.Textbox,
    model: gr.Dropdown,
    run: gr.BrowserState,
    state: gr.State,
    read: list,
    on_model: dict,
) -> None:
    """The line follows every event of `read`, which fill `state` with `Asked`, and every choice.

    It is empty while the visitor's own run goes on, and when text or model are others than were asked.
    """

    def told(asked: Asked | None, id: str, text: str, model: str, on_top: bool, *choices) -> str:
        if asked is None or (asked.text, asked.model) != (text, model) or going_on(shared, id):
            return ""
        try:
            said = sentences(shared, asked, chosen(*choices), on_top)
        except ValueError as error:  # settings that cannot be
            said = str(error)
        return line(said) if said else ""

    @with_room
    def measured(asked: Asked | None, *rest) -> str:
        if asked is not None:
            shared.costs.measure(shared.lm(asked.model), asked.facts)
        return told(asked, *rest)

    inputs = [state, run, text, model, wash.on_top, *wash.settings()]
    for event in read:
        event.then(measured, inputs, wash.cost, show_progress="hidden", **on_model)
    # a gr.Textbox has no `input` when something is pasted or deleted
    choices = [wash.layers.change if part is wash.layers else part.input for part in wash.settings()]
    gr.on([wash.on_top.input, *choices], told, inputs, wash.cost, trigger_mode="always_last", **QUICK)
    gr.on([text.change, model.input], None, None, wash.cost, js="() => ''", **QUICK)


def going_on(shared: Shared, id: str) -> bool:
    """Is this run waiting or running?"""
    try:
        return shared.runner.place(id) is not None
    except UnknownRun:
        return False
