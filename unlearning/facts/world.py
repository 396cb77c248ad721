"""The bundled world: readable tables of facts under `assets/world/`."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .fact import Fact

ASSETS = Path(__file__).resolve().parents[2] / "assets"
WORLD = ASSETS / "world"


@dataclass(frozen=True)
class Relation:
    """A column of a table, and the ways to say it. `phrasings` are for engines, `paraphrases` for probes."""

    name: str
    table: str
    column: str
    phrasings: tuple[str, ...]
    paraphrases: tuple[str, ...]


@cache
def relations() -> tuple[Relation, ...]:
    """All relations, in the order of `relations.json`."""
    rows = json.loads((WORLD / "relations.json").read_text(encoding="utf-8"))
    return tuple(
        Relation(r["name"], r["table"], r["column"], tuple(r["phrasings"]), tuple(r["paraphrases"]))
        for r in rows
    )


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of `assets/world/NAME.tsv`, one dict a subject."""
    with open(WORLD / f"{name}.tsv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def world() -> tuple[Fact, ...]:
    """Every bundled fact, relation by relation. Cells with several right answers separate them with "; "."""
    tables = {name: read_table(name) for name in dict.fromkeys(r.table for r in relations())}
    facts = []
    for r in relations():
        for row in tables[r.table]:
            if row[r.column]:
                answers = tuple(a.strip() for a in row[r.column].split(";"))
                facts.append(Fact(row["subject"], r.name, answers, r.phrasings, r.paraphrases))
    return tuple(facts)
