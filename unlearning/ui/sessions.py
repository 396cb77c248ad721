"""What gradio keeps of every page: less of it while the page is open, and nothing after it has gone."""

import asyncio
from datetime import datetime
from types import SimpleNamespace

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

from ..runs.memory import trim

QUIET = 1.0  # seconds without a page that comes or goes
GRACE = 120  # seconds; a page that was only cut off for a moment comes back to what it had


class Unkept(dict):
    """Holds nothing, whatever is put in."""

    def __setitem__(self, key, value) -> None:
        pass

    def __missing__(self, key) -> dict:
        return {}


class Session(SessionState):
    """A page's state without a description of all that the page shows.

    That takes 0.2 MB of each, and parts of it are made anew with every update. gradio makes links to a page's
    state out of it (deep links), a door that `guard` has shut.
    """

    def __init__(self, blocks: gr.Blocks):
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))
        self.config_values = Unkept()
        self.blocks_config.config_for_block = lambda *_: {}


class Sessions(StateHolder):
    """gradio's sessions, less of each; a closed one is dropped."""

    unsettled: asyncio.TimerHandle | None = None  # runs out when for a while no page came or went

    def __getitem__(self, session: str) -> Session:
        if session not in self:
            self.session_data[session] = Session(self.blocks)
            self.settle()
        return super().__getitem__(session)

    def settle(self) -> None:
        """Once no more come or go, give back what that took: to open a page some 0.2 MB."""
        if self.unsettled:
            self.unsettled.cancel()
        loop = asyncio.get_running_loop()
        self.unsettled = loop.call_later(QUIET, loop.run_in_executor, None, trim)

    def drop(self, session: str, since: datetime) -> None:
        """Drop a session that has not been used since; what it took is given back."""
        if session in self and self.time_last_used[session] <= since:
            del self.session_data[session], self.time_last_used[session]
            self.blocks._queue.pending_event_ids_session.pop(session, None)  # gradio keeps it for good
            self.settle()


def forget_closed(demo: gr.Blocks, grace: float = GRACE) -> None:
    """Drop a closed page's session when `grace` seconds have gone by without anything asked in it.

    To be called inside `with demo`, which is to be launched with `Sessions`.
    """

    async def closed(request: gr.Request) -> None:
        later = asyncio.get_running_loop().call_later  # no thread, and nothing that a shutdown would wait for
        later(grace, demo.state_holder.drop, request.session_hash, datetime.now())

    demo.unload(closed)
