"""The second tab: its sections in order, and what goes from one to the other while a run is followed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import gradio as gr

from ...runs.job import QueueFull, UnknownRun
from ...runs.learn import CONFIDENCE
from .. import fetch
from ..cost import going_on
from ..follow import View, follow, look
from ..going import Going, line, turned
from ..state import NoModel, Shared
from ..text import safe, safe_html
from . import confidence, cost, curves, matrix, outcome, setup, words
from .run import begin, config_of
from .setup import NotReady

KEY = "lethe-learn"  # in the browser's storage: the last run's id
GONE = (UnknownRun, OSError, ValueError, KeyError)
HOW_FAR = Going(words, words.RUN, ("run", "runs"))


@dataclass(frozen=True)
class RunSection:
    cost: gr.Markdown
    run: gr.Button
    stop: gr.Button
    status: gr.HTML

    def outputs(self) -> list:
        return [self.cost, self.run, self.stop, self.status]

    def show(self, view: View, shown: View | None) -> dict:
        """Updates that show how far a run is, after the view `shown`; the buttons only when they change."""
        buttons = self.buttons(running=not view.ended) if turned(view, shown) else {}
        return {self.status: HOW_FAR.status(view)} | buttons

    def say(self, text: str, running: bool = False) -> dict:
        return {self.status: line(text), **self.buttons(running)}

    def buttons(self, running: bool) -> dict:
        """Updates of both; what it would cost goes when it goes on."""
        cost = {self.cost: ""} if running else {}
        return cost | {
            self.run: gr.update(interactive=not running),
            self.stop: gr.update(interactive=running),
        }


class Tab:
    """The sections, and the handlers that need more than one of them."""

    def __init__(self, shared: Shared, run: gr.BrowserState):
        """`run`: the last run's id; it stands outside the tab, which is not drawn before it is looked at."""
        self.shared, self.run = shared, run
        self.last = gr.State("")  # what the browser brings along when the page is opened
        gr.Markdown(words.LEAD)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.setup = setup.section(shared)
            with gr.Column(scale=2, min_width=320):
                self.going = run_section()
                self.curves = curves.section()
        self.confidence = confidence.section()
        self.outcome = outcome.section()
        self.matrix, self.found = matrix.section()

    def outputs(self) -> list:
        """All that following a run may change."""
        parts = (self.setup, self.going, self.confidence, self.curves, self.outcome)
        return [self.run] + [component for part in parts for component in part.outputs()]

    def hidden(self) -> dict:
        return self.confidence.hide() | self.curves.hide() | self.outcome.hide()

    async def start(self, name: str, *chosen) -> AsyncIterator[dict]:
        """Run is pressed: read again what was chosen, queue the run, follow it."""
        tasks = chosen[:4]
        try:
            asked = await asyncio.to_thread(setup.asked_for, self.shared, name, *chosen)
            id = await asyncio.to_thread(begin, self.shared, asked, *tasks)
        except (NotReady, QueueFull, NoModel) as error:
            yield self.going.say(str(error))
            return
        said = self.setup.describe(name, *tasks, asked.settings.samples, self.shared.limits)
        yield {self.run: id} | self.hidden() | said | self.going.say(words.STARTING, running=True)
        async for updates in self.following(id):
            yield updates

    async def attach(self, id: str) -> AsyncIterator[dict]:
        """The page is opened again: show the browser's last run, finished or not, and follow it."""
        if not id:
            yield gr.skip()  # gradio empties every output of a generator that yields nothing
            return
        try:
            config = config_of(self.shared, id)
            back = self.setup.restore(config)
        except GONE:
            yield {self.run: ""} | self.going.say(words.TOO_OLD)
            return
        chosen = [config[key] for key in ("model", "task", "text", "forget")]
        chosen += [config.get("forget_text", ""), config["settings"]["samples"]]
        yield back | self.setup.describe(*chosen, self.shared.limits) | {self.going.cost: ""}
        with contextlib.suppress(UnknownRun):
            async for updates in self.following(id):
                yield updates

    async def following(self, id: str) -> AsyncIterator[dict]:
        """Updates for each new look at the run, each part of the page only when it has something new."""
        config, folder = config_of(self.shared, id), self.shared.runner.folder(id)
        most = cost.sizes(self.shared).curve
        shown = None
        async for view in follow(self.shared.runner, id):
            figures, had = view.figures, shown.figures if shown else {}
            updates = self.going.show(view, shown)
            if "confidence" in figures.keys() - had.keys():
                how = config["settings"]["select"]
                updates |= self.confidence.show(figures["confidence"], how, folder / CONFIDENCE)
            if len(figures.get("point", ())) > len(had.get("point", ())):
                updates |= self.curves.show(figures["point"], config, figures["base"], most)
            if view.state == "done":
                said = outcome.made(config, *self.titles(config))
                updates |= self.outcome.show(figures, said, folder)
            yield updates
            shown = view

    def titles(self, config: dict) -> tuple[str, str]:
        """The names of what was learned and of what might be forgotten."""
        own = config["task"] == words.OWN
        learn = words.OWN_SHORT if own else setup.learning_task(config["task"], "", "", (0, 0)).title
        return learn, setup.forgetting_title(config["forget"])

    def stop(self, id: str):
        """Stop is pressed. The follower sees and says the rest."""
        with contextlib.suppress(UnknownRun):
            if self.shared.runner.stop(id):
                return line(words.STOPPING), gr.update(interactive=False)
        return gr.skip(), gr.update(interactive=False)

    def pick(self, id: str, event: gr.EventData) -> str:
        """A point or a row was chosen: its answer in full."""
        try:
            rows = self.rows(id)
            return confidence.detail(rows, event.i) if 0 <= event.i < len(rows) else gr.skip()
        except (*GONE, AttributeError, TypeError):
            return f"<p>{safe_html(words.TOO_OLD)}</p>"

    def by(self, by: str, id: str):
        """The points by another value."""
        try:
            return confidence.strip(self.rows(id), by, config_of(self.shared, id)["settings"]["select"])
        except GONE:
            return gr.skip()

    def rows(self, id: str) -> list[dict]:
        """The run's answers with their confidence. Raises `UnknownRun`, KeyError."""
        config_of(self.shared, id)
        return look(self.shared.runner, id).figures["confidence"]

    def describe(self, name: str, *chosen) -> dict:
        return self.setup.describe(name, *chosen, self.shared.limits)

    def refill(self, name: str, task: str) -> dict:
        """Another task or model: the settings that fit them."""
        return self.setup.fill(setup.defaults(name, task or ""))

    def of_file(self, path: str) -> tuple[str, str]:
        """An uploaded file's text, and what is wrong with it."""
        try:
            return setup.text_of(path, self.shared), gr.skip()
        except NotReady as error:
            return gr.skip(), safe(str(error))

    def price(self, turn: float, id: str, *asked) -> tuple[float, str]:
        """What a run would cost as it is chosen; nothing is said while the visitor's own goes on."""
        return turn, "" if going_on(self.shared, id) else cost.line(self.shared, *asked)

    def wire(self, model: gr.Dropdown, tab: gr.Tab, on_model: dict, following: dict) -> None:
        """Connect everything. `on_model` and `following`: options of the events that run the model, and of
        those that follow a run.
        """
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        quick = {"queue": False} | quiet
        s, going, inputs = self.setup, self.going, [model, *self.setup.inputs()]
        chosen = [model, *s.tasks()]
        described = s.described()
        turn, late = gr.Number(visible=False), gr.Textbox(visible=False)
        answered = {"outputs": [turn, late], "js": cost.TURNS.take, "trigger_mode": "always_last"}
        answered |= {"show_progress": "hidden", **on_model}

        def price(event) -> None:
            asked = event(self.price, [turn, self.run, *inputs], **answered)
            told = [turn, late, going.cost, self.run, *inputs]
            asked.then(None, told, going.cost, js=cost.TURNS.same, **quick)

        going.run.click(self.start, inputs, self.outputs(), **following, **quiet)
        going.stop.click(self.stop, self.run, [going.status, going.stop], **quick)
        # events of one kind together: a page takes the longer to open, the more of them there are
        another = gr.on([s.task.input, model.input], self.refill, [model, s.task], s.shown(), **quick)
        price(another.then(self.describe, chosen, described, **quick).then)
        told = [s.forget.input, s.own.check.click, s.own_forget.check.click, s.settings["samples"].input]
        price(gr.on(told, self.describe, chosen, described, **quick).then)
        for own, about in ((s.own, s.about), (s.own_forget, s.about_forget)):
            taken = own.upload.upload(self.of_file, own.upload, [own.text, about], **quick)
            price(taken.success(self.describe, chosen, described, **quick).then)
            if came := fetch.wire(self.shared, own.fetch, own.text):
                price(came(self.describe, chosen, described, **quick).then)
        # a tab is not described again when it is opened: that might come after a run that is shown again
        rest = [value.input for name, value in s.settings.items() if name != "samples"]
        price(partial(gr.on, [*rest, s.frontier.input, s.seeds.release, tab.select]))
        texts = [s.own.text.change, s.own_forget.text.change]
        gr.on(texts, None, None, going.cost, js=cost.TURNS.nothing, **quick)
        for part in (self.confidence.strip, self.confidence.samples):
            part.pick(self.pick, self.run, self.confidence.detail, **quick)
        gr.on([self.matrix.expand, model.input], matrix.describe, model, self.found, **quick)
        self.confidence.by.input(self.by, [self.confidence.by, self.run], self.confidence.strip, **quick)


def run_section() -> RunSection:
    gr.Markdown(f"## {words.RUN_HEAD}")
    priced = gr.Markdown(safe(words.COST_NONE), elem_id="learn-cost")
    with gr.Row():
        run = gr.Button(words.RUN, variant="primary", elem_id="learn-run", min_width=120)
        stop = gr.Button(words.STOP, interactive=False, elem_id="learn-stop", min_width=120)
    told = gr.HTML(line(words.IDLE), elem_id="learn-status", js_on_load=None)
    return RunSection(priced, run, stop, told)
