"""The command `probe`: a model's own figures, or tasks of lm-eval; with a delta before and after it."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from .cli import OK, Wrong, load_model, show
from .cli_facts import given
from .events import Phase


def options(c) -> None:
    """Of `probe`, besides the model and the facts."""
    c.add_argument("--delta", type=Path, metavar="FILE", help="a wash: measure before and after it")
    c.add_argument(
        "--tasks",
        nargs="*",
        metavar="TASK",
        help="tasks of lm-eval instead: lambada_openai, hellaswag and arc_easy, or those named",
    )
    c.add_argument("--samples", type=int, default=500, metavar="N", help="questions drawn from each task")
    c.add_argument("--seed", type=int, default=0, help="of the draw")
    c.add_argument("--json", action="store_true", help="of --tasks: JSON in place of a table")


def probe(args) -> int:
    """Every figure that can be had without a wash, or accuracies in lm-eval's tasks; as JSON or a table."""
    if args.tasks is not None:
        return _tasks(args)
    from .law.experiment import Sizes, measure, probe_sets
    from .law.statistics import statistics
    from .models.delta import edited

    lm = load_model(args)
    delta = _delta(args, lm)
    stats = statistics(lm)
    asked = given(args.facts, lambda: lm, args.columns, args.rows) if args.facts else stats.known
    sets = replace(probe_sets(asked, stats, Sizes(), 0), retained=[], same_subject=[])

    def figures(lm) -> dict:
        with lm.lock:
            found = measure(lm, sets)
        found = {"facts": found.pop("washed"), **found}
        return {k: v for k, v in found.items() if k not in ("same_subject", "retained")}

    found = {"before": figures(lm), "after": figures(edited(lm, [delta]))} if delta else figures(lm)
    print(json.dumps({"model": lm.name, "bundled_facts_known": len(stats.known), **found}, indent=1))
    return OK


def _delta(args, lm):
    """The delta that was named, or None."""
    from .models.delta import BadDelta, load_delta

    try:
        return load_delta(args.delta, lm) if args.delta else None
    except BadDelta as e:
        raise Wrong(e) from e


def _tasks(args) -> int:
    """The tasks of lm-eval; the data first, which is small beside a model."""
    from .models.delta import edited
    from .probes.harness import USUAL, NoBenchmark, differences, figures, find, measure

    if args.facts:
        raise Wrong("--facts is for the model's own figures, not for --tasks")
    if args.samples < 1:
        raise Wrong("--samples must be 1 or more")
    try:
        drawn = find(args.tasks or list(USUAL), args.samples, args.seed)
        lm = load_model(args)
        delta = _delta(args, lm)
        before = measure(lm, drawn, show)
        if delta:
            show(Phase("after", "once more, washed"))
            after = measure(edited(lm, [delta]), drawn, show)
    except NoBenchmark as e:
        raise Wrong(e) from e
    told = {}
    for name, d in drawn.items():
        told[name] = {"n": len(d.indices), "of": d.of, "before": figures(before[name])}
        if delta:
            told[name]["after"] = figures(after[name])
            told[name]["difference"] = differences(before[name], after[name])
    if args.json:
        made = {"model": lm.name, "lm_eval": version("lm_eval"), "seed": args.seed}
        print(json.dumps(made | {"tasks": told}, indent=1))
    else:
        print("\n".join(_lines(told)))
    return OK


def _lines(told: dict) -> list[str]:
    """task, metric, before, and with a delta after and difference, n: with tabs between."""
    out = []
    for name, t in told.items():
        for metric in t["before"]:
            columns = [_cell(t[when][metric]) for when in ("before", "after") if when in t]
            if metric in t.get("difference", {}):
                columns.append(_cell(t["difference"][metric], "+"))
            elif "after" in t:
                columns.append(f"{t['after'][metric] - t['before'][metric]:+.3f}")
            out.append("\t".join([name, metric, *columns, f"n={t['n']} of {t['of']}"]))
    return out


def _cell(figure: dict | float, sign: str = "") -> str:
    if not isinstance(figure, dict):
        return f"{figure:.3f}"
    ends = "" if figure["low"] is None else f" ({figure['low']:{sign}.3f} to {figure['high']:{sign}.3f})"
    return f"{figure['accuracy']:{sign}.3f}{ends}"
