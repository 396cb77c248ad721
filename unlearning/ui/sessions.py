"""What gradio keeps of every page: less of it while the page is open, and nothing after it has gone."""

import asyncio
from datetime import datetime

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

from ..runs.memory import trim

GRACE = 120  # seconds; a page that was only cut off for a moment comes back to what it had


class Unkept(dict):
    """Holds nothing, whatever is put in."""

    def __setitem__(self, key, value) -> None:
        pass

    def __missing__(self, key) -> dict:
        return {}


class Sessions(StateHolder):
    """gradio's sessions without a copy of all that the page shows, 0.2 MB and more of each.

    gradio makes links to a page's state out of it (deep links), a door that `guard` has shut.
    """

    def __getitem__(self, session: str) -> SessionState:
        new = session not in self
        state = super().__getitem__(session)
        if new:
            state.config_values = Unkept()
        return state

    def drop(self, session: str, since: datetime) -> None:
        """Drop a session that has not been used since; with the last one what it took is given back."""
        if session in self and self.time_last_used[session] <= since:
            del self.session_data[session], self.time_last_used[session]
            self.blocks._queue.pending_event_ids_session.pop(session, None)  # gradio keeps it for good
            if not self.session_data:
                trim()


def forget_closed(demo: gr.Blocks, grace: float = GRACE) -> None:
    """Drop a closed page's session when `grace` seconds have gone by without anything asked in it.

    To be called inside `with demo`, which is to be launched with `Sessions`.
    """

    async def closed(request: gr.Request) -> None:
        later = asyncio.get_running_loop().call_later  # no thread, and nothing that a shutdown would wait for
        later(grace, demo.state_holder.drop, request.session_hash, datetime.now())

    demo.unload(closed)
