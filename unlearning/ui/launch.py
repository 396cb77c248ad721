"""How the page is served: nothing leaves it, a guard stands before it, only run folders are given out."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import asynccontextmanager

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from . import api
from .assets import Assets, answer
from .guard import Guard, body_limit, local, no_such_event, wrong_arguments
from .learn.style import CSS as LEARN_CSS
from .page import threads
from .sessions import Sessions
from .state import Shared
from .theme import CSS, JS, theme


class OnePage(GZipMiddleware):
    """Makes the page itself for one visitor at a time, and compressed; gradio compresses only files.

    gradio copies 0.7 MB and more to make it; where 200 are made at once, that memory is not given back.
    """

    def __init__(self, app):
        super().__init__(app)
        self.turn = asyncio.Lock()

    async def __call__(self, scope, receive, send) -> None:
        if scope.get("path") != "/":
            await self.app(scope, receive, send)
            return
        async with self.turn:
            made = await answer(super().__call__, scope, receive)
        for message in made:  # outside: nobody waits for a visitor whose connection is slow
            await send(message)


def launch(
    demo: gr.Blocks,
    shared: Shared,
    host: str | None = None,
    port: int | None = None,
    names: Iterable[str] = (),
    **options,
):
    """`demo.launch` with the options that privacy and safety ask for; returns what it returns.

    `names`: host names that a proxy serves the page under.
    """
    limit = body_limit(shared.limits[1])
    here = local(host or os.environ.get("GRADIO_SERVER_NAME") or "localhost")

    @asynccontextmanager
    async def guarded(app):
        app.state_holder = Sessions()
        app.state_holder.set_blocks(demo)
        # around everything, gradio's own layer included, which lets any page in when served by name
        app.middleware_stack = Guard(Assets(app.middleware_stack), api.NAMES, names, here, limit)
        yield

    return demo.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css=CSS + LEARN_CSS,
        js=JS,
        run_history=False,
        allowed_paths=[str(shared.runner.root.resolve())],
        max_file_size=shared.limits[1],
        max_threads=threads(shared),
        show_error=False,
        enable_monitoring=False,
        strict_cors=True,
        ssr_mode=False,
        state_session_capacity=1000,
        share=False,
        footer_links=["api"],
        _frontend=False,  # else a page that is not ready within 3 s, in a crowd, ends the whole server
        app_kwargs={
            "lifespan": guarded,
            "middleware": [Middleware(OnePage)],
            "exception_handlers": {
                KeyError: no_such_event,
                FnIndexInferError: no_such_event,
                TypeError: wrong_arguments,
            },
        },
        **options,
    )
