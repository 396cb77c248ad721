"""The recorded matrix as tables: the same ones in the README, from the command, and on the page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..probes.stats import paired
from ..tasks.bundled import MIXED
from .outcome import ARMS, LWF, RATES, VANILLA, at_retention, mean

RECORD = "forgetting.json"  # in a model's folder
MORE, LESS = "▲", "▼"


@dataclass(frozen=True)
class Table:
    """Differences are in points, with the paired 95 % interval over seeds; ▲ or ▼ where 0 lies outside it."""

    caption: str
    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join([f"*{self.caption}*", "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def recorded(folder: Path) -> dict | None:
    """The matrix that was recorded on the model in a folder, or None."""
    path = folder / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def gains(result: dict, against: str = VANILLA) -> list[dict]:
    """Of each two tasks, arm and rate, each measure less that of another arm there, paired over seeds."""
    by = {(c["task"], c["forget"], c["arm"], c["lr"]): c for c in result["cells"]}
    rows = []
    for (task, forget, arm, lr), cell in by.items():
        other = by.get((task, forget, against, lr))
        if arm == against or other is None:
            continue
        row = {"task": task, "forget": forget, "arm": arm, "lr": lr}
        for measure in RATES:
            pairs = zip(cell[measure], other[measure], strict=True)
            row[measure] = paired([a - b for a, b in pairs if a is not None and b is not None]).to_json()
        rows.append(row)
    return rows


def counts(result: dict) -> dict[str, int]:
    """Pairs of tasks, and in how many LWF learned "more" than vanilla, "less", or neither surely, "none"."""
    signs = [sign(g["learning"]) for g in _of_lwf(result).values()]
    return {
        "pairs": len(signs),
        "more": signs.count(MORE),
        "less": signs.count(LESS),
        "none": signs.count(""),
    }


def tables(result: dict) -> Iterator[Table]:
    """LWF less vanilla in learning and in retained facts; then, of reroutings, what else was run."""
    plain = {(g["task"], g["forget"], g["arm"], g["lr"]): g for g in gains(result)}
    yield _pairs(result, "Learned: vanilla's accuracy, and LWF less vanilla", "learning")
    yield _pairs(result, "Other facts retained: vanilla's accuracy, and LWF less vanilla", "retained")
    if rows := _selections(result, plain):
        head = ["learn, forgetting a mixture", "arm", "learned", "less random", "retained"]
        yield Table("Ways to select, and controls, each less vanilla", head, rows)
    if rows := _frontiers(result):
        head = ["learn", "forget", "learning rate", "vanilla: learned, retained", "LWF", "at equal retention"]
        yield Table("Learning rates, and LWF less vanilla where that retains as much", head, rows)


def _of_lwf(result: dict) -> dict[tuple[str, str], dict]:
    """The gain at each task's own learning rate, by learning and forgetting task."""
    rates = {name: settings["lr"] for name, settings in result["settings"].items()}
    return {
        (g["task"], g["forget"]): g for g in gains(result) if g["arm"] == LWF and g["lr"] == rates[g["task"]]
    }


def _pairs(result: dict, caption: str, measure: str) -> Table:
    found = _of_lwf(result)
    learn, forget = (list(dict.fromkeys(pair[i] for pair in found)) for i in (0, 1))
    rows = []
    for name in learn:
        lr = result["settings"][name]["lr"]
        plain = [
            mean(c[measure]) for c in result["cells"] if (c["task"], c["arm"], c["lr"]) == (name, VANILLA, lr)
        ]
        low, high = (f"{100 * x:.1f}" for x in (min(plain), max(plain)))  # what is retained differs by pair
        said = low if low == high else f"{low} to {high}"
        rows.append([name, said, *(points(found[name, f][measure]) for f in forget)])
    return Table(caption, ["learn \\ forget", "vanilla", *forget], rows)


def _selections(result: dict, plain: dict) -> list[list[str]]:
    """On the mixed pool, each way to select and each control: against vanilla, and against random."""
    random = {(g["task"], g["arm"], g["lr"]): g for g in gains(result, "random") if g["forget"] == MIXED}
    rows = []
    for (task, forget, arm, lr), g in plain.items():
        if forget != MIXED or (task, "low", lr) not in random:
            continue
        less = random.get((task, arm, lr))
        name = f"{LWF}, high" if arm == LWF else arm
        rows.append(
            [
                task,
                name,
                points(g["learning"]),
                points(less["learning"]) if less else "",
                points(g["retained"]),
            ]
        )
    return rows


def _frontiers(result: dict) -> list[list[str]]:
    """Learning and retained accuracy at each rate, and LWF less vanilla at equal retention."""
    groups: dict[tuple[str, str], dict[tuple[str, float], dict]] = {}
    for c in result["cells"]:
        groups.setdefault((c["task"], c["forget"]), {})[c["arm"], c["lr"]] = c
    rows = []
    for (task, forget), group in groups.items():
        rates = sorted(lr for arm, lr in group if arm == VANILLA)
        if sum(arm == LWF for arm, _ in group) < 2:
            continue
        for lr in rates:
            both = [
                ", ".join(f"{100 * mean(group[arm, lr][m]):.1f}" for m in ("learning", "retained"))
                for arm in ARMS
            ]
            less = paired(equally_retained(group, rates, lr)).to_json()
            rows.append([task, forget, f"{lr:g}", *both, points(less)])
    return rows


def equally_retained(group: dict, rates: Sequence[float], lr: float) -> list[float]:
    """Of each seed, LWF's learning accuracy at a rate less vanilla's where that retains as much."""
    out = []
    for k, (learned, retained) in enumerate(zip(group[LWF, lr]["learning"], group[LWF, lr]["retained"])):
        curve = [(group[VANILLA, x]["retained"][k], group[VANILLA, x]["learning"][k]) for x in rates]
        if learned is not None:
            out.append(learned - at_retention(curve, retained))
    return out


def sign(r: dict) -> str:
    """▲ or ▼ where the interval is above or below 0, else nothing."""
    if r["low"] is None:
        return ""
    return MORE if r["low"] > 0 else LESS if r["high"] < 0 else ""


def points(r: dict) -> str:
    """A difference in points, its interval, and its sign where 0 lies outside that."""
    if r["accuracy"] is None:
        return "diverged"
    inside = "" if r["low"] is None else f" ({100 * r['low']:+.1f} to {100 * r['high']:+.1f})"
    return f"{100 * r['accuracy']:+.1f}{inside} {sign(r)}".rstrip()
