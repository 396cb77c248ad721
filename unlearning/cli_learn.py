"""The commands `tasks` and `learn`."""

import json
import sys
from contextlib import closing
from pathlib import Path

from .cli import FAILED, OK, Wrong, load_model, show, writing
from .events import to_json


def options(c) -> None:
    """Of `learn`, besides the model."""
    source = "NAME|FILE|hub:OWNER/NAME"
    c.add_argument("--task", required=True, metavar=source, help="what to learn")
    c.add_argument("--columns", metavar="FIELD=COLUMN,…", help="of files and sets: question=q,answer=a")
    c.add_argument("--forget-columns", metavar="FIELD=COLUMN,…", help="of --forget, where they are others")
    c.add_argument("--forget", required=True, metavar=f"{source}[,…]", help="what may be in the way")
    c.add_argument("--out", type=Path, required=True, metavar="DIR")
    c.add_argument("--seeds", type=int, default=5, metavar="N", help="how many: 0, 1, … are run")
    c.add_argument("--first-seed", type=int, default=0, metavar="S")
    c.add_argument("--select", choices=("high", "low", "random", "cosine"))
    c.add_argument("--ahead", action="store_true", help="all forgetting before learning: a control")
    c.add_argument("--loss", choices=("ga", "me"), help="gradient ascent or maximum entropy")
    c.add_argument(
        "--alpha", type=float, metavar="A", help="size of an unlearning step, as part of a learning step"
    )
    c.add_argument("--interval", type=int, metavar="N", help="learning steps to an unlearning step")
    c.add_argument("--portion", type=float, metavar="P", help="samples to unlearn, as part of those to learn")
    c.add_argument("--lr", type=float, help="learning rate")
    c.add_argument("--steps", type=int, metavar="N", help="learning steps")
    c.add_argument("--batch", type=int, metavar="B", help="samples a step")
    c.add_argument("--patience", type=int, metavar="N", help="stop early: N evaluations without a lower loss")
    c.add_argument("--samples", type=int, metavar="N", help="training samples a seed draws; 0 for all")
    c.add_argument("--subset", choices=("all", "mlp", "last", "lora"), help="the parameters that are trained")
    c.add_argument(
        "--no-frontier", action="store_true", help="leave out the other learning rates and the control"
    )


def tasks(args) -> int:
    """Names, sizes and descriptions of the bundled tasks, or how each row of a source is read."""
    from .tasks.bundled import FORGET_NAMES, LEARN, forgetting, learning

    if args.source:
        return _rows(args)
    every = {"learn": map(learning, LEARN), "forget": map(forgetting, FORGET_NAMES)}
    listed = {
        kind: [
            {"name": t.name, "title": t.title, "about": t.about, "train": len(t.train), "test": len(t.test)}
            for t in some
        ]
        for kind, some in every.items()
    }
    if args.json:
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        for kind, some in listed.items():
            for t in some:
                print(f"{kind}\t{t['name']}\t{t['about']}")
    return OK


def _rows(args) -> int:
    """How each row of a task's source is read."""
    from .facts.hub import NoSet, columns_of
    from .tasks.find import read_source
    from .tasks.read import BadTask

    try:
        found = read_source(args.source, columns=columns_of(args.columns))
    except (NoSet, BadTask) as e:
        raise Wrong(e) from e
    rows = [
        {"row": s.row, "question": s.sample.prompt, "answer": s.sample.answer, "how": s.how, "problem": ""}
        for s in found.samples
    ]
    rows += [
        {"row": p.row, "question": "", "answer": "", "how": "", "problem": p.message} for p in found.problems
    ]
    rows.sort(key=lambda r: r["row"])
    if args.json:
        print(
            json.dumps({"form": found.form and found.form.name, "rows": rows}, indent=1, ensure_ascii=False)
        )
    else:
        for r in rows:
            said = r["problem"] or f"{r['question']!r} -> {r['answer']!r}   ({r['how']})"
            print(f"row {r['row']}: {said}")
        print(f"{len(found.samples)} questions, {len(found.problems)} problems", file=sys.stderr)
    if not found.samples:
        raise Wrong(f"{args.source} holds no question that could be read")
    return OK


def learn(args) -> int:
    """Fine-tune plainly and with forgetting; write run.json, confidence.csv, answers.csv and both deltas."""
    from .facts.hub import columns_of
    from .lwf.settings import settings_for
    from .lwf.train import Diverged
    from .runs.learn import FILES, learn_job
    from .runs.log import RunLog
    from .runs.memory import NoRoom
    from .tasks.find import find_forgetting, find_learning
    from .tasks.task import fitting

    names = "select loss alpha interval portion lr steps batch patience samples subset".split()
    overrides = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    try:
        task = find_learning(args.task, columns=columns_of(args.columns))
        others = args.columns if args.forget_columns is None else args.forget_columns
        forget = find_forgetting(args.forget, columns=columns_of(others))
        lm = load_model(args)
        task, forget = fitting(lm, task), fitting(lm, forget)
        for t in (task, forget):
            for told in t.left_out:
                print(f"lethe: {t.name}: left out: {told}", file=sys.stderr)
            if not (t.train and t.test):
                raise Wrong(f"{t.name} has no questions left to learn or to be asked")
        settings = settings_for(lm, task.name, ahead=args.ahead, **overrides)
    except ValueError as e:  # a bad task among them
        raise Wrong(e) from e
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    with writing(args.out), closing(RunLog(args.out)) as log:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, "events.jsonl"):
            (args.out / name).unlink(missing_ok=True)
        try:
            for event in learn_job(
                lm, task, forget, settings, seeds, args.out, frontier=not args.no_frontier
            ):
                log.append(to_json(event))
                show(event)
        except ValueError as e:
            raise Wrong(e) from e
        except (Diverged, NoRoom) as e:
            print(f"lethe: {e}", file=sys.stderr)
            return FAILED
    record = json.loads((args.out / "run.json").read_text(encoding="utf-8"))
    for name in ("learning", "forgetting", "retained", "reasoning"):
        if record["lwf"][name]["n"]:
            columns = "\t".join(f"{record[c][name]['accuracy']:.3f}" for c in ("base", "vanilla", "lwf"))
            print(f"{name}\t{columns}\tn={record['lwf'][name]['n']}")
    print(f"gain\t{_interval(record['gain'])}")
    if "equal_retention" in record:
        print(f"gain at equal retention\t{_interval(record['equal_retention'])}")
    return OK


def _interval(g: dict) -> str:
    inside = "" if g["low"] is None else f" ({g['low']:+.3f} to {g['high']:+.3f})"
    return f"{g['mean']:+.3f}{inside}"
