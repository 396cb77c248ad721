"""How the page is served: nothing leaves it, a guard stands before it, only run folders are given out."""

import os
from collections.abc import Iterable
from contextlib import asynccontextmanager

import gradio as gr
from gradio.route_utils import FnIndexInferError

from . import api
from .guard import Guard, local, no_such_event
from .page import threads
from .state import Shared
from .theme import CSS, theme


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
    here = local(host or os.environ.get("GRADIO_SERVER_NAME") or "localhost")

    @asynccontextmanager
    async def guarded(app):
        # around everything, gradio's own layer included, which lets any page in when served by name
        app.middleware_stack = Guard(app.middleware_stack, api.NAMES, names, here)
        yield

    return demo.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css=CSS,
        run_history=False,
        allowed_paths=[str(shared.runner.root.resolve())],
        max_file_size=shared.limits[1],
        max_threads=threads(shared),
        show_error=False,
        enable_monitoring=False,
        strict_cors=True,
        ssr_mode=False,
        share=False,
        footer_links=["api"],
        app_kwargs={
            "lifespan": guarded,
            "exception_handlers": {KeyError: no_such_event, FnIndexInferError: no_such_event},
        },
        **options,
    )
