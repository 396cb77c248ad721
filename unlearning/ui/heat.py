"""A heat map to take away: the plot (PNG by plotly's own button), the same as a table, a CSV file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..runs.record import write_answers
from . import words
from .tables import fold

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class HeatSection:
    plot: gr.Plot
    table: gr.HTML
    csv: gr.DownloadButton

    def outputs(self) -> list:
        return [self.plot, self.table, self.csv]

    def show(self, plot: "go.Figure", table: str, rows: Iterable[Mapping[str, Any]], path: Path) -> dict:
        """Updates that show a plot and the same as a table (HTML), and offer its values, put into `path`.

        Raises `OSError`.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_answers(path, rows)
        return {
            self.plot: plot,
            self.table: fold(words.AS_TABLE, table),
            self.csv: gr.update(value=str(path), interactive=True),
        }

    def say(self, html: str = "") -> dict:
        """Updates with nothing to show but a sentence."""
        return {self.plot: None, self.table: html, self.csv: gr.update(value=None, interactive=False)}


def section(name: str, said: str) -> HeatSection:
    """`name`: in the ids of its parts; `said`: on the button that takes the CSV file."""
    # never invisible, as `what.section` says: without a plot it has no height, see theme.CSS
    plot = gr.Plot(show_label=False, elem_id=f"{name}-heat")
    table = gr.HTML("", elem_id=name, js_on_load=None)
    csv = gr.DownloadButton(said, size="md", interactive=False, elem_id=f"{name}-csv")
    return HeatSection(plot, table, csv)
