"""The facts that a command is given: how they are read, and what of them a model cannot look at."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from .cli import Wrong
from .facts.fact import Fact
from .facts.read import Problem

SHOWN = 3  # facts, of those that a command is given


def read_facts(path: Path, lm=None, columns: str | None = None, rows: int | None = None):
    """The facts in a file of any size, or in a data set; `lm()` is a model that may split sentences."""
    from .facts.hub import NoSet, columns_of
    from .facts.read import UnreadableFile
    from .facts.sources import read_source
    from .probes.completion import read_with

    try:
        reader = partial(read_source, path, columns=columns_of(columns), max_rows=rows)
        return read_with(lm, reader) if lm else reader()
    except (UnreadableFile, NoSet) as e:
        raise Wrong(e) from e


def as_read(row: dict) -> str:
    """A row of `facts.read.describe` in a line."""
    said = row["problem"] or f"{row['subject']} | {row['relation']} | {row['object']}   ({row['how']})"
    return f"row {row['row']}: {said}"


def given(
    path: Path, lm: Callable, columns: str | None, rows: int | None = None, aloud: bool = True
) -> list[Fact]:
    """The facts that the model `lm()` can look at.

    `aloud` it is told how the first ones were read, and of the rows left out what is wrong.

    Raises `Wrong` where no fact is left.
    """
    from .facts.length import fitting, too_long
    from .facts.read import describe
    from .models.adapters import max_positions

    def tell(problems: Iterable[Problem]) -> None:
        for problem in problems if aloud else ():
            print(f"lethe: {path.name}: {problem}", file=sys.stderr)

    reading = read_facts(path, lm, columns, rows)
    tell(reading.problems)
    if not reading.facts:
        raise Wrong(f"{path.name} holds no fact that could be read")
    fault = too_long(lm().tokenizer, max_positions(lm().model.config))
    kept, long = fitting(reading.facts, fault)
    tell(long)
    if not kept:
        raise Wrong(f"{path.name} holds no fact that could be used")
    if aloud:
        print(f"{path.name}: {len(kept):,} facts ({reading.format}), read as", file=sys.stderr)
        for row in describe(replace(reading, facts=kept[:SHOWN], problems=())):
            print(f"  {as_read(row)}", file=sys.stderr)
        if len(kept) > SHOWN:
            print(f"  … all of them: python -m unlearning facts {path}", file=sys.stderr)
    return [r.fact for r in kept]
