"""How the page is served: nothing leaves it, and only run folders are read for downloads."""

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from .page import FOLLOWERS
from .preview import MAX_BYTES
from .state import Shared
from .theme import CSS, theme


class CompressedPage(GZipMiddleware):
    """Sends the page itself compressed, 12 KB in place of 97; gradio does that only for files."""

    async def __call__(self, scope, receive, send) -> None:
        await (super().__call__ if scope.get("path") == "/" else self.app)(scope, receive, send)


def launch(demo: gr.Blocks, shared: Shared, host: str | None = None, port: int | None = None, **options):
    """`demo.launch` with the options that privacy and safety ask for; returns what it returns."""
    return demo.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css=CSS,
        run_history=False,
        allowed_paths=[str(shared.runner.root.resolve())],
        max_file_size=MAX_BYTES,
        show_error=False,
        enable_monitoring=False,
        strict_cors=True,
        ssr_mode=False,
        max_threads=FOLLOWERS + 16,  # gradio runs no more events than that at once, threads or none
        state_session_capacity=1000,
        app_kwargs={"middleware": [Middleware(CompressedPage)]},
        share=False,
        footer_links=["api"],
        **options,
    )
