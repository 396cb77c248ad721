"""Section 3: what happened. A sentence, the answers before and after, and what stayed."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..runs.wash import ANSWERS, DELTA, FIGURES, QUESTIONS
from . import words
from .follow import View
from .plots import before_and_after
from .tables import Shares, table
from .words import percent, together

RATES = ("washed", "paraphrased", "same_subject", "neighbours", "portability", "retained", "reasoning")


@dataclass(frozen=True)
class HappenedSection:
    part: gr.Column
    headline: gr.Markdown
    answers: gr.HTML
    only: gr.Checkbox
    asked: gr.State  # what `answers` shows some of: (caption, rows)
    stay_about: gr.Markdown  # of which strength `plot` and `stay` are
    plot: gr.Plot
    stay: gr.HTML
    delta: gr.DownloadButton
    csv: gr.DownloadButton
    questions: gr.DownloadButton
    figures: gr.DownloadButton
    pack: gr.Button
    washed: gr.DownloadButton

    def outputs(self) -> list:
        return [
            self.part,
            self.headline,
            self.answers,
            self.only,
            self.asked,
            self.stay_about,
            self.plot,
            self.stay,
            self.delta,
            self.csv,
            self.questions,
            self.figures,
            self.pack,
            self.washed,
        ]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, view: View, scope: str) -> dict:
        """Updates that show what was measured, as soon as it all is; the change itself comes with `take`."""
        figures = view.figures
        before, after, rows = figures["before"], figures["after"], figures["answers"]
        off = gr.update(value=None, interactive=False)
        return {
            self.part: gr.update(visible=True),
            self.headline: headline(before, after, rows),
            self.answers: answers(words.ANSWERS, rows, False),
            self.only: False,
            self.asked: (words.ANSWERS, rows),
            self.stay_about: words.STAY_INFO,
            self.plot: before_and_after(words.STAY_PLOT, stayed(before, after)),
            self.stay: table(words.STAY, words.STAY_HEAD, stay_table(before, after, scope)),
            self.delta: off,
            self.csv: off,
            self.questions: off,
            self.figures: off,
            **self.unpacked(False),
        }

    def take(self, folder: Path) -> dict:
        """Updates that offer a finished run's files."""
        made = {self.questions: QUESTIONS, self.figures: FIGURES}
        there = {b: folder / name for b, name in made.items() if (folder / name).exists()}
        as_made = {b: gr.update(value=str(path), interactive=True) for b, path in there.items()}
        return self._offer(folder / DELTA, folder / ANSWERS) | as_made

    def _offer(self, delta: Path, csv: Path) -> dict:
        return {
            self.delta: gr.update(value=str(delta), interactive=True),
            self.csv: gr.update(value=str(csv), interactive=True),
            **self.unpacked(True),
        }

    def unpacked(self, possible: bool) -> dict:
        """Updates while the washed model, as it is on now, has not been packed."""
        return {
            self.pack: gr.update(visible=True, interactive=possible),
            self.washed: gr.update(visible=False, value=None),
        }

    def packed(self, path: Path) -> dict:
        """Updates that offer the packed model."""
        return {self.pack: gr.update(visible=False), self.washed: gr.update(visible=True, value=str(path))}

    def ask_again(
        self, figures: dict, rows: list[dict], strength: float | None, delta: Path, csv: Path
    ) -> dict:
        """Updates for another strength, None for the run's own: what was asked again, and its files.

        The table itself is drawn after that, see `draw`.
        """
        if strength is None:
            said, caption = headline(figures["before"], figures["after"], rows), words.ANSWERS
            about = words.STAY_INFO
        else:
            at = f"{strength:g}"
            said = together(words.HEADLINE_AT.format(strength=at, gone=gone(rows)))
            caption, about = words.ANSWERS_AT.format(strength=at), f"{words.STAY_INFO} {words.STAY_AS_MADE}"
        told = {self.headline: said, self.asked: (caption, rows), self.stay_about: about}
        return told | self._offer(delta, csv)

    def drawn(self) -> list:
        """The inputs of `draw`."""
        return [self.only, self.asked]

    @staticmethod
    def draw(only: bool, asked: tuple[str, list[dict]]) -> str:
        """The table of answers, as the box beside it wants it."""
        return answers(*asked, only) if asked[1] else gr.skip()  # none: the server has forgotten this page


def section() -> HappenedSection:
    with gr.Column(visible=False, elem_id="happened") as part:
        gr.Markdown(f"## {words.HAPPENED}")
        headline = gr.Markdown("", elem_id="headline")
        with gr.Row():
            with gr.Column(scale=3, min_width=480):
                gr.Markdown(words.ANSWERS_INFO)
                told = gr.HTML("", elem_id="answers", js_on_load=None)
                only = gr.Checkbox(False, label=words.ONLY, info=words.ONLY_INFO, elem_id="only")
            with gr.Column(scale=2, min_width=480):
                about = gr.Markdown(words.STAY_INFO, elem_id="stay-about")
                plot = gr.Plot(show_label=False, elem_id="stay-plot")
                with gr.Accordion(words.AS_TABLE, open=False, elem_id="stay-all"):
                    stay = gr.HTML("", elem_id="stay", js_on_load=None)
        with gr.Row():
            delta = gr.DownloadButton(words.DELTA, size="md", elem_id="delta")
            csv = gr.DownloadButton(words.CSV, size="md", elem_id="csv")
            questions = gr.DownloadButton(words.QUESTIONS, size="md", elem_id="questions")
            figures = gr.DownloadButton(words.FIGURES, size="md", elem_id="figures")
            pack = gr.Button(words.PACK, size="md", elem_id="pack")
            washed = gr.DownloadButton(words.WASHED, size="md", visible=False, elem_id="washed")
    state = gr.State(("", []))
    files = delta, csv, questions, figures, pack, washed
    return HappenedSection(part, headline, told, only, state, about, plot, stay, *files)


def headline(before: dict, after: dict, rows: list[dict]) -> str:
    """How much went, how much stayed, and what became of reasoning, in two or three sentences."""
    said = [gone(rows)]
    if before["retained"]["accuracy"]:
        said.append(stayed_share(before, after))
    if before["reasoning"]["n"]:
        said.append(reasoning(before["reasoning"], after["reasoning"]))
    return together(" ".join(said))


def stayed_share(before: dict, after: dict) -> str:
    """How much of what was known stayed: of all other facts, and of those nearest to the wash."""

    def share(name: str) -> str:
        return percent(min(1.0, after[name]["accuracy"] / before[name]["accuracy"]))

    said = {"share": share("retained"), "n": after["retained"]["n"]}
    if not before.get("same_subject", {}).get("accuracy"):  # none asked, or none known
        return words.STAYED.format(**said)
    return words.STAYED_NEAR.format(**said, near=share("same_subject"), m=after["same_subject"]["n"])


def gone(rows: list[dict]) -> str:
    """How many of the facts went, in a sentence."""
    n, known = sum(r["gone"] for r in rows), len(rows)
    return words.ALL_GONE.format(gone=f"{n:,}", known=f"{known:,}", are="is" if n == 1 else "are")


def reasoning(before: dict, after: dict) -> str:
    """Unchanged when the accuracy after lies in the interval before."""
    points = 100 * (after["accuracy"] - before["accuracy"])
    sign = "−" if points < -0.05 else "+" if points > 0.05 else "±"
    moved = {"points": words.POINTS.format(sign=sign, points=f"{abs(points):.1f}"), "n": after["n"]}
    if before["low"] <= after["accuracy"] <= before["high"]:
        return words.REASONING_SAME.format(**moved)
    return words.REASONING_MOVED.format(moved=words.FELL if points < 0 else words.ROSE, **moved)


def wire(happened: HappenedSection) -> None:
    """The box that leaves only what is still there."""
    happened.only.input(
        happened.draw,
        happened.drawn(),
        happened.answers,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def answers(caption: str, rows: list[dict], only: bool) -> str:
    """The answers as a table; with `only` those that are still right, or a word that there is none."""
    some = [r for r in rows if not (only and r["gone"])]
    return (
        table(caption, words.ANSWERS_HEAD, answer_table(some), more=words.MORE_ANSWERS)
        or f"<p>{words.NONE_LEFT}</p>"
    )


def answer_table(rows: list[dict]) -> list[list]:
    """Rows for ANSWERS_HEAD."""
    return [
        [
            r["prompt"],
            r["object"],
            r["before"] or words.NO_ANSWER,
            r["after"] or words.NO_ANSWER,
            sign(r),
            Shares(r["p_before"], r["p_after"]),
        ]
        for r in rows
    ]


def sign(row: dict) -> str:
    """A sign and a word for what became of an answer."""
    if row["gone"]:
        return words.GONE
    return words.STILL if row["before"] == row["after"] else words.CHANGED


def stay_table(before: dict, after: dict, scope: str) -> list[list[str]]:
    """Rows for STAY_HEAD: the rates, reasoning's families, perplexity."""
    rows = []
    for name in told(before):
        label, meaning = words.MEASURES[name]
        if name == "same_subject" and scope == "subjects":
            meaning = words.SAME_SUBJECT_GOES
        rows.append([label, *_pair(before[name], after[name]), meaning])
    for family, rate in before["families"].items():
        label = words.family(family)
        rows.append([label, *_pair(rate, after["families"][family]), words.MEANINGS.get(label, words.NONE)])
    if before.get("truth_ratio", {}).get("n"):
        label, meaning = words.MEASURES["truth_ratio"]
        was, now = before["truth_ratio"], after["truth_ratio"]
        ratios = (f"{x['accuracy']:.2g}" for x in (was, now))  # mostly far below 1
        rows.append([label, *ratios, f"{now['n']:,}", meaning])
    label, meaning = words.MEASURES["perplexity"]
    rows.append([label, number(before["perplexity"]), number(after["perplexity"]), words.NONE, meaning])
    return rows


def told(before: dict) -> list[str]:
    """Of RATES those that a run has measured: one of an earlier version has fewer."""
    return [name for name in RATES if name in before]


def stayed(before: dict, after: dict) -> list[tuple[str, dict, dict]]:
    """Rows of the plot: the rates and reasoning's families."""
    rows = [(words.MEASURES[name][0], before[name], after[name]) for name in told(before)]
    families = before["families"].items()
    return rows + [(words.family(k), r, after["families"][k]) for k, r in families]


def _pair(before: dict, after: dict) -> list[str]:
    return [rate(before), rate(after), f"{after['n']:,}"]


def rate(r: dict) -> str:
    """`98 % (95–99)`, or a dash where nothing was asked."""
    if not r["n"]:
        return words.NONE
    low, high = (f"{100 * r[end]:.0f}" for end in ("low", "high"))
    return words.RATE.format(mean=percent(r["accuracy"]), low=low, high=high)


def number(x: float | None) -> str:
    return words.NONE if x is None else f"{x:.2f}"
