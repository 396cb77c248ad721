"""Section 1: the task to learn, those that may be forgotten, seeds, and what else decides a run."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import gradio as gr

from ...facts.read import UnreadableFile, text_of_file
from ...models.loading import folder_of
from ...tasks.task import Task, UnknownTask
from ..preview import MARGIN, positions
from ..tables import table
from ..text import safe
from ..words import NONE, PREVIEW, PROBLEMS_HEAD
from . import own, words

if TYPE_CHECKING:
    from ...lwf.settings import Settings
    from ...tasks.read import TaskReading

SETTINGS = ("select", "loss", "alpha", "interval", "portion", "lr", "steps", "samples", "subset", "ahead")
NUMBERS = {"alpha": float, "interval": int, "portion": float, "lr": float, "steps": int, "samples": int}


class NotReady(ValueError):
    """Something to choose is missing or cannot be; the message says what, in plain words."""


@dataclass(frozen=True)
class SetupSection:
    task: gr.Dropdown
    about: gr.Markdown
    own: own.OwnSection
    forget: gr.CheckboxGroup
    about_forget: gr.Markdown
    own_forget: own.OwnSection
    seeds: gr.Slider
    settings: dict[str, gr.components.Component]
    frontier: gr.Checkbox

    def inputs(self) -> list:
        """What `asked_for` is given, in its order, after the model's name."""
        chosen = [self.task, self.own.text, self.forget, self.own_forget.text]
        return [*chosen, self.seeds, self.frontier, *self.shown()]

    def tasks(self) -> list:
        """What `describe` is given, in its order, after the model's name."""
        return [self.task, self.own.text, self.forget, self.own_forget.text, self.settings["samples"]]

    def shown(self) -> list:
        """The settings that have a default for a task and a model."""
        return [self.settings[name] for name in SETTINGS]

    def outputs(self) -> list:
        return [*self.inputs(), *self.described()]

    def described(self) -> list:
        """All that `describe` updates."""
        return [self.about, *self.own.outputs(), self.about_forget, *self.own_forget.outputs()]

    def describe(self, name: str, task, text: str, forget, forget_text: str, samples, limits) -> dict:
        """Updates that say what the chosen tasks are, or what is wrong with them.

        `samples`: how many a seed draws of the learning task's; 0 or None for all.
        """
        rows = rows_forget = ""
        try:
            found = rows_of(text, name, limits) if task == words.OWN else None
            rows = as_read(found) if found else ""
            learned = own_task(found) if found else bundled_task(task)
            said = about(learned, words.ABOUT, samples or 0)
        except NotReady as error:
            said = str(error)
        try:
            found = rows_to_forget(forget, forget_text, name, limits)
            rows_forget = as_read(found) if found else ""
            letting_go = about(forgetting_task(forget, found), words.ABOUT_FORGET)
        except NotReady as error:
            letting_go = str(error)
        told = {self.about: safe(said), self.about_forget: safe(letting_go)}
        told |= self.own.show(task == words.OWN, rows)
        return told | self.own_forget.show(words.OWN in forget, rows_forget)

    def fill(self, settings: "Settings") -> dict:
        """Updates that show settings."""
        return {self.settings[name]: getattr(settings, name) for name in SETTINGS}

    def restore(self, config: dict) -> dict:
        """Updates that show what a run was asked."""
        same = {getattr(self, n): config[n] for n in ("task", "forget", "seeds", "frontier")}
        same |= {self.own.text: config["text"], self.own_forget.text: config.get("forget_text", "")}
        return same | {self.settings[name]: config["settings"][name] for name in SETTINGS}


@dataclass(frozen=True)
class Asked:
    """All that decides a run, read and found possible."""

    model: str
    task: Task
    forget: Task
    settings: "Settings"
    seeds: int
    frontier: bool


def section(shared) -> SetupSection:
    from ...tasks.bundled import FORGET_NAMES, LEARN, MIXED, forgetting, learning

    first = next(iter(LEARN))
    gr.Markdown(f"## {words.SETUP}")
    learn = [(learning(n).title, n) for n in LEARN] + [(words.OWN_TITLE, words.OWN)]
    task = gr.Dropdown(learn, value=first, label=words.TASK, info=words.TASK_INFO, elem_id="learn-task")
    start = defaults(shared.names[0], first)
    said = gr.Markdown(safe(about(learning(first), words.ABOUT, start.samples)), elem_id="learn-about")
    own_learn = own.section(shared, "learn-")
    forget = gr.CheckboxGroup(
        [*((forgetting(n).title, n) for n in FORGET_NAMES), (words.OWN_TITLE, words.OWN)],
        value=[MIXED],
        label=words.FORGET,
        info=words.FORGET_INFO,
        elem_id="learn-forget",
    )
    said_forget = gr.Markdown(safe(about(forgetting(MIXED), words.ABOUT_FORGET)), elem_id="forget-about")
    own_forget = own.section(shared, "forget-")
    seeds = gr.Slider(
        1, 10, value=1, step=1, label=words.SEEDS, info=words.SEEDS_INFO, buttons=[], elem_id="learn-seeds"
    )
    settings, frontier = _advanced(start)
    forgotten = forget, said_forget, own_forget
    return SetupSection(task, said, own_learn, *forgotten, seeds, settings, frontier)


def _advanced(start: "Settings") -> tuple[dict, gr.Checkbox]:
    """The fold with everything that has a default."""

    def labelled(name: str) -> dict:
        return {"label": words.LABELS[name], "info": words.INFOS[name], "elem_id": f"learn-{name}"}

    def number(name: str, step: float) -> gr.Number:
        whole = 0 if NUMBERS[name] is int else None
        return gr.Number(getattr(start, name), minimum=0, step=step, precision=whole, **labelled(name))

    with gr.Accordion(words.ADVANCED, open=False, elem_id="learn-advanced"):
        found = {
            "select": gr.Dropdown(words.SELECTIONS, value=start.select, **labelled("select")),
            "loss": gr.Radio(words.LOSSES, value=start.loss, **labelled("loss")),
        }
        with gr.Row():
            found["alpha"] = number("alpha", 0.01)
            found["interval"] = number("interval", 1)
        with gr.Row():
            found["portion"] = number("portion", 0.05)
            found["lr"] = number("lr", 0.0001)
        with gr.Row():
            found["steps"] = number("steps", 1)
            found["samples"] = number("samples", 1)
        found["subset"] = gr.Radio(words.SUBSETS, value=start.subset, **labelled("subset"))
        found["ahead"] = gr.Checkbox(start.ahead, **labelled("ahead"))
        frontier = gr.Checkbox(True, **labelled("frontier"))
    return found, frontier


def defaults(name: str, task: str) -> "Settings":
    """The settings that fit a model and a task. Nothing is loaded but what is kept beside the model."""
    from ...lwf.settings import settings_for

    return settings_for(SimpleNamespace(folder=folder_of(name)), "" if task == words.OWN else task)


def about(task: Task, said: str, samples: float = 0) -> str:
    """What a task is, and how much of it; of the training samples a seed draws `samples`, or all."""
    train = f"{len(task.train):,}"
    if 0 < samples < len(task.train):
        train = words.DRAWN.format(samples=f"{samples:.0f}", train=train)
    return said.format(about=task.about, train=train, test=f"{len(task.test):,}")


def learning_task(task: str, text: str, model: str, limits: tuple[int, int]) -> Task:
    """The bundled task of this name, or the one in a text; `limits`: rows and bytes. Raises `NotReady`."""
    return own_task(rows_of(text, model, limits)) if task == words.OWN else bundled_task(task)


def bundled_task(name: str | None) -> Task:
    """The bundled task of this name. Raises `NotReady`."""
    from ...tasks.bundled import learning

    try:
        return learning(name or "")
    except UnknownTask as error:
        raise NotReady(words.NO_TASK) from error


def rows_of(text: str, model: str, limits: tuple[int, int], empty: str = words.EMPTY_TEXT) -> "TaskReading":
    """How each row of a text is read, for this model. Raises `NotReady`, with `empty` for no text."""
    from ...tasks.read import BadTask, reading

    if not (text or "").strip():
        raise NotReady(empty)
    rows, size = limits
    plain = text.encode("utf-8", "replace").decode()  # halves of characters are none
    try:
        return reading(plain, max_bytes=size, max_rows=rows, longest=positions(model) - MARGIN)
    except BadTask as error:
        raise NotReady(_sentence(error)) from error


def own_task(found: "TaskReading") -> Task:
    """The task of what was read. Raises `NotReady`."""
    from ...tasks.read import BadTask, made

    try:
        return made(found, words.OWN)
    except BadTask as error:
        raise NotReady(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    message = str(error)
    return message[:1].upper() + message[1:] + "."


def as_read(found: "TaskReading") -> str:
    """Tables, as HTML: each row as it was read, and those that were left out."""
    rows = [[s.row, s.sample.prompt, ", ".join(s.sample.answers), s.how] for s in found.samples]
    left = [[p.row, p.field or NONE, p.message] for p in found.problems]
    return table(PREVIEW, words.ROWS_HEAD, rows) + table(words.ROWS_LEFT, PROBLEMS_HEAD, left)


def rows_to_forget(names: list[str], text: str, model: str, limits: tuple[int, int]) -> "TaskReading | None":
    """How one's own forgetting task is read, where it is among these names. Raises `NotReady`."""
    return rows_of(text, model, limits, words.EMPTY_FORGET) if words.OWN in names else None


def forgetting_task(names: list[str], read: "TaskReading | None" = None) -> Task:
    """The forgetting tasks as one, one's own, which was `read`, among them; of the bundled ones the mixture
    of all holds every other. Raises `NotReady`.
    """
    from ...tasks.bundled import MIXED, forgetting, joined

    bundled = [name for name in names if name != words.OWN]
    if not names:
        raise NotReady(words.NO_FORGET)
    try:
        tasks = [forgetting(MIXED if MIXED in bundled else ",".join(bundled))] if bundled else []
    except UnknownTask as error:
        raise NotReady(words.NO_FORGET) from error
    tasks += [own_task(read)] if read else []
    return tasks[0] if len(tasks) == 1 else joined(tasks)


def forgetting_title(names: list[str]) -> str:
    """What these forgetting tasks are called together. Raises `NotReady`."""
    bundled = [name for name in names if name != words.OWN]
    said = [forgetting_task(bundled).title] if bundled else []
    return " + ".join(said + [words.OWN_SHORT] * (words.OWN in names))


def text_of(path: str, shared) -> str:
    """The text in an uploaded file. Raises `NotReady`."""
    try:
        return text_of_file(Path(path), shared.limits[1])
    except UnreadableFile as error:
        raise NotReady(str(error)) from error


def asked_for(shared, model, task, text, forget, forget_text, seeds, frontier, *chosen) -> Asked:
    """The page's choices as a run that can be begun. Raises `NotReady`."""
    from ...lwf.outcome import MAX_SEEDS

    learn = learning_task(task, text, model, shared.limits)
    letting_go = forgetting_task(forget, rows_to_forget(forget, forget_text, model, shared.limits))
    settings = overridden(defaults(model, task), dict(zip(SETTINGS, chosen, strict=True)))
    if not isinstance(seeds, int | float) or seeds != int(seeds) or not 1 <= seeds <= MAX_SEEDS:
        raise NotReady(words.SEEDS_BAD.format(most=MAX_SEEDS))
    every = settings.steps * int(seeds)
    if every > shared.max_steps:
        some = f"{int(seeds)} seed{'s' if seeds > 1 else ''}"
        raise NotReady(
            words.TOO_MANY_STEPS.format(steps=settings.steps, seeds=some, all=every, most=shared.max_steps)
        )
    return Asked(model, learn, letting_go, settings, int(seeds), bool(frontier))


def overridden(settings: "Settings", chosen: dict) -> "Settings":
    """The settings with what was chosen in place of the defaults. Raises `NotReady`."""
    from ...lwf.settings import RANGES

    found = dict(chosen) | {"ahead": bool(chosen["ahead"])}
    for name, kind in NUMBERS.items():
        x, label = chosen[name], words.LABELS[name]
        if x is None:
            raise NotReady(words.NEEDED.format(label=label))
        low, high = RANGES[name]
        if not low <= x <= high:
            raise NotReady(words.WITHIN_LIMITS.format(label=label, low=low, high=high))
        if kind is int and x != int(x):
            raise NotReady(words.WHOLE.format(label=label))
        found[name] = kind(x)
    try:
        return replace(settings, **found)
    except (ValueError, TypeError) as error:  # a choice that is none of those offered
        raise NotReady(str(error)) from error
