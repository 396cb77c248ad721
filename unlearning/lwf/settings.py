"""What decides a run of LWF: the paper's names, and values for small models where the paper's do not fit."""

import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.loading import LM

FOUND = "lwf.json"  # in a model's folder: by task, "" for all, the values that measured best on it

SELECTIONS = ("high", "low", "random", "cosine")
LOSSES = ("ga", "me")
SUBSETS = ("all", "mlp", "last", "lora")
RANGES = {
    "samples": (0, 10**7),
    "lr": (0, 1),
    "steps": (1, 10**7),
    "batch": (1, 10_000),
    "accumulate": (1, 10_000),
    "alpha": (0, 100),
    "interval": (1, 10**6),
    "portion": (0, 1),
    "unlearn_batch": (1, 10_000),
    "warmup": (0, 1),
    "weight_decay": (0, 10),
    "clip": (0, 1e6),
    "last": (1, 1000),
    "rank": (1, 4096),
    "patience": (0, 10**6),
    "chunk": (1, 10_000),
    "own": (1, 10**6),
    "temperature": (0, 10),
    "seed": (0, 2**63 - 1),
    "evaluations": (1, 1000),
}


@dataclass(frozen=True)
class Settings:
    """One fine-tuning with forgetting (arXiv 2505.19715, and its authors' code for the values).

    Learning: `samples` of the task drawn by `seed` (0: all), `steps` of `batch` of them (in `accumulate`
    parts), `lr` with `warmup` and cosine, `weight_decay`. `evaluations` points on the curve; with `patience`,
    both arms end at the point at which neither's learning loss has fallen for so many of them; 0: never.
    Unlearning: every `interval` (N_u) steps, weighted by `alpha` (α), `unlearn_batch` samples of D_U;
    D_U is chosen by `select`, as many as `portion` of |D_L|; `loss` is gradient ascent or maximum entropy;
    `ahead`: all of it before the first learning step.
    What is trained: `subset`, "last" the `last` layers, "lora" with `rank`.
    The model's own answers: at most `own`, sampled at `temperature`, 0 for greedy.
    """

    samples: int = 0
    lr: float = 3e-4
    steps: int = 36
    batch: int = 8
    accumulate: int = 1
    alpha: float = 0.05
    interval: int = 2
    portion: float = 0.25
    unlearn_batch: int = 4
    select: str = "high"
    loss: str = "ga"
    ahead: bool = False
    subset: str = "all"
    last: int = 1
    rank: int = 8
    warmup: float = 0.01
    weight_decay: float = 0.1
    clip: float = 1.0
    patience: int = 0
    chunk: int = 8
    own: int = 400
    temperature: float = 0.0
    evaluations: int = 9
    seed: int = 0

    def __post_init__(self):
        for name, allowed in {"select": SELECTIONS, "loss": LOSSES, "subset": SUBSETS}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, not {value!r}")


def settings_for(lm: "LM", task: str = "", **overrides) -> Settings:
    """The defaults, then what was found to fit the model, then the task on it, then `overrides`.

    Raises ValueError for a name that is no setting, or a value that cannot be.
    """
    unknown = set(overrides) - {f.name for f in fields(Settings)}
    if unknown:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
    path = lm.folder / FOUND
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return replace(Settings(), **{**found.get("", {}), **found.get(task, {}), **overrides})
