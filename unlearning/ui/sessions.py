"""What gradio keeps of every page (about 0.3 MB) it would keep for good: here it goes after the page has."""

import asyncio
from datetime import datetime

import gradio as gr

GRACE = 120  # seconds; a page that was only cut off for a moment comes back to what it had


def forget_closed(demo: gr.Blocks, grace: float = GRACE) -> None:
    """Drop a closed page's session when `grace` seconds have gone by without anything asked in it.

    To be called inside `with demo`.
    """

    async def closed(request: gr.Request) -> None:
        later = asyncio.get_running_loop().call_later  # no thread, and nothing that a shutdown would wait for
        later(grace, drop, demo, request.session_hash, datetime.now())

    demo.unload(closed)


def drop(demo: gr.Blocks, session: str, since: datetime) -> None:
    """Drop a session that has not been used since."""
    kept = demo.state_holder
    if session in kept and kept.time_last_used[session] <= since:
        del kept.session_data[session], kept.time_last_used[session]
