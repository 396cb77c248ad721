"""The strength of a finished wash: a slider on the measured trade-off, with undo at its end.

What can be asked again in a moment follows the slider: the point on the curve at once, and then, with so
much of the wash on, the facts, the files to take away, the free question and the lens. What stayed is not
measured again, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..models.delta import BadDelta
from ..runs.job import UnknownRun
from ..runs.wash import ANSWERS, DELTA, save_answers, save_delta
from . import words
from .follow import look
from .happened import HappenedSection
from .plots import point_at, trade_off
from .room import with_room
from .state import NoModel, Shared
from .text import safe

GONE = (UnknownRun, NoModel, OSError, KeyError)  # a run that was deleted, or is of an earlier version
KEY = "lethe-on"  # in the browser's storage: how much of which run is on
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class TradeOffSection:
    part: gr.Column
    strength: gr.Slider
    undo: gr.Button
    below: gr.CheckboxGroup
    note: gr.Markdown
    line: gr.Markdown
    plot: gr.Plot
    kept: gr.BrowserState  # what `left` is told
    back: gr.State  # changes where a run is shown again with some of it off

    def outputs(self) -> list:
        shown = [self.strength, self.undo, self.below, self.note, self.line, self.plot]
        return [self.part, *shown, self.back]

    def hide(self) -> dict:
        return {self.part: gr.update(visible=False)}

    def show(self, record: dict, below: Sequence[tuple[str, str]], id: str = "", kept: object = None) -> dict:
        """Updates that show a finished run's curve, with as much of it on as was `left`.

        `below`: the washes that it was done on top of, as choices of the list of them: (in words, run).
        """
        made, ids = record["config"]["strength"], [run for _, run in below]
        strength, off = left(kept, id, made, ids)
        on = [run for run in ids if run not in off]
        return {
            self.part: gr.update(visible=True),
            self.below: gr.update(choices=list(below), value=on, visible=bool(below)),
            self.strength: strength,
            **self.move(record, strength, off),
            **({self.back: (strength, on)} if off or strength != made else {}),
        }

    def move(self, record: dict, strength: float, off: Sequence[str] = ()) -> dict:
        """Updates for another strength, or with other washes below the run off."""
        method = record["config"]["method"]
        said = words.NOT_MEASURED_WITHOUT if off else sentence(record["curve"], method, strength)
        return {
            self.undo: words.UNDO if strength else words.REDO,
            self.note: words.REDONE if strength else words.UNDONE,
            self.line: said,
            self.plot: trade_off(record["curve"], method, strength),
        }


def section() -> TradeOffSection:
    from ..law.experiment import STRENGTHS

    with gr.Column(visible=False, elem_id="trade-off") as part:
        gr.Markdown(f"### {words.TRADE_OFF}\n\n{words.TRADE_OFF_INFO}")
        with gr.Row(equal_height=True):
            strength = gr.Slider(
                0,
                max(STRENGTHS),
                value=1,
                step=min(STRENGTHS),
                label=words.STRENGTH,
                info=words.STRENGTH_INFO,
                buttons=[],
                scale=4,
                min_width=240,
                elem_id="strength",
            )
            undo = gr.Button(words.UNDO, scale=1, min_width=160, elem_id="undo")
        below = gr.CheckboxGroup([], label=words.BELOW, info=words.BELOW_INFO, visible=False, elem_id="below")
        note = gr.Markdown("", elem_id="undo-note")
        line = gr.Markdown("", elem_id="strength-line")
        plot = gr.Plot(show_label=False, elem_id="trade-off-plot")
    kept, back = gr.BrowserState({}, storage_key=KEY, secret=KEY), gr.State(None)
    return TradeOffSection(part, strength, undo, below, note, line, plot, kept, back)


def left(kept: object, id: str, made: float, below: Sequence[str]) -> tuple[float, list[str]]:
    """How strong a run was left on in this browser, and the washes `below` it that were taken back.

    `kept`: {"run", "strength", "off"} of the run that was last changed, whatever the browser makes of it; of
    any other run all is on, as strong as it was `made`.
    """
    if not isinstance(kept, dict) or not id or kept.get("run") != id:
        return made, []
    strength, off = kept.get("strength"), kept.get("off")
    told = isinstance(strength, int | float) and isinstance(off, list)
    return (nearest(strength, made), [run for run in below if run in off]) if told else (made, [])


def sentence(curve: Sequence[dict], method: str, strength: float) -> str:
    """What was measured at this strength, in words."""
    point = point_at(curve, method, strength)
    if point is None:
        return words.NOT_MEASURED
    kept = point["washed"]
    gone = kept | {"accuracy": 1 - kept["accuracy"], "low": 1 - kept["high"], "high": 1 - kept["low"]}
    said = [
        text.format(
            share=words.percent(r["accuracy"]),
            low=f"{100 * r['low']:.0f}",
            high=f"{100 * r['high']:.0f}",
            n=r["n"],
        )
        for name, text in words.MEASURED.items()
        if (r := {**point, "gone": gone}[name])["n"]
    ]
    at = words.AT_STRENGTH.format(strength=f"{strength:g}")
    return safe(words.together(f"{at} {'; '.join(said)}."))


def nearest(strength: float | None, made: float) -> float:
    """The measured strength closest to one that was asked for; the one the run was made with if none was."""
    from ..law.experiment import STRENGTHS

    if strength is None:
        return made
    return min((0.0, *STRENGTHS, made), key=lambda s: abs(s - strength))


def measured(shared: Shared, id: str, strength: float | None) -> float:
    """`nearest` for a finished run. Raises as `record`."""
    return nearest(strength, shared.record(id)["config"]["strength"])


def off(shared: Shared, id: str, on: Sequence[str]) -> list[str]:
    """The washes below a run that are not on. None where the run is gone."""
    try:
        return [run for run, _ in shared.below(id) if run not in on] if id else []
    except GONE:
        return []


def washes_on(
    shared: Shared, id: str, strength: float | None = None, on: Sequence[str] | None = None
) -> list[tuple[str, float]]:
    """The washes that are on with a finished run and how strong, the first first.

    Raises as `record` where one of them is gone.
    """
    own = [(id, s)] if (s := measured(shared, id, strength)) else []
    under = [w for w in shared.below(id) if on is None or w[0] in on]
    for run, _ in under:
        shared.record(run)
    return under + own


def choices(shared: Shared, id: str) -> list[tuple[str, str]]:
    """The washes below a run: what each is in words, and its id. Raises as `record`."""
    found = []
    for n, (run, strength) in enumerate(shared.below(id), 1):
        record = shared.record(run)
        facts = words.count(record["known"], "fact", "facts")
        method = words.METHOD_NAMES[record["config"]["method"]]
        first = look(shared.runner, run).figures["answers"][0]["prompt"]
        said = words.WASH_BELOW.format(n=n, facts=facts, method=method, strength=f"{strength:g}", first=first)
        found.append((said, run))
    return found


def named(shared: Shared, id: str, strength: float, off: Sequence[str]) -> str:
    """What tells a file of this much of a wash from others: `0.5`, or `0.5-without1`. Raises as `record`."""
    numbers = [n for n, (run, _) in enumerate(shared.below(id), 1) if run in off]
    return "-".join([f"{strength:g}", *(f"without{n}" for n in numbers)])


def packed(shared: Shared, id: str, strength: float, off: Sequence[str]) -> Path:
    """The whole washed model as a zip file in the run's folder, made once. Raises as `asked_at`."""
    from ..models.delta import total
    from ..models.export import zipped

    lm = shared.lm(shared.config(id)["model"])
    name = f"{Path(lm.name).name}-washed-{named(shared, id, strength, off)}"
    path = shared.runner.folder(id) / f"{name}.zip"
    if not path.exists():
        deltas = shared.deltas(id, lm, strength, off)
        zipped(lm, total(deltas, deltas[-1].about), path)
    return path


def asked_at(
    shared: Shared, id: str, strength: float, off: Sequence[str] = ()
) -> tuple[list[dict], Path, Path]:
    """The washed facts' answers with this much of a run's wash on; files with that delta and those answers.

    The washes below it are on too, but those in `off`; the delta is the sum.

    Raises `NoModel`, `UnknownRun`, `BadDelta`, `OSError`, and `KeyError` for a run of an earlier version.
    """
    from ..law.experiment import asked_again
    from ..models.delta import applied, total

    folder, figures = shared.runner.folder(id), look(shared.runner, id).figures
    if strength == measured(shared, id, None) and not off:
        return figures["answers"], folder / DELTA, folder / ANSWERS
    lm = shared.lm(shared.config(id)["model"])
    deltas = shared.deltas(id, lm, strength, off)
    with applied(lm, *deltas):
        rows = asked_again(lm, figures["answers"])
    name = named(shared, id, strength, off)
    files = folder / f"delta-{name}.safetensors", folder / f"answers-{name}.csv"
    save_delta(total(deltas, deltas[-1].about), files[0])
    save_answers(rows, files[1])
    return rows, *files


def wire(
    shared: Shared, part: TradeOffSection, happened: HappenedSection, run: gr.BrowserState, on_model: dict
) -> list:
    """The point follows the slider; then the facts are asked again. Undo is strength 0, redo what it was.

    Returns the events after which everything else that shows a wash has to be asked again.
    """

    def move(strength: float | None, id: str, on: list[str]) -> dict:
        try:
            record = shared.record(id)
        except GONE:
            return {part.line: words.TOO_OLD}
        strength, taken_back = nearest(strength, record["config"]["strength"]), off(shared, id, on)
        kept = {"run": id, "strength": strength, "off": taken_back}
        return part.move(record, strength, taken_back) | {part.kept: kept}

    @with_room
    def pack(strength: float | None, id: str, on: list[str]) -> dict:
        try:
            return happened.packed(packed(shared, id, measured(shared, id, strength), off(shared, id, on)))
        except GONE:
            return {part.line: words.TOO_OLD}
        except BadDelta as error:
            return {part.line: safe(str(error))}

    def toggle(strength: float | None, id: str) -> float:
        try:
            return 0.0 if strength else measured(shared, id, None)
        except GONE:
            return 0.0

    @with_room
    def again(strength: float | None, id: str, on: list[str]) -> dict:
        try:
            made, taken_back = measured(shared, id, None), off(shared, id, on)
            strength = nearest(strength, made)
            rows, delta, csv = asked_at(shared, id, strength, taken_back)
        except GONE:
            return {part.line: words.TOO_OLD}
        except BadDelta as error:
            return {part.line: safe(str(error))}
        other = None if strength == made and not taken_back else strength
        return happened.ask_again(look(shared.runner, id).figures, rows, other, delta, csv)

    inputs = [part.strength, run]
    offered = [part.line, happened.pack, happened.washed]
    happened.pack.click(pack, [*inputs, part.below], offered, show_progress="minimal", **on_model)
    toggled = part.undo.click(toggle, inputs, part.strength, **QUICK)

    def back(left: tuple[float, list[str]], id: str) -> dict:
        strength, on = left  # not from the slider, which may not be drawn yet
        return again(strength, id, on)

    def asked(start, ask=again, of=(*inputs, part.below), **options):
        event = start(
            ask,
            list(of),
            [part.line, *happened.outputs()],
            show_progress="hidden",
            **on_model,
            **options,
        )
        event.then(happened.draw, happened.drawn(), happened.answers, **QUICK)
        return event

    events = [asked(part.back.change, back, (part.back, run))]
    moved = [part.undo, part.note, part.line, part.plot, part.kept]
    last = {"trigger_mode": "always_last"}
    for start, options in ((part.strength.input, last), (part.below.input, last), (toggled.then, {})):
        start(move, [*inputs, part.below], moved, **QUICK, **options)
        events.append(asked(start, **options))
    return events
