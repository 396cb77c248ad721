"""Section 3: every answer of the model's own by its forgetting confidence, and one of them in full.

The points are one control, worked like a slider: a click takes the nearest point, arrow keys go to the
next one of higher or lower value. The table's numbers are buttons that choose the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asinh
from pathlib import Path

import gradio as gr

from ..tables import hint, table, told
from ..text import safe, safe_html
from . import words

ROW, DOT = 9, 10  # px: between points that would lie on each other, and across one
COLUMNS = 90  # points side by side before they must be put on each other
LINEAR = 100.0  # a unit so large that cosines lie in the linear part
APART = 0.13  # of the width, between two numbers on the axis
MOST = 7  # points on each other; what is more is drawn over
PROMPT = 60  # characters of a prompt in a point's name

PICK = """
const pick = (i, send) => {
  for (const old of document.querySelectorAll('#strip .picked, #samples .picked')) {
    old.classList.remove('picked');
  }
  const dot = document.querySelector(`#strip [data-i="${i}"]`);
  const row = document.querySelector(`#samples [data-i="${i}"]`)?.closest('tr');
  for (const found of [dot, row]) found?.classList.add('picked');
  const points = document.querySelector('#strip [role=slider]');
  if (dot && points) {
    points.setAttribute('aria-valuenow', dot.dataset.at);
    points.setAttribute('aria-valuetext', dot.dataset.said);
  }
  if (send) trigger('pick', {i: Number(i)});
};
"""
STRIP_JS = (
    PICK
    + """
const dots = () => [...element.querySelectorAll('[data-i]')].sort((a, b) => a.dataset.at - b.dataset.at);
let later;
element.addEventListener('click', event => {
  const points = event.target.closest('[role=slider]');
  if (!points) return;
  let best = null, least = 900;  // 30 px away is no point
  for (const dot of dots()) {
    const box = dot.getBoundingClientRect();
    const x = box.x + box.width / 2 - event.clientX, y = box.y + box.height / 2 - event.clientY;
    if (x * x + y * y < least) { least = x * x + y * y; best = dot; }
  }
  if (best) pick(best.dataset.i, true);
});
element.addEventListener('keydown', event => {
  if (!event.target.closest('[role=slider]')) return;
  const all = dots(), here = all.findIndex(dot => dot.classList.contains('picked'));
  const step = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10};
  let to;
  if (event.key === 'Home') to = 0;
  else if (event.key === 'End') to = all.length - 1;
  else if (event.key in step) to = here < 0 ? all.length - 1 : here + step[event.key];
  else return;
  event.preventDefault();
  const dot = all[Math.max(0, Math.min(all.length - 1, to))];
  pick(dot.dataset.i, false);
  clearTimeout(later);  // while a key is held down, only where it stops is asked for
  later = setTimeout(() => trigger('pick', {i: Number(dot.dataset.i)}), 120);
});
"""
)
SAMPLES_JS = (
    PICK
    + """
element.addEventListener('click', event => {
  const one = event.target.closest('button[data-i]');
  if (one) pick(one.dataset.i, true);
  const head = event.target.closest('th button');
  if (!head) return;
  const column = head.closest('th').cellIndex, body = element.querySelector('tbody');
  const down = head.closest('th').getAttribute('aria-sort') === 'ascending';
  for (const th of element.querySelectorAll('th')) th.removeAttribute('aria-sort');
  head.closest('th').setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent.trim().toLowerCase();
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), number = row => Number(row.cells[column].dataset.key);
    const less = 'key' in a.cells[column].dataset ? number(a) - number(b) : x.localeCompare(y);
    return down ? -less : less;
  });
  body.append(...rows);
});
"""
)


@dataclass(frozen=True)
class ConfidenceSection:
    part: gr.Column
    line: gr.Markdown
    by: gr.Radio
    strip: gr.HTML
    detail: gr.HTML
    samples: gr.HTML
    csv: gr.DownloadButton

    def outputs(self) -> list:
        return [self.part, self.line, self.by, self.strip, self.detail, self.samples, self.csv]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, rows: list[dict], how: str, folder: Path) -> dict:
        """Updates that show D_self, of which some were selected `how`."""
        by = "cosine" if how == "cosine" else "score"
        return {
            self.part: gr.update(visible=True),
            self.line: safe(sentence(rows, how)),
            self.by: by,
            self.strip: strip(rows, by, how),
            self.detail: f"<p>{safe_html(words.NO_POINT)}</p>",
            self.samples: samples(rows),
            self.csv: gr.update(value=str(folder), interactive=True),
        }


def section() -> ConfidenceSection:
    choices = [(said, name) for name, said in words.BY.items()]
    with gr.Column(visible=False, elem_id="in-the-way") as part:
        gr.Markdown(f"## {words.CONFIDENCE}")
        line = gr.Markdown("", elem_id="confidence-line")
        by = gr.Radio(choices, value="score", label=words.SHOW_BY, info=words.SHOW_BY_INFO, elem_id="show-by")
        strip_ = gr.HTML("", elem_id="strip", js_on_load=STRIP_JS)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                detail_ = gr.HTML("", elem_id="detail", js_on_load=None)
            with gr.Column(scale=3, min_width=320):
                samples_ = gr.HTML("", elem_id="samples", js_on_load=SAMPLES_JS)
                csv = gr.DownloadButton(words.CONFIDENCE_CSV, size="md", elem_id="confidence-csv")
    return ConfidenceSection(part, line, by, strip_, detail_, samples_, csv)


def sentence(rows: Sequence[dict], how: str) -> str:
    """How many answers, how many right, how many chosen and how."""
    chosen = sum(r["selected"] for r in rows)
    picked = words.PICKED[how].format(n=f"{chosen:,}")
    right = f"{sum(r['right'] for r in rows):,}"
    return words.OWN_SAID.format(all=f"{len(rows):,}", right=right, picked=picked)


@dataclass(frozen=True)
class Scale:
    """From values to shares of the width: linear near 0, logarithmic beyond `unit`, either way."""

    low: float
    high: float
    unit: float

    def at(self, x: float) -> float:
        bent = [asinh(v / self.unit) for v in (self.low, x, self.high)]
        return 0.5 if bent[0] == bent[2] else (bent[1] - bent[0]) / (bent[2] - bent[0])

    def ticks(self) -> list[float]:
        """0 and round values, the largest first, that are not too near to each other."""
        powers = [float(f"1e{k}") for k in range(9, -10, -1)]
        sizes = (
            [x for p in powers for x in (p, -p)] if self.unit != LINEAR else [-1.0, -0.5, 0.5, 1.0, -0.1, 0.1]
        )
        found: list[float] = []
        for x in (0.0, *sizes):
            if self.low <= x <= self.high and all(abs(self.at(x) - self.at(y)) > APART for y in found):
                found.append(x)
        return sorted(found)


def scale(values: Sequence[float], by: str) -> Scale:
    """A scale that holds all values; the cosine's is linear."""
    low, high = min(values), max(values)
    if by == "cosine":
        edge = max(abs(low), abs(high)) or 1.0
        return Scale(-edge, edge, LINEAR)
    sizes = sorted(abs(v) for v in values)
    return Scale(low, high, max(sizes[len(sizes) // 4], sizes[-1] / 1e6) or 1.0)


def cut(rows: Sequence[dict], by: str, how: str) -> float | None:
    """Half way between the last that was chosen and the first that was not; None where there is no such."""
    if how == "random" or (how == "cosine") != (by == "cosine"):
        return None
    inside, outside = ([r[by] for r in rows if r["selected"] is chosen] for chosen in (True, False))
    if not inside or not outside:
        return None
    if how == "high":
        return (min(inside) + max(outside)) / 2
    return (max(inside) + min(outside)) / 2


def strip(rows: Sequence[dict], by: str, how: str) -> str:
    """The answers as points by value, a row for each task; shapes say which were chosen."""
    values = [r[by] for r in rows]
    where = scale(values, by)
    rank = {i: n for n, i in enumerate(sorted(range(len(rows)), key=lambda i: values[i]), 1)}
    line = cut(rows, by, how)
    top, through = ("", "") if line is None else (_mark(where.at(line), t, "cut") for t in (words.CUT, ""))
    bands = ""
    for task in dict.fromkeys(r["task"] for r in rows):
        mine = [i for i, r in enumerate(rows) if r["task"] == task]
        head = words.STRIP_TASK.format(task=task, chosen=sum(rows[i]["selected"] for i in mine), n=len(mine))
        places = [where.at(values[i]) for i in mine]
        levels = swarm(places)
        height = ROW * (max(levels) + 1) + DOT
        dots = "".join(
            _dot(rows[i], i, rank[i], len(rows), by, x, height - DOT / 2 - ROW * level - 4)
            for i, x, level in zip(mine, places, levels)
        )
        band = f'<div class="band" style="height:{height}px">{through}{dots}</div>'
        bands += f"<p>{safe_html(head)}</p>{band}"
    ticks = "".join(_mark(where.at(x), f"{x:g}".replace("-", "−"), "tick") for x in where.ticks())
    name = f"{words.BY[by]}. {words.STRIP_KEYS}"
    state = f'aria-valuemin="1" aria-valuemax="{len(rows)}" aria-valuenow="{len(rows)}"'
    return (
        f"<h3>{safe_html(words.STRIP)}</h3>"
        f'<div class="points" role="slider" tabindex="0" aria-label="{safe_html(name)}" {state} '
        f'aria-valuetext="{safe_html(words.NO_POINT)}">'
        f'<div aria-hidden="true"><div class="axis top">{top}</div>{bands}'
        f'<div class="axis">{ticks}</div></div></div>'
        f'<p class="small">{safe_html(words.AXIS[by])}. {safe_html(words.STRIP_KEYS)}.</p>'
    )


def swarm(places: Sequence[float]) -> list[int]:
    """A level for each point, so that those at the same place stand on each other."""
    counts: dict[int, int] = {}
    levels = [0] * len(places)
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        column = round(places[i] * COLUMNS)
        levels[i] = min(counts.get(column, 0), MOST - 1)
        counts[column] = counts.get(column, 0) + 1
    return levels


def _mark(x: float, text: str, kind: str) -> str:
    return f'<span class="{kind}" style="left:{100 * x:.2f}%">{safe_html(text)}</span>'


def _dot(row: dict, i: int, rank: int, n: int, by: str, x: float, y: float) -> str:
    """A point; `rank` is its place among all by value."""
    what = words.CHOSEN if row["selected"] else words.NOT_CHOSEN
    prompt = row["prompt"] if len(row["prompt"]) <= PROMPT else row["prompt"][:PROMPT] + "…"
    said = words.POINT_TEXT.format(
        i=rank,
        n=n,
        task=row["task"],
        prompt=prompt,
        answer=row["answer"],
        name=words.BY[by],
        value=short(row[by]),
        what=what,
    )
    kind = "dot chosen" if row["selected"] else "dot"
    return (
        f'<i class="{kind}" data-i="{i}" data-at="{rank}" data-said="{safe_html(said)}" '
        f'style="left:{100 * x:.2f}%;top:{y:.0f}px"></i>'
    )


def short(x: float) -> str:
    """A number with three digits and a true minus; no power of ten below a million."""
    said = f"{x:.3g}"
    if "e+" in said and abs(x) < 1e6:
        said = f"{float(said):.0f}"
    return said.replace("-", "−")


def samples(rows: Sequence[dict]) -> str:
    """All answers as a table that is sorted in the browser; the highest confidence first."""
    name = safe_html(words.SAMPLES)
    heads = "".join(
        f'<th scope="col"{hint(h, words.HINTS)}><button type="button">{safe_html(h)}</button></th>'
        for h in words.SAMPLES_HEAD
    )
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["score"])
    body = "".join(_sample(i, rows[i]) for i in order)
    return (
        f'<h3>{name}</h3><div class="lethe-table" role="region" tabindex="0" aria-label="{name}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="small">{safe_html(words.SORT_INFO)}</p>{told(words.SAMPLES_HEAD, words.HINTS)}'
    )


def _sample(i: int, row: dict) -> str:
    """A row for SAMPLES_HEAD."""
    label = safe_html(words.DETAIL.format(i=i + 1))
    number = f'<button type="button" data-i="{i}" aria-label="{label}">{i + 1}</button>'
    cells = [(number, f' data-key="{i}"')]
    cells += [(safe_html(row[name]), "") for name in ("task", "prompt", "answer")]
    cells += [((words.RIGHT if row["right"] else words.WRONG)[0], "")]
    cells += [(short(row[name]), f' data-key="{row[name]!r}"') for name in ("score", "cosine")]
    cells += [(words.CHOSEN if row["selected"] else words.NOT_CHOSEN, "")]
    held = "".join(
        f'<td data-head="{safe_html(h)}"{key}><span>{text}</span></td>'
        for h, (text, key) in zip(words.SAMPLES_HEAD, cells, strict=True)
    )
    return f"<tr>{held}</tr>"


def detail(rows: Sequence[dict], i: int) -> str:
    """One answer with its text, its confidence and the three terms."""
    row = rows[i]
    shown = {name: row[name] for name in ("prompt", "answer", "task")}
    shown["right"] = words.RIGHT if row["right"] else words.WRONG
    shown["selected"] = words.CHOSEN if row["selected"] else words.NOT_CHOSEN
    shown |= {n: short(row[n]) for n in ("logp", "score", "own", "cross", "constant", "cosine")}
    shown["whole"] = f"{row['score'] + row['constant']:.8g}".replace("-", "−")
    told = [[said, shown[name], meaning] for name, (said, meaning) in words.DETAILS.items()]
    return table(words.DETAIL.format(i=i + 1), words.DETAIL_HEAD, told)
