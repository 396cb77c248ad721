"""The three functions that programs may call: preview, wash, ask. Everything else is the page's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from types import UnionType

import gradio as gr

from ..facts.read import UnreadableFile
from . import words
from .ask import both
from .follow import View, follow
from .preview import Preview, asked
from .room import with_room
from .state import NoModel, Shared
from .tradeoff import GONE, washes_on
from .wash import begin, chosen

NAMES = ("preview", "ask", "wash")


def add(shared: Shared, on_model: dict, following: dict) -> None:
    """Put the three into the page that is being built. `model` is "" for the default.

    `on_model` and `following`: options of the events that run the model, and of those that follow a run.
    """

    @with_room
    def preview(text: str, model: str = "") -> list[dict]:
        """Read facts: rows with subject, relation, object, how, known; and rows with a problem."""
        expect(str, text=text, model=model)
        return listed(asked(understood(text, model), shared.lm(model or shared.names[0])))

    async def wash(
        text: str,
        scope: str = "facts",
        method: str = "law",
        target: str = "unknown",
        strength: float = 1.0,
        seed: int = 0,
        model: str = "",
        position: str = "",
        layers: str = "",
        on: str = "",
    ) -> AsyncIterator[dict]:
        """Wash facts: yields how far the run is; the last has answers and record. Cancelling stops it.

        `on`: the run of an earlier wash, done with `model` too, that this one is done on top of.
        """
        expect(str, text=text, scope=scope, method=method, target=target, model=model)
        expect(str, position=position, layers=layers, on=on)
        expect(int | float, strength=strength, seed=seed)
        preview = await asyncio.to_thread(understood, text, model)
        try:
            choices = chosen(scope, method, target, seed, position, layers, strength)
        except ValueError as error:
            raise refusal(error) from error
        try:
            below = washes_on(shared, on) if on else []
        except GONE as error:
            raise refusal(words.NO_WASH_BELOW) from error
        name = model or shared.names[0]
        id, why = await asyncio.to_thread(begin, shared, preview, name, text, choices, below)
        if id is None:
            raise refusal(why)
        try:
            async for view in follow(shared.runner, id):
                yield told(id, view)
        finally:
            shared.runner.stop(id)

    @with_room
    def ask(prompt: str, run: str = "", model: str = "") -> dict:
        """What the base model says after a prompt, and what it says with the wash of a run on."""
        expect(str, prompt=prompt, run=run, model=model)
        known(model)
        before, after = both(shared, prompt, model or shared.names[0], run)
        return {"before": before, "after": after}

    def known(model: str) -> None:
        if model and model not in shared.names:
            raise refusal(NoModel(f"No model {model!r} here. There are: {', '.join(shared.names)}."))

    def understood(text: str, model: str) -> Preview:
        known(model)
        try:
            return shared.read(text, model or shared.names[0])
        except UnreadableFile as error:
            raise refusal(error) from error

    model_events = {k: v for k, v in on_model.items() if k != "api_visibility"}
    gr.api(preview, api_name="preview", **model_events)
    gr.api(ask, api_name="ask", **model_events)
    gr.api(wash, api_name="wash", **following)


def refusal(why: object) -> gr.Error:
    return gr.Error(str(why), print_exception=False)


def expect(kind: type | UnionType, **given: object) -> None:
    """Raise `gr.Error` naming the first argument that is not of the kind, which is text or a number."""
    for name, value in given.items():
        if not isinstance(value, kind) or isinstance(value, bool):
            raise refusal(words.WRONG_KIND.format(name=name, kind="text" if kind is str else "a number"))


def listed(preview: Preview) -> list[dict]:
    """A preview as plain JSON, in the order of the rows."""
    facts = [
        {
            "row": r.row,
            "subject": r.fact.subject,
            "relation": r.fact.relation,
            "object": r.fact.object,
            "how": r.how,
            "known": preview.known[r.fact.key],
        }
        for r in preview.facts
    ]
    return sorted(facts + [asdict(p) for p in preview.problems], key=lambda row: row["row"])


def told(id: str, view: View) -> dict:
    """A view as plain JSON."""
    plain = asdict(view)
    figures = plain.pop("figures")
    return {"run": id, **plain, "answers": figures.get("answers", [])}
