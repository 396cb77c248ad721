"""Section 4: the three models side by side, in words, figures and raw answers; the frontier; the files."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..happened import number, rate
from ..tables import table
from ..text import safe
from ..words import NO_ANSWER, NONE, family, percent
from . import words
from .plots import frontier, side_by_side
from .run import FILES

ARMS = ("base", "vanilla", "lwf")


@dataclass(frozen=True)
class OutcomeSection:
    part: gr.Column
    made: gr.Markdown
    headline: gr.Markdown
    plot: gr.Plot
    side: gr.HTML
    answers: gr.HTML
    line: gr.Column
    equal: gr.Markdown
    frontier: gr.Plot
    files: dict[str, gr.DownloadButton]

    def outputs(self) -> list:
        own = [self.part, self.made, self.headline, self.plot, self.side, self.answers]
        return [*own, self.line, self.equal, self.frontier, *self.files.values()]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, figures: dict, made: str, folder: Path) -> dict:
        """Updates that show a finished run and offer its files. `made`: what was run, in words."""
        columns, gains, found = figures["columns"], figures["gain"], figures.get("frontier")
        new = {
            self.part: gr.update(visible=True),
            self.made: safe(made),
            self.headline: safe(headline(columns, gains)),
            self.plot: side_by_side(plot_rows(columns)),
            self.side: table(words.SIDE, words.SIDE_HEAD, side_table(columns, gains), words.HINTS),
            self.answers: table(
                words.ANSWERS, words.ANSWERS_HEAD, answer_table(figures["answers"]), words.HINTS
            ),
            self.line: gr.update(visible=bool(found)),
        }
        if found:
            n = {name: columns["base"][name]["n"] for name in ("learning", "retained")}
            new[self.equal] = safe(equal(found["equal_retention"]))
            new[self.frontier] = frontier(found["points"], n)
        return new | {
            button: gr.update(value=str(folder / FILES[name]), interactive=True)
            for name, button in self.files.items()
        }


def section() -> OutcomeSection:
    with gr.Column(visible=False, elem_id="outcome") as part:
        gr.Markdown(f"## {words.OUTCOME}")
        headline_ = gr.Markdown("", elem_id="learn-headline")
        made = gr.Markdown("", elem_id="learn-made")
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                plot = gr.Plot(show_label=False, elem_id="side-plot")
            with gr.Column(scale=3, min_width=320):
                side = gr.HTML("", elem_id="side", js_on_load=None)
                gr.Markdown(words.SIDE_INFO)
        answers = gr.HTML("", elem_id="learn-answers", js_on_load=None)
        with gr.Column(visible=False, elem_id="frontier") as line:
            gr.Markdown(f"### {words.FRONTIER}")
            equal_ = gr.Markdown("", elem_id="equal")
            gr.Markdown(words.FRONTIER_INFO)
            plot_line = gr.Plot(show_label=False, elem_id="frontier-plot")
        gr.Markdown(f"## {words.TAKE}")
        with gr.Row():
            files = {
                name: gr.DownloadButton(said, size="md", elem_id=f"take-{name}")
                for name, said in words.DOWNLOADS.items()
            }
    return OutcomeSection(part, made, headline_, plot, side, answers, line, equal_, plot_line, files)


def made(config: dict, task: str, forget: str) -> str:
    """What was run, in a sentence."""
    seeds = count(config["seeds"], "seed")
    return words.MADE.format(task=task, forget=forget, seeds=seeds, model=config["model"])


def count(n: int, one: str) -> str:
    return f"{n:,} {one}{'' if n == 1 else 's'}"


def points(x: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    sign = "−" if x < -0.0005 else "+" if x > 0.0005 else "±"
    return f"{sign}{abs(100 * x):.1f}"


def interval(g: dict) -> str:
    low, high = (points(g[end]).removeprefix("±") for end in ("low", "high"))
    return words.INTERVAL.format(low=low, high=high)


def verdict(g: dict) -> str:
    """ "more", "less", or "none" where the interval holds 0 or there is none."""
    if g["low"] is None:
        return "none"
    return "more" if g["low"] > 0 else "less" if g["high"] < 0 else "none"


def difference(g: dict) -> str:
    """A gain with its interval and n: over seeds where there are several, else over what was asked."""
    if g["low"] is None:
        inside = words.NO_INTERVAL
    else:
        inside = words.INSIDE_NOTHING if verdict(g) == "none" else words.INSIDE
        inside = inside.format(interval=interval(g))
    n = (words.N_SEEDS if len(g["per_seed"]) > 1 else words.N_ASKED).format(n=f"{g['n']:,}")
    return words.DIFFERENCE.format(points=points(g["mean"]), inside=inside, n=n)


def headline(columns: dict, gains: dict) -> str:
    """Did it help, what became of everything else, and was anything forgotten: three sentences."""
    said = [words.GAIN[verdict(gains["learning"])].format(difference=difference(gains["learning"]))]
    if gains["retained"]["n"]:
        said.append(words.KEPT[verdict(gains["retained"])].format(difference=difference(gains["retained"])))
    if columns["base"]["forgetting"]["n"]:
        shares = {arm: percent(columns[arm]["forgetting"]["accuracy"]) for arm in ARMS}
        said.append(words.FORGOTTEN.format(**shares))
    return " ".join(said)


def equal(g: dict) -> str:
    """The gain at equal retention, in a sentence."""
    if len(g["per_seed"]) == 1:
        return words.EQUAL["one"].format(points=points(g["mean"]))
    return words.EQUAL[verdict(g)].format(difference=difference(g))


def plot_rows(columns: dict) -> list[tuple[str, dict]]:
    """Rows for `side_by_side`: the four rates, and reasoning's families."""
    rows = [(said, {arm: columns[arm][name] for arm in ARMS}) for name, said in words.MEASURES.items()]
    return rows + [
        (family(name), {arm: columns[arm]["families"][name] for arm in ARMS})
        for name in columns["base"]["families"]
    ]


def side_table(columns: dict, gains: dict) -> list[list[str]]:
    """Rows for SIDE_HEAD."""
    names = list(words.MEASURES)
    rows = []
    for i, (label, found) in enumerate(plot_rows(columns)):
        g = gains[names[i]] if i < len(names) else None
        gain = NONE if g is None or g["mean"] is None else points(g["mean"])
        if g and g["low"] is not None:
            gain = words.SIDE_POINTS.format(points=gain, interval=interval(g))
        rows.append([label, *(rate(found[arm]) for arm in ARMS), gain, f"{found['base']['n']:,}"])
    rows.append([words.PERPLEXITY, *(number(columns[arm]["perplexity"]) for arm in ARMS), NONE, NONE])
    return rows


def answer_table(rows: list[dict]) -> list[list[str]]:
    """Rows for ANSWERS_HEAD."""
    return [
        [words.OF_WHAT[r["what"]], r["prompt"], r["right"], *(r[arm] or NO_ANSWER for arm in ARMS)]
        for r in rows
    ]
