"""LAMBADA, HellaSwag, ARC-easy and other tasks of lm-evaluation-harness, asked of a loaded model.

The harness (`lm-eval`, an extra) words the questions and judges the answers; the weights are those in memory,
washed or not. What is asked is drawn by seed from a task's whole split, test or else validation.
"""

import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ..events import Event, Phase, Progress, Warn
from ..facts.hub import why
from ..models.adapters import max_positions
from ..models.loading import LM
from .stats import rate

USUAL = {"lambada_openai": "lambada", "hellaswag": "hellaswag", "arc_easy": "arc"}  # and their folders there
KINDS = ("loglikelihood", "multiple_choice")  # tasks whose answers are given, not generated
RATES = ("acc", "acc_norm")
LOGP = "perplexity"  # the harness's name, for one document, of log p of the right continuation, in nats
AT_ONCE = 256  # texts between two words on how far it is
LOGITS = 2**19  # rows times vocabulary a pass: half a GB of float32 where texts have 256 tokens

Outcomes = dict[str, list[float]]  # by metric, of each document drawn: acc and acc_norm 0 or 1, LOGP nats


class NoBenchmark(ValueError):
    """The harness or a task of it cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Drawn:
    """A task of the harness and the documents to ask: their numbers in its split of `of`, ascending."""

    task: Any
    indices: tuple[int, ...]
    of: int


def draw(name: str, of: int, samples: int, seed: int) -> tuple[int, ...]:
    """`samples` of `of` numbers, or all, ascending; more samples of the same seed hold those of fewer."""
    order = list(range(of))
    random.Random(f"{name} {seed}").shuffle(order)
    return tuple(sorted(order[:samples]))


def find(names: Sequence[str], samples: int, seed: int) -> dict[str, Drawn]:
    """Tasks by name, each with its documents drawn: names of lm-eval, its groups, or YAML files of one's own.

    Raises `NoBenchmark` for a name that is none, data that cannot be fetched, and a task without accuracy.
    """
    manager = _manager(names)
    found = {}
    for name in names:
        try:
            tasks = manager.load([name])["tasks"]
        except Exception as e:  # of yaml, jinja2, datasets, huggingface_hub, httpx, pyarrow
            raise NoBenchmark(f"{name} {why(e)}") from e
        for task_name, task in tasks.items():
            if task.OUTPUT_TYPE not in KINDS or "acc" not in task.aggregation():
                raise NoBenchmark(f"{task_name} is neither a choice nor a last word, with an accuracy")
            of = len(task.eval_docs)
            found[task_name] = Drawn(task, draw(task_name, of, samples, seed), of)
    return found


def _manager(names: Sequence[str]):
    """lm-eval's finder of tasks, which knows all the names; it takes seconds to read all there are, so only
    where there is one that is not usual. Raises `NoBenchmark`."""
    try:
        import lm_eval  # noqa: F401 (itself first: its parts may have been imported before)
        from lm_eval import tasks
    except ImportError as e:
        told = f"{', '.join(names)} need lm-eval, which cannot be imported ({e})"
        raise NoBenchmark(f"{told}: pip install -r requirements-eval.txt") from e
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    named = [name for name in names if not Path(name).is_file()]
    if set(named) <= set(USUAL):
        here = Path(tasks.__file__).parent
        return tasks.TaskManager(include_defaults=False, include_path=[here / f for f in USUAL.values()])
    manager = tasks.TaskManager()
    if unknown := [name for name in named if name not in manager.task_index]:
        others = "others, or the path of a YAML file"
        raise NoBenchmark(f"lm-eval has no task {unknown[0]!r}: there are {', '.join(USUAL)}, {others}")
    return manager


def measure(
    lm: LM, drawn: dict[str, Drawn], show: Callable[[Event], None] = lambda e: None
) -> dict[str, Outcomes]:
    """Outcomes by task, in the order of the indices. Holds the model's lock, so `edited(lm, deltas)` will do.

    `show` is told how far it is. Whatever else is written to stderr meanwhile, in any thread, is dropped: the
    harness's bars and warnings. Raises `NoBenchmark` for a task that cannot be asked of this model.
    """
    from lm_eval.evaluator import evaluate

    with lm.lock, _hushed(show) as told:
        harness = _wrapped(lm, told)
        out = {}
        for name, d in drawn.items():
            told(Phase("benchmark", f"{name}: {len(d.indices)} of {d.of}"))
            d.task.set_fewshot_seed(0)  # the same examples before and after, where a task gives any
            asked = list(d.indices)  # ascending: the harness goes through the split, and numbers by this list
            try:
                found = evaluate(harness, {"tasks": {name: d.task}}, samples={name: asked}, bootstrap_iters=0)
            except ValueError as e:  # among them: needs pictures, or code that would have to be trusted
                raise NoBenchmark(f"{name}: {e}") from e
            rows = found["samples"][name]
            if [row["doc_id"] for row in rows] != asked:
                raise NoBenchmark(f"{name} is judged in several ways at once, which is not read here")
            out[name] = {m: [float(r[m]) for r in rows] for m in (*RATES, LOGP) if m in rows[0]}
    return out


def figures(outcomes: Outcomes) -> dict:
    """Rates with their intervals, and exp(−mean log p) of what was right, as plain JSON."""
    out: dict = {m: rate(outcomes[m]).to_json() for m in RATES if m in outcomes}
    if LOGP in outcomes:
        out[LOGP] = math.exp(-sum(outcomes[LOGP]) / len(outcomes[LOGP]))
    return out


def differences(before: Outcomes, after: Outcomes) -> dict:
    """after − before, document by document, with bootstrap intervals over the documents, as plain JSON."""
    return {
        m: rate([a - b for a, b in zip(after[m], before[m], strict=True)], share=False).to_json()
        for m in RATES
        if m in before
    }


@contextmanager
def _hushed(show: Callable[[Event], None]) -> Iterator[Callable[[Event], None]]:
    """The harness's bars and warnings go nowhere; what the yielded `show` writes goes where it went."""
    err = sys.stderr

    def told(event: Event) -> None:
        with redirect_stderr(err):
            show(event)

    with redirect_stderr(StringIO()):
        yield told


def _wrapped(lm: LM, show: Callable[[Event], None]):
    """The loaded model as the harness's own; softmax in float32, since bfloat16 would make ties."""
    from lm_eval.models.huggingface import HFLM

    class Loaded(HFLM):
        def _loglikelihood_tokens(self, requests, disable_tqdm=False, override_bs=None):
            if (longest := max(len(more) for _, _, more in requests)) > self.max_length:
                raise ValueError(f"an answer has {longest} tokens, the model looks at {self.max_length}")
            long = sum(len(context) + len(more) > self.max_length + 1 for _, context, more in requests)
            if long:
                cut = f"{long} of {len(requests)} texts lose their beginnings"
                show(Warn(f"{cut}: the model looks at {self.max_length} tokens"))
            out = []
            for at in range(0, len(requests), AT_ONCE):
                out += super()._loglikelihood_tokens(requests[at : at + AT_ONCE], disable_tqdm, override_bs)
                show(Progress(len(out), len(requests), "texts scored"))
            return out

    rows = max(1, min(32, LOGITS // len(lm.tokenizer)))
    positions = max_positions(lm.model.config)
    return Loaded(
        lm.model, tokenizer=lm.tokenizer, batch_size=rows, max_length=positions, softmax_dtype="float32"
    )
