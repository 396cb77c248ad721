"""What the wash will cost, said beside its button as soon as facts are read: how many, seconds, memory."""

from dataclasses import dataclass

import gradio as gr

from ..facts.fact import Fact
from ..runs.job import UnknownRun
from . import words
from .going import line
from .preview import Preview
from .room import with_room
from .state import Shared
from .turns import Turns
from .wash import WashSection, chosen

QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# Whoever changes the facts takes a turn, too.
TURNS = Turns("costTurn")


@dataclass(frozen=True)
class Asked:
    """The facts last read from `text` and asked of a model, and the keys of those that it does not know."""

    model: str
    text: str
    facts: tuple[Fact, ...]
    unknown: frozenset[tuple[str, str]]

    def known(self) -> dict[Fact, bool]:
        """By fact: does the model know it?"""
        return {f: f.key not in self.unknown for f in self.facts}


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
    said = [words.cost(**found.said(), timed=shared.costs.timed(lm))]
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
    turn, late = gr.Number(visible=False), gr.Textbox(visible=False)

    def told(turn: float, asked: Asked | None, *rest) -> tuple[float, str]:
        return turn, forecast(asked, *rest)

    def forecast(asked: Asked | None, id: str, text: str, model: str, on_top: bool, *choices) -> str:
        if asked is None or (asked.text, asked.model) != (text, model) or going_on(shared, id):
            return ""
        try:
            said = sentences(shared, asked, chosen(*choices), on_top)
        except ValueError as error:  # settings that cannot be
            said = str(error)
        return line(said) if said else ""

    @with_room
    def measure(asked: Asked | None) -> None:
        if asked is not None:
            shared.costs.measure(shared.lm(asked.model), asked.facts)

    asking = {"fn": told, "inputs": [turn, state, run, text, model, wash.on_top, *wash.settings()]}
    asking |= {"outputs": [turn, late], "js": TURNS.take, "trigger_mode": "always_last", **QUICK}
    # a gr.Textbox has no `input` when something is pasted or deleted
    choices = [wash.layers.change if part is wash.layers else part.input for part in wash.settings()]
    answers = [gr.on([wash.on_top.input, *choices], **asking)]
    for event in read:  # measured first, then told of what stands there by then
        answers.append(event.then(measure, state, None, show_progress="hidden", **on_model).then(**asking))
    for answer in answers:
        answer.then(None, [turn, late, wash.cost], wash.cost, js=TURNS.newest, **QUICK)
    gr.on([text.change, model.input], None, None, wash.cost, js=TURNS.nothing, **QUICK)
    wash.wash.click(None, None, None, js=TURNS.last, **QUICK)


def going_on(shared: Shared, id: str) -> bool:
    """Is this run waiting or running?"""
    try:
        return shared.runner.place(id) is not None
    except UnknownRun:
        return False
