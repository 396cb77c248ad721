"""What a wash costs at any size, as ratios measured in the same run beside the figures themselves.

    python -m unlearning bench size --model lethe-llama [--only targets facts shape scoring]

targets  a block at once against one fact at a time through the whole model, as the reference code does it
facts    seconds and peak memory of 100, 1,000 and 10,000 made-up facts, each in a process of its own
shape    one fact's cost on a big model of random weights, and the share of the device's matrix rate it uses
scoring  forgetting confidence against a training step

The made-up facts have subjects that nobody has heard of, so the model knows none of them, and the filter of
known facts is left out. Such a model says "unknown" of them by itself: here the end of text is the target.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .bench import phases, targets
from .events import Event, Phase
from .facts.fact import Fact
from .facts.world import relations, world
from .law.contexts import Groups, keys_and_residuals
from .law.settings import PAPER, Settings, settings_for
from .law.statistics import statistics
from .law.targets import find_block
from .law.update import ascend, initial, regularised
from .law.wash import wash
from .lwf.speed import scoring
from .models.adapters import adapter_for
from .models.loading import LM, bundled, load
from .pretrain.corpus import held_out, made_up_name
from .probes.knowledge import ask, knows

PARTS = ("targets", "facts", "shape", "scoring")
SIZES = (100, 1_000, 10_000)
ALL = 332_036  # facts that LAW's largest wash takes at once
BIG = {"gpt2-xl": ("gpt2", 48, 1600), "gpt-j-6b": ("gptj", 28, 4096)}
DTYPE = {"gpt2-xl": torch.float32, "gpt-j-6b": torch.bfloat16}  # both fit in 24 GB
Show = Callable[[Event], None]


def made_up(n: int) -> list[Fact]:
    """n facts of different made-up subjects, in the bundled relations' phrasings, with bundled answers."""
    r, ways = random.Random("made up"), relations()
    known = {f.subject for f in world()}
    answers = {w.name: [f.objects for f in world() if f.relation == w.name] for w in ways}
    facts: dict[str, Fact] = {}
    while len(facts) < n:
        way, subject = ways[len(facts) % len(ways)], made_up_name(r)
        if subject not in known:
            objects = r.choice(answers[way.name])
            facts.setdefault(subject, Fact(subject, way.name, objects, way.phrasings, way.paraphrases))
    return list(facts.values())


def size(
    lm: LM, show: Show, only: Sequence[str] = PARTS, sizes: Sequence[int] = SIZES, built: int = 0
) -> dict:
    """The parts in `only`, as plain JSON. `built`: layers that the big model is really built with; 0: all."""
    found: dict = {
        "size": True,
        "model": lm.name,
        "device": lm.device.type,
        "threads": torch.get_num_threads(),
    }
    if "targets" in only:
        found["targets"] = {}
        for position in ("subject", "prompt"):
            show(Phase("bench", f"targets at the {position}'s last token, batched and one at a time"))
            found["targets"][position] = targets(lm, position)
    if "facts" in only:
        ready(lm)
        found["facts"] = []
        for n in sizes:
            show(Phase("bench", f"{n} facts, in a process of its own"))
            found["facts"].append(apart(lm.name, n))
    if "shape" in only:
        found["shape"] = []
        for name in BIG:
            show(Phase("bench", f"a model of {name}'s shape"))
            found["shape"].append(shape(name, 10_000 if lm.device.type == "cuda" else 2, built, lm.device))
    if "scoring" in only:
        show(Phase("bench", "scoring against a training step"))
        found["scoring"] = scoring(lm)["seconds"]
    return found


def ready(lm: LM) -> None:
    """Measure what is measured once, so that it is on disk."""
    stats, settings = statistics(lm), settings_for(lm)
    stats.known  # noqa: B018
    stats.C(settings.layers)
    stats.C_keep(settings.layers, "prompt", [], settings.keep_phrasings)


def apart(name: str, n: int) -> dict:
    """`alone(name, n)` in a new process."""
    code = f"import json; from unlearning.bench_size import alone; print(json.dumps(alone({name!r}, {n})))"
    root = Path(__file__).resolve().parents[1]
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    return json.loads(done.stdout.splitlines()[-1])


def alone(name: str, n: int) -> dict:
    """Seconds by phase and bytes at the peak of washing n made-up facts, one phrasing each."""
    lm = load(name)
    settings, stats = (
        settings_for(lm, position="prompt", prefixes=0, phrasings=1, target="eos"),
        statistics(lm),
    )
    facts, rest = made_up(n), _memory("VmRSS")
    seconds = phases(wash(lm, facts, settings, stats))
    seconds.pop("", None)
    return {
        "facts": n,
        "seconds": seconds,
        "peak": _memory("VmHWM"),
        "rest": rest,
        "steps": settings.targets.steps,
    }


def _memory(name: str) -> int:
    """Bytes of this process, from /proc: VmHWM is the most it ever had. 0 where there is no such file."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(ln.split()[1]) * 1024 for ln in lines if ln.startswith(f"{name}:")), 0)


def shape(name: str, n: int, built: int, device: torch.device) -> dict:
    """The paper's settings on a model of this shape with random weights: n facts' targets and keys, these
    read again, the facts asked, and one layer's solves, in seconds; and the first as a share of the matrix
    rate measured beside them."""
    found, G, RK, settings = _searched(name, n, built, device)  # its model is given back by now
    f = len(G)
    X = torch.randn(f, 2 * f, dtype=torch.float64, device=device)
    C = regularised(X @ X.T / (2 * f), settings.ridge)
    del X

    def solves() -> None:
        ascend(initial(RK, G, C, settings.lam), G, C, settings.ascent)
        _wait(device)

    return found | {"solves_a_layer": _seconds(solves)}


def _searched(name: str, n: int, built: int, device: torch.device) -> tuple[dict, Tensor, Tensor, Settings]:
    """What n facts' targets and keys cost; their G = K Kᵀ (f, f) and R Kᵀ (d, f), float64; the settings."""
    from torch.utils.flop_counter import FlopCounterMode

    lm, settings = _random(name, built, device)
    facts = made_up(n)
    texts = held_out(20)[: settings.prefixes]
    groups = Groups(lm, facts, settings.position, settings.phrasings, texts)
    goal, last = [[lm.tokenizer.eos_token_id]] * n, settings.layers[-1]
    d, f = lm.adapter.weight(lm.model, 0).shape
    G, RK = (torch.zeros(m, f, dtype=torch.float64, device=device) for m in (f, d))
    counter = FlopCounterMode(display=False)

    def search() -> None:
        for block in groups:
            with counter:
                found = find_block(
                    lm, block, facts, goal, last, settings.targets, True, key=settings.layers[0]
                )
            G.addmm_(found.K, found.K.T)
            RK.addmm_(found.delta.double().T, found.K.T)
        _wait(device)

    seconds = _seconds(search)
    first = settings.layers[0]

    def read_again() -> None:
        for block in groups:
            keys_and_residuals(lm, block, first, last)
        _wait(device)

    def asked() -> None:
        knows(lm, ask(facts), facts)
        _wait(device)

    tokens = sum(map(len, groups[0].ids))
    cost = {
        "name": name,
        "layers": lm.adapter.n_layers(lm.model),
        "of": BIG[name][1],
        "dtype": str(lm.model.dtype).removeprefix("torch."),
        "facts": n,
        "seconds_a_fact": seconds / n,
        "again_a_fact": _seconds(read_again) / n,
        "asked_a_fact": _seconds(asked) / n,
        "edited": len(settings.layers),
        "operations_a_fact": counter.get_total_flops() / n,
        "rate": counter.get_total_flops() / seconds,
        "matrix_rate": matrix_rate(min(tokens, 4096), d, f, lm.model.dtype, device),
    }
    return cost, G, RK, settings


def _random(name: str, built: int, device: torch.device) -> tuple[LM, Settings]:
    """A model of this shape and the paper's settings for it. Only the configuration is real."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPTJConfig

    kind, layers, width = BIG[name]
    settings, n = PAPER[BIG[name]], built or layers
    if n <= settings.layers[-1]:
        raise ValueError(f"layers {settings.layers} are edited: build more than {settings.layers[-1]}")
    make = {"gpt2": GPT2Config, "gptj": GPTJConfig}[kind]
    heads = {"gpt2": width // 64, "gptj": 16}[kind]
    config = make(n_layer=n, n_embd=width, n_head=heads, n_positions=1024)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPE[name]).eval().requires_grad_(False)
    folder = bundled()["lethe-gpt2"]
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return LM(name, folder, model, tokenizer, adapter_for(model)), replace(settings, target="eos")


def matrix_rate(rows: int, d: int, f: int, dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of (rows, d) × (d, f), the fastest of ten."""
    a, b = (torch.randn(*s, device=device).to(dtype) for s in ((rows, d), (d, f)))

    def multiply() -> None:
        torch.mm(a, b)
        _wait(device)

    multiply()
    return 2 * rows * d * f / min(_seconds(multiply) for _ in range(10))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def projected(s: dict, facts: int = ALL) -> float:
    """Seconds of the whole wash of so many facts, from what a shape's parts took; all known, none of C.

    Asked before; the search with the first layer's keys; in each later layer all keys and residuals read
    again for the initial update, once more for the ascent, and every fact asked if it is still answered; and
    each layer's solves, whatever the facts. More than it takes: the ascent reads only what is left.
    """
    later = s["edited"] - 1
    a_fact = s["asked_a_fact"] * (1 + later) + s["seconds_a_fact"] + 2 * later * s["again_a_fact"]
    return facts * a_fact + s["edited"] * s["solves_a_layer"]


def table(result: dict) -> Iterator[str]:
    """The result as Markdown."""
    yield f"{result['model']}, {result['device']}, {result['threads']} threads:"
    yield ""
    yield "| what | figure | ratio |"
    yield "|---|---|---|"
    for position, r in result.get("targets", {}).items():
        ratio = r["one_at_a_time"] / r["batched"]
        yield (
            f"| targets of {r['facts']} facts, {position}'s last token: batched; one at a time "
            f"| {r['batched']:.2f} s; {r['one_at_a_time']:.1f} s | {ratio:.1f} × |"
        )
    yield from _facts_rows(result.get("facts", []))
    for s in result.get("shape", []):
        yield from _shape_rows(s)
    scored = result.get("scoring", {})
    for name, s in scored.items():
        yield f"| a sample: {name} | {1000 * s:.1f} ms | scoring is {scored['scored'] / s:.2f} × |"


def _facts_rows(rows: Sequence[dict]) -> Iterator[str]:
    for r in rows:
        total, first = sum(r["seconds"].values()), sum(rows[0]["seconds"].values())
        yield (
            f"| {r['facts']:,} made-up facts, seconds; the search's a fact | {total:.1f} s; "
            f"{1000 * r['seconds']['targets'] / r['facts']:.1f} ms | {total / first:.1f} × |"
        )
    for r in rows:
        yield (
            f"| {r['facts']:,} made-up facts, peak memory of the process | {r['peak'] / 1e6:.0f} MB "
            f"| {r['peak'] / rows[0]['peak']:.2f} × |"
        )


def _shape_rows(s: dict) -> Iterator[str]:
    what = f"{s['name']}, {s['layers']} of {s['of']} layers, {s['dtype']}, {s['facts']} facts"
    took = f"{s['seconds_a_fact']:.2f} s, {s['operations_a_fact'] / 1e12:.2f} TFLOP"
    share = f"{s['rate'] / s['matrix_rate']:.0%} of {s['matrix_rate'] / 1e9:.0f} GFLOP/s"
    yield f"| {what}: targets and keys of one | {took} | {share} |"
    yield f"| {s['name']}: initial update and ascent of one layer | {s['solves_a_layer']:.1f} s | |"
    yield (
        f"| {s['name']}: {ALL:,} facts, {s['edited']} layers, projected from {s['facts']:,} "
        f"| {projected(s) / 3600:,.1f} h | |"
    )
