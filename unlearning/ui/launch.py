"""How the page is served: nothing leaves it, and only run folders are read for downloads."""

import gradio as gr

from .state import Shared
from .theme import CSS, theme


def launch(demo: gr.Blocks, shared: Shared, host: str | None = None, port: int | None = None, **options):
    """`demo.launch` with the options that privacy and safety ask for; returns what it returns."""
    return demo.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css=CSS,
        run_history=False,
        allowed_paths=[str(shared.runner.root.resolve())],
        max_file_size=shared.limits[1],
        show_error=False,
        enable_monitoring=False,
        strict_cors=True,
        ssr_mode=False,
        share=False,
        footer_links=["api"],
        **options,
    )
