"""What people bring, as the page shows it: facts read, whether the model knows them, and rows at fault."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from ..facts.fact import Fact
from ..facts.length import bytes_of, fitting
from ..facts.read import Problem, ReadFact, read_text
from ..models.adapters import positions_in
from ..models.loading import LM, folder_of
from ..probes.completion import read_with
from . import words

MAX_ROWS, MAX_BYTES = 2_000, 1_000_000
MARGIN = 16  # positions kept free for what the model says

Known = Mapping[tuple[str, str], bool]


@dataclass(frozen=True)
class Preview:
    """Facts and problems by row; `known` by fact key: does the model know it? None before it is asked."""

    facts: tuple[ReadFact, ...] = ()
    problems: tuple[Problem, ...] = ()
    known: Known | None = None

    def plain(self) -> list[Fact]:
        """The facts alone."""
        return [r.fact for r in self.facts]

    def table(self) -> list[list]:
        """Rows for PREVIEW_HEAD."""
        return [[r.row, triple(r.fact), self._knows(r.fact), r.how] for r in self.facts]

    def _knows(self, fact: Fact) -> str:
        if self.known is None:
            return words.OPEN
        return words.YES if self.known[fact.key] else words.NO

    def problem_table(self) -> list[list]:
        """Rows for PROBLEMS_HEAD."""
        return [[p.row, p.field or words.NONE, p.message] for p in self.problems]

    def line(self) -> str:
        """One sentence or two."""
        if not self.facts and not self.problems:
            return words.NOTHING_READ
        facts = words.count(len(self.facts), "fact", "facts")
        if self.known is None or not self.facts:
            said = words.COUNT_UNASKED.format(facts=facts)
        else:
            said = words.COUNT.format(facts=facts, known=sum(self.known.values()))
        if self.problems:
            rows = words.count(len(self.problems), "row", "rows")
            said += " " + words.COUNT_PROBLEMS.format(rows=rows)
        return said

    def with_unknown(self, unknown: list[dict]) -> "Preview":
        """The same with `known` filled in from an engine's list of the facts that it does not know."""
        without = {(u["subject"].lower(), u["relation"].lower()) for u in unknown}
        return replace(self, known={r.fact.key: r.fact.key not in without for r in self.facts})


def triple(fact: Fact) -> str:
    return words.TRIPLE.format(subject=fact.subject, relation=fact.relation, object=fact.object)


@cache
def positions(name: str) -> int:
    """How many tokens the model can look at, from its folder's config.json."""
    return positions_in(json.loads((folder_of(name) / "config.json").read_text(encoding="utf-8")))


def read(
    text: str,
    name: str,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    lm: Callable[[], LM] | None = None,
) -> Preview:
    """The facts in a text and its problems, for the model `name`; it is not asked what it knows.

    `lm()` gives that model, to split the sentences that nothing else does; called only if there are any.
    A fact whose question and answer have more bytes than the model has positions becomes a problem:
    no byte is more than a token. Raises `UnreadableFile`.
    """
    reader = partial(read_text, text, max_rows=max_rows, max_bytes=max_bytes)
    reading = read_with(lm, reader) if lm else reader()
    limit = positions(name) - MARGIN

    def fault(fact: Fact) -> str:
        length = bytes_of(fact)
        return words.TOO_LONG.format(length=length, limit=limit) if length > limit else ""

    facts, long = fitting(reading.facts, fault)
    return Preview(facts, tuple(sorted((*reading.problems, *long), key=lambda p: p.row)))


def asked(preview: Preview, lm: LM, before: Mapping[Fact, bool] | None = None) -> Preview:
    """The same with `known` filled in by the model, which is not asked again what it was asked `before`."""
    from ..probes.knowledge import ask, knows

    facts, found = preview.plain(), dict(before or {})
    new = [f for f in facts if f not in found]
    with lm.lock:
        found |= dict(zip(new, knows(lm, ask(new), new) if new else [], strict=True))
    return replace(preview, known={f.key: found[f] for f in facts})
