"""The command line: `python -m unlearning COMMAND`. Results on stdout, progress on stderr.

Exit codes: 0 done, 1 the run failed, 2 the command or an input is wrong, 3 nothing to wash
(the model knows none of the facts), 130 interrupted.
"""

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

from .events import Event, Figure, Phase, Progress, Warn, to_json
from .steps import watched

OK, FAILED, WRONG, NOTHING, INTERRUPTED = 0, 1, 2, 3, 130
SOURCE = "FILE|hub:OWNER/NAME[:CONFIG][@SPLIT]"  # where facts come from


class Wrong(Exception):
    """Bad input; the message is for the person."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    try:
        with watched(lambda progress: progress and show(progress)):
            return args.run(args)
    except Wrong as e:
        print(f"lethe: {e}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("lethe: interrupted; nothing was changed", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    from . import cli_learn, cli_probe  # which need this module

    p = argparse.ArgumentParser(
        prog="python -m unlearning", description="Wash facts out of a language model."
    )
    commands = p.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, text):
        c = commands.add_parser(name, help=text, description=text)
        c.set_defaults(run=run)
        return c

    c = command("models", models, "list the bundled models, or some of the hub")
    c.add_argument("--hub", action="store_true", help="a choice of models of the hub, and what they want")
    c.add_argument("--json", action="store_true")
    c = command("facts", facts, "show how a file of facts is read")
    c.add_argument("file", type=Path, metavar=SOURCE)
    _columns(c)
    _rows(c)
    c.add_argument("--json", action="store_true")
    c.add_argument("--model", metavar="M", help="a model that splits the sentences that nothing else does")
    c = command("probe", cli_probe.probe, "measure a model: facts, reasoning, fluency, tasks of lm-eval")
    _model(c)
    c.add_argument("--facts", type=Path, metavar=SOURCE)
    _columns(c)
    _rows(c)
    cli_probe.options(c)
    c = command("wash", wash, "wash facts out of a model")
    _model(c)
    c.add_argument("--facts", type=Path, required=True, metavar=SOURCE, help="what to wash")
    _columns(c)
    _rows(c)
    c.add_argument("--out", type=Path, required=True, metavar="DIR")
    c.add_argument("--method", choices=("law", "memit", "scaled"), default="law")
    c.add_argument("--scope", choices=("facts", "subjects", "relation"), default="facts")
    c.add_argument("--target", metavar="prior|eos|TEXT", help="what to say instead")
    c.add_argument("--strength", type=float, default=1.0, metavar="S", help="a factor on the finished update")
    c.add_argument("--layers", type=int, nargs="+", metavar="L", help="MLPs to edit")
    c.add_argument("--position", choices=("subject", "prompt"), help="lookup at whose last token")
    c.add_argument("--on", type=Path, metavar="DELTA", help="an earlier wash, to be done on top of")
    c.add_argument("--seed", type=int, default=0)
    c = command("tasks", cli_learn.tasks, "list the bundled tasks, or show how one of yours is read")
    c.add_argument("source", nargs="?", metavar="NAME|FILE|hub:OWNER/NAME")
    _columns(c)
    c.add_argument("--json", action="store_true")
    c = command("learn", cli_learn.learn, "fine-tune on a task while forgetting what is in its way")
    _model(c)
    cli_learn.options(c)
    c = command("export", export, "write a washed model as a folder that transformers loads")
    _model(c)
    c.add_argument("--delta", type=Path, required=True, metavar="FILE")
    c.add_argument("--out", type=Path, required=True, metavar="DIR")
    c = command("trace", trace, "find out where a model recalls facts, and keep it with the model")
    _model(c)
    c.add_argument("--seed", type=int, default=0)
    c = command("pretrain", pretrain, "make a bundled model from the tables")
    c.add_argument("--out", type=Path, required=True, metavar="DIR")
    c.add_argument("--arch", choices=("llama", "gpt2"), default="llama")
    c.add_argument("--recall", choices=("free", "subject", "prompt"), default="prompt", help="training mask")
    c.add_argument("--seed", type=int, default=0)
    c.add_argument("--tokens", type=int, metavar="N")
    c.add_argument("--hidden", type=int, metavar="F", help="width of the MLP")
    c.add_argument("--evaluate-every", type=int, metavar="TOKENS")
    c.add_argument("--without", type=Path, metavar="FILE", help="leave these facts out of the corpus")
    c.add_argument("--threads", type=int, default=1)
    c = command("bench", bench, "the README's tables")
    _model(c)
    c.add_argument(
        "what", nargs="?", choices=("quality", "speed", "size", "forgetting", "scoring"), default="speed"
    )
    c.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    c.add_argument("--only", nargs="+", metavar="CASE", help="some of the cases, parts, or learning tasks")
    c.add_argument("--sizes", type=int, nargs="+", metavar="N", help="of size: how many facts")
    c.add_argument("--built", type=int, default=0, metavar="L", help="of size: layers the big model gets")
    c.add_argument("--out", type=Path, metavar="FILE", help="the figures as JSON (else bench-WHAT.json)")
    return p


def _model(c) -> None:
    c.add_argument(
        "--model",
        metavar="M",
        help="a bundled name, a folder, or owner/name[@revision] of the hub; else the first bundled one",
    )


def _rows(c) -> None:
    c.add_argument(
        "--rows", type=int, metavar="N", help="read the first N (else all; of a data set on the hub 50,000)"
    )


def _columns(c) -> None:
    c.add_argument(
        "--columns", metavar="FIELD=COLUMN,…", help="which column is which field: subject=person,object=city"
    )


def load_model(args, device: str | None = None):
    from safetensors import SafetensorError

    from .models.adapters import UnknownArchitecture
    from .models.hub import NoModel
    from .models.loading import UnknownModel, bundled, load

    name = args.model or next(iter(bundled()), "")
    try:
        return load(name, device, show=show)
    except (UnknownModel, NoModel, UnknownArchitecture) as e:
        raise Wrong(e) from e
    except (OSError, ValueError, SafetensorError) as e:  # the first line of a library's words
        raise Wrong(f"{name} cannot be loaded: {str(e).strip().splitlines()[0]}") from e


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever cannot be written within the block is the person's to know."""
    try:
        yield
    except OSError as e:
        raise Wrong(f"{path} cannot be written: {e.strerror or e}") from e


def models(args) -> int:
    """Name and folder of each bundled model; or a choice of models of the hub, and what they want."""
    from .models.loading import BUNDLED, bundled

    listed = [{"name": n, "folder": str(f)} for n, f in bundled().items()]
    if args.hub:
        listed = json.loads((BUNDLED / "hub.json").read_text(encoding="utf-8"))
    if args.json:
        print(json.dumps(listed, indent=1))
    else:
        for model in listed:
            print("\t".join(model.values()))
    return OK


def facts(args) -> int:
    """How each row of a file is read."""
    from .cli_facts import as_read, read_facts
    from .facts.read import describe

    reading = read_facts(args.file, args.model and partial(load_model, args), args.columns, args.rows)
    rows = describe(reading)
    if args.json:
        print(json.dumps({"format": reading.format, "rows": rows}, indent=1, ensure_ascii=False))
    else:
        for r in rows:
            print(as_read(r))
        print(
            f"{len(reading.facts)} facts, {len(reading.problems)} problems ({reading.format})",
            file=sys.stderr,
        )
    if not reading.facts:
        raise Wrong(f"{args.file.name} holds no fact that could be read")
    return OK


def wash(args) -> int:
    """Wash, measure, and write delta.safetensors, run.json, events.jsonl, answers.csv and figures.csv.

    A run that was cut off goes on where it was. Under `accelerate launch` the processes share the facts.
    """
    from .cli_facts import given
    from .law.experiment import BROUGHT, RATES
    from .law.settings import because
    from .law.team import team
    from .law.trace import named
    from .models.delta import load_delta
    from .runs.cost import Costs
    from .runs.log import RunLog
    from .runs.memory import NoRoom
    from .runs.wash import FILES, Unwashable, wash_job

    us, device = team()
    model = cache(partial(load_model, args, device))
    facts = given(args.facts, model, args.columns, args.rows, us.first)
    lm = model()
    settings = us.agree(_settings(lm, facts, args) if us.first else None)
    if isinstance(settings, ValueError):
        raise Wrong(settings)
    try:
        on = [load_delta(args.on, lm)] if args.on else []
    except ValueError as e:  # a bad delta
        raise Wrong(e) from e
    job = partial(wash_job, lm, facts, settings, args.out, on=on, resumable=True, team=us)
    if not us.first:
        with suppress(Unwashable):  # the first one says it, and writes all there is to write
            deque(job(), maxlen=0)
        return OK
    where = f"{named(settings.layers)} at the {settings.position}'s last token"
    print(f"editing {where}: {because(lm, args.layers is not None)}", file=sys.stderr)
    with writing(args.out), closing(RunLog(args.out)) as log:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, "events.jsonl"):  # of an earlier wash into this folder
            (args.out / name).unlink(missing_ok=True)
        try:
            for event in Costs().learning(lm, facts, settings, bool(on), job()):
                log.append(to_json(event))
                show(event)
        except Unwashable as e:
            print(f"lethe: {e}", file=sys.stderr)
            return NOTHING
        except NoRoom as e:
            print(f"lethe: {e}", file=sys.stderr)
            return FAILED
    record = json.loads((args.out / "run.json").read_text(encoding="utf-8"))
    before, after = record["before"], record["after"]
    for name in (*RATES, *BROUGHT, "truth_ratio"):
        if after[name]["n"]:
            print(
                f"{name}\t{before[name]['accuracy']:.3f}\t{after[name]['accuracy']:.3f}\tn={after[name]['n']}"
            )
    print(f"perplexity\t{before['perplexity']:.3f}\t{after['perplexity']:.3f}")
    return OK


def _settings(lm, facts, args):
    """The settings of a wash; or, since other processes wait for a word, the ValueError that says why not."""
    from .law.settings import settings_for
    from .runs.wash import placed

    overrides = {"method": args.method, "strength": args.strength, "seed": args.seed}
    for name in ("target", "layers", "position"):
        if getattr(args, name) is not None:
            overrides[name] = getattr(args, name)
    for event in placed(lm, facts, args.layers):
        show(event)
    try:
        return settings_for(lm, args.scope, **overrides)
    except ValueError as e:
        return e


def export(args) -> int:
    """The model with the delta put on, as a `from_pretrained` folder in the base's own dtype."""
    from .models.delta import BadDelta, load_delta
    from .models.export import export_washed

    lm = load_model(args)
    try:
        delta = load_delta(args.delta, lm)
    except BadDelta as e:
        raise Wrong(e) from e
    with writing(args.out):
        export_washed(lm, delta, args.out)
    print(args.out)
    return OK


def trace(args) -> int:
    """Trace the model and write trace.json into its folder."""
    from .law import trace as tracing
    from .law.statistics import statistics

    lm = load_model(args)
    try:
        for event in tracing.trace(lm, statistics(lm).known, seed=args.seed):
            if isinstance(event, Progress):
                show(event)
            else:
                with writing(lm.folder):
                    tracing.save(lm, event)
                print(json.dumps(asdict(event), indent=1))
    except ValueError as e:  # too few facts are known
        print(f"lethe: {e}", file=sys.stderr)
        return NOTHING
    return OK


def pretrain(args) -> int:
    """Tables -> corpus -> tokenizer -> weights."""
    import torch

    from .cli_facts import read_facts
    from .models.loading import load
    from .pretrain import card
    from .pretrain.train import Recipe, train

    torch.set_num_threads(args.threads)
    hidden = args.hidden or {"llama": 2048, "gpt2": 3072}[args.arch]
    recipe = Recipe(arch=args.arch, recall=args.recall, seed=args.seed, hidden=hidden)
    recipe = replace(recipe, tokens=args.tokens or recipe.tokens)
    recipe = replace(recipe, evaluate_every=args.evaluate_every or recipe.evaluate_every)
    without = frozenset(r.fact.key for r in read_facts(args.without).facts) if args.without else frozenset()
    try:
        for event in train(recipe, args.out, without):
            show(event)
    except ValueError as e:
        raise Wrong(e) from e
    card.write(load(str(args.out)), card.command_of(asdict(recipe), args.out))
    print(args.out)
    return OK


def bench(args) -> int:
    """The tables of the README."""
    from . import bench as benches
    from .lwf.matrix import matrix
    from .lwf.speed import scoring
    from .tasks.bundled import LEARN

    lm = load_model(args)
    if args.what == "quality":
        result = benches.quality(lm, args.seeds, args.only, show)
    elif args.what == "speed":
        result = benches.speed(lm, show)
    elif args.what == "size":
        from . import bench_size

        sizes = args.sizes or bench_size.SIZES
        result = bench_size.size(lm, show, args.only or bench_size.PARTS, sizes, args.built)
    elif args.what == "scoring":
        result = scoring(lm)
    else:
        had = json.loads(args.out.read_text(encoding="utf-8")) if args.out and args.out.exists() else None
        for result in matrix(lm, args.seeds, show, args.only or tuple(LEARN), had=had):
            if args.out:
                args.out.write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(benches.table(result))
    if args.what != "forgetting":
        out = args.out or Path(f"bench-{args.what}.json")
        with writing(out):
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return OK


def _cost(facts: int, exact: bool, result: float, curve: float, memory: int) -> str:
    return (
        f"{'' if exact else 'at most '}{facts} facts: about {result:.0f} s to the result, then {curve:.0f} s "
        f"for the trade-off curve; about {memory / 1e6:.0f} MB beside the model"
    )


def show(event: Event) -> None:
    """One event on stderr: progress overwrites its line on a terminal, and is thinned out elsewhere."""
    terminal = sys.stderr.isatty()
    if isinstance(event, Phase):
        print(f"\r\033[K{event.text}" if terminal else event.text, file=sys.stderr)
    elif isinstance(event, Progress) and terminal:
        print(f"\r\033[K  {event.done}/{event.total} {event.text}", end="", file=sys.stderr, flush=True)
    elif isinstance(event, Progress) and "tokens/s" in event.text:
        print(f"  {event.done}/{event.total} {event.text}", file=sys.stderr)
    elif isinstance(event, Warn):
        print(f"warning: {event.text}", file=sys.stderr)
    elif isinstance(event, Figure) and event.name == "accuracy":
        parts = {k: v for k, v in event.value.items() if k != "boost"}
        print(json.dumps(parts), file=sys.stderr)
    elif isinstance(event, Figure) and event.name == "forecast":
        print(_cost(**event.value), file=sys.stderr)
    elif isinstance(event, Figure) and event.name == "moments":
        more = ", enough: twice as many changed C by 2 % at most" if event.value["converged"] else ""
        print("C from {tokens:,} tokens of {source}".format(**event.value) + more, file=sys.stderr)
