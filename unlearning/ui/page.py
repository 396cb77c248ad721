"""The page: its sections in order, and what goes from one to the other."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import gradio as gr

from ..facts.read import UnreadableFile
from ..runs.job import UnknownRun
from . import api, ask, bring, cost, happened, inside, model, sessions, tradeoff, wash, what, within, words
from .follow import follow
from .going import line
from .learn import tab
from .learn.words import TAB_LEARN, TAB_WASH
from .preview import Preview
from .state import Shared

PAGES = 200  # open at once, besides those that wait for their own run; each opens with EVENTS
EVENTS = 3  # of them FOLLOWED are to follow runs, one in each tab
FOLLOWED = 2
ABOUT = 8  # descriptions of a model at once
ON_MODEL = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
QUICK = {"queue": False} | QUIET
DESCRIBING = {"concurrency_id": "about", "concurrency_limit": ABOUT} | QUIET
KEY, TAB_KEY = "lethe-run", "lethe-tab"  # in the browser's storage: the last run's id, and the tab
WASH, LEARN = "wash", "learn"


class Page:
    """The sections, and the handlers that need more than one of them."""

    def __init__(self, shared: Shared):
        self.shared = shared
        self.run = gr.BrowserState("", storage_key=KEY, secret=KEY)
        self.tab = gr.BrowserState(WASH, storage_key=TAB_KEY, secret=TAB_KEY)
        learn_run = gr.BrowserState("", storage_key=tab.KEY, secret=tab.KEY)
        self.last = gr.State("")  # the run that the browser brings along when the page is opened
        self.model = model.section(shared)
        with gr.Tabs(elem_id="tabs") as self.tabs:
            with gr.Tab(TAB_WASH, id=WASH) as self.wash_tab:
                self.washing()
            with gr.Tab(TAB_LEARN, id=LEARN) as self.learn_tab:
                self.learn = tab.Tab(shared, learn_run)

    def washing(self) -> None:
        """The sections of the first tab."""
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.what = what.section(self.shared)
            with gr.Column(scale=2, min_width=320):
                self.wash = wash.section()
        self.happened = happened.section()
        self.trade_off = tradeoff.section()
        self.ask = ask.section()
        self.within = within.section()
        self.trace = inside.section()

    def outputs(self) -> list:
        """All that following a run may change."""
        parts = (self.what, self.wash, self.happened, self.trade_off, self.ask, self.within)
        own = [self.run, self.model.name, self.what.text]
        return own + [component for part in parts for component in part.outputs()]

    async def start(
        self,
        text: str,
        name: str,
        run: str,
        on_top: bool,
        strength: float | None,
        ticked: list[str],
        *choices,
    ) -> AsyncIterator[dict]:
        """Wash is pressed: read again what is in the box, queue the run, follow it.

        With `on_top` it is done on top of what is on: the last `run`, so strong, and of those below it the
        `ticked`; where one of them is gone, nothing is done.
        """
        try:
            preview = await asyncio.to_thread(self.shared.read, text, name)
            settings = wash.chosen(*choices)
        except UnreadableFile as error:
            yield self.what.complain(str(error)) | self.wash.say(words.NOT_READ)
            return
        except ValueError as error:
            yield self.wash.say(str(error))
            return
        try:
            on = tradeoff.washes_on(self.shared, run, strength, ticked) if on_top else []
        except tradeoff.GONE:
            yield self.what.show(preview) | self.wash.say(words.BELOW_GONE)
            return
        id, why = await asyncio.to_thread(wash.begin, self.shared, preview, name, text, settings, on)
        if id is None:
            yield self.what.show(preview) | self.wash.say(why)
            return
        new = {self.run: id} | self.ask.ready()
        new |= self.happened.hide() | self.trade_off.hide() | self.within.hide()
        yield new | self.what.show(preview) | self.wash.say(words.STARTING, running=True)
        async for updates in self.following(id, preview, settings["scope"]):
            yield updates

    @staticmethod
    async def opened(id: str) -> str:
        """The page is opened: what the browser brings goes where `attach` is told of it, if it is a run."""
        return id or gr.skip()

    async def attach(self, id: str, kept: object) -> AsyncIterator[dict]:
        """The page is opened again: show the browser's last run, finished or not, and follow it.

        `kept`: how much of which run the browser left on, see `tradeoff.left`.
        """
        if not id:
            yield gr.skip()  # gradio empties every output of a generator that yields nothing
            return
        try:
            config = self.shared.config(id)
            preview = await asyncio.to_thread(self.shared.read, config["text"], config["model"])
        except (UnknownRun, OSError, ValueError, KeyError):
            yield {self.run: ""} | self.wash.say(words.TOO_OLD)
            return
        back = {self.model.name: model.choose(self.shared, config["model"]), self.what.text: config["text"]}
        yield back | self.wash.restore(config) | self.what.show(preview)
        with contextlib.suppress(UnknownRun):
            async for updates in self.following(id, preview, config["scope"], kept):
                yield updates

    async def following(
        self, id: str, preview: Preview, scope: str, kept: object = None
    ) -> AsyncIterator[dict]:
        """Updates for each new look at the run, each part of the page only when it has something new."""
        shown = None
        async for view in follow(self.shared.runner, id):
            new = view.figures.keys() - (shown.figures.keys() if shown else set())
            updates = self.wash.show(view, shown)
            if "known" in new:
                updates |= self.what.tell(preview.with_unknown(view.figures["known"]["unknown"]))
            if "answers" in new:
                updates |= self.happened.show(view, scope)
            if view.state == "done":
                updates |= self.happened.take(self.shared.runner.folder(id))
                updates |= self.trade_off.show(view.summary, self.below(id), id, kept)
                updates |= self.within.show(view)
            elif view.ended:
                updates |= self.happened.hide() | self.trade_off.hide() | self.within.hide()
            yield updates
            shown = view

    def below(self, id: str) -> list[tuple[str, str]]:
        """The list of washes below a run, or none where one of them is gone."""
        try:
            return tradeoff.choices(self.shared, id)
        except tradeoff.GONE:
            return []

    def stop(self, id: str):
        """Stop is pressed. The follower sees and says the rest."""
        with contextlib.suppress(UnknownRun):
            if self.shared.runner.stop(id):
                return gr.update(value=line(words.STOPPING)), gr.update(interactive=False)
        return gr.skip(), gr.update(interactive=False)


def followers(shared: Shared) -> int:
    """Runs that may be followed at once: each there can be, and FOLLOWED by PAGES. None holds a thread."""
    return shared.runner.max_waiting + 1 + FOLLOWED * PAGES


def threads(shared: Shared) -> int:
    """gradio's `max_threads`: events that it handles at once. Followers must never keep others waiting."""
    closing, fetching = 1, 2 * shared.hub  # pages that are closed; data sets and models of the hub
    return followers(shared) + ABOUT + ON_MODEL["concurrency_limit"] + closing + fetching


def build(shared: Shared) -> gr.Blocks:
    """The whole page, with its queue set."""
    following = {"concurrency_id": "following", "concurrency_limit": followers(shared)}
    kept = max(1, round(shared.runner.keep_seconds))  # gradio's copies of what is offered go as the runs do
    with gr.Blocks(title=words.TITLE, analytics_enabled=False, delete_cache=(min(3600, kept), kept)) as demo:
        api.add(shared, ON_MODEL, following)  # first, so that nothing else gets its three names
        page = Page(shared)
        asked = gr.State(None)
        read = what.wire(shared, page.what, page.model.name, asked, ON_MODEL)
        cost.wire(shared, page.wash, page.what.text, page.model.name, page.run, asked, read, ON_MODEL)
        happened.wire(page.happened)
        strength, below = page.trade_off.strength, page.trade_off.below
        moved = tradeoff.wire(shared, page.trade_off, page.happened, page.run, ON_MODEL)
        ask.wire(shared, page.ask, page.model.name, page.run, strength, below, moved, ON_MODEL)
        within.wire(shared, page.within, page.run, strength, below, moved, ON_MODEL)
        on = [page.run, page.wash.on_top, strength, below]
        inputs = [page.what.text, page.model.name, *on, *page.wash.settings()]
        page.wash.wash.click(page.start, inputs, page.outputs(), cancels=moved, **following, **QUIET)
        page.wash.stop.click(page.stop, page.run, [page.wash.status, page.wash.stop], **QUICK)
        # two steps: gradio makes anew, for each page, all that an event might have changed in it
        demo.load(page.opened, page.run, page.last, **following, **QUIET)
        page.last.change(page.attach, [page.run, page.trade_off.kept], page.outputs(), **following, **QUIET)
        demo.load(page.opened, page.learn.run, page.learn.last, **following, **QUIET)
        page.learn.last.change(page.learn.attach, page.learn.run, page.learn.outputs(), **following, **QUIET)
        about = {
            "fn": lambda name: model.describe(shared, name),
            "inputs": page.model.name,
            "outputs": page.model.line,
        }
        page.model.name.change(**about, **DESCRIBING)
        demo.load(**about, **DESCRIBING)
        inside.wire(shared, page.trace, page.model.name, DESCRIBING)
        page.learn.wire(page.model.name, page.learn_tab, ON_MODEL, following)
        page.wash_tab.select(lambda: WASH, None, page.tab, **QUICK)
        page.learn_tab.select(lambda: LEARN, None, page.tab, **QUICK)
        demo.load(lambda name: gr.Tabs(selected=name), page.tab, page.tabs, **QUICK)
        bring.wire(demo, shared, page.model.bring, page.model.name)
        sessions.forget_closed(demo)
    # gradio sums up all events anew after each one, 10 to 20 ms, for a monitor that is off
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
    return demo.queue(
        max_size=EVENTS * followers(shared),  # room for every page's first events
        status_update_rate=1,  # at each step it would be told to all who wait
        api_open=False,
    )
