"""What decides a wash: the paper's values for big models, found values for the bundled ones."""

import json
from dataclasses import dataclass, field, fields, replace

from ..models.loading import LM
from .contexts import POSITIONS
from .targets import TargetSettings
from .trace import load_trace

SCOPES = ("facts", "subjects", "relation")
METHODS = ("law", "memit", "scaled")
CHOICES = {"scope": SCOPES, "method": METHODS, "position": POSITIONS, "metric": ("whitened", "plain")}
RANGES = {
    "phrasings": (1, 100),
    "prefixes": (0, 100),
    "lam": (1e-6, 1e9),
    "per": (0, 1e9),
    "keep": (0, 1e6),
    "keep_phrasings": (1, 100),
    "ridge": (0, 1),
    "budget": (0.01, 100),
    "ascent": (0, 100),
    "strength": (0, 10),
    "moment_tokens": (100, 1e9),
}
FOUND = "law.json"  # in a model's folder: per scope, the values that measured best on it


@dataclass(frozen=True)
class Settings:
    """One wash. Names are the papers' (LAW, arXiv 2405.16720; MEMIT, arXiv 2210.07229).

    `lam`: λ before C; with `per`, for so many facts, and it grows with their number. `keep`: weight of the
    keep set's second moment beside C, over `keep_phrasings` of each of its facts. `budget`: β over
    the size of Δ₀. `ascent`: t in units of 1 / largest eigenvalue. `strength`: a factor on the
    finished ΔW, 1 as solved. `target`: "eos", "prior", or any text to be said instead.
    """

    scope: str = "facts"
    method: str = "law"
    target: str = "unknown"
    position: str = "prompt"
    layers: tuple[int, ...] = (1, 2, 3)
    phrasings: int = 6
    prefixes: int = 0
    lam: float = 100.0
    per: int = 0
    keep: float = 1.0
    keep_phrasings: int = 3
    ridge: float = 1e-4
    budget: float = 1.1
    ascent: float = 0.5
    metric: str = "whitened"
    strength: float = 1.0
    moment_tokens: int = 16_000
    seed: int = 0
    targets: TargetSettings = field(default_factory=TargetSettings)

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not self.target.strip():
            raise ValueError("the wash target is empty: give a text, or eos, or prior")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, not {value!r}")
        if not self.layers or list(self.layers) != sorted(set(self.layers)) or self.layers[0] < 0:
            raise ValueError(f"layers must be given in ascending order, not {self.layers}")

    @property
    def alike(self) -> bool:
        """Are the washed facts looked up in texts like the keep set's, at one layer?"""
        return len(self.layers) == 1 and self.phrasings == self.keep_phrasings and not self.prefixes

    def lam_for(self, n: int) -> float:
        """λ for washing n facts."""
        return self.lam * n / self.per if self.per else self.lam


# Section 5.1 and appendix of the LAW paper, and its code: by (architecture, layers, width).
PAPER = {
    ("gpt2", 48, 1600): Settings(
        target="eos",
        position="subject",
        layers=(13, 14, 15, 16, 17),
        phrasings=1,
        prefixes=5,
        lam=20_000.0,
        keep=0.0,
    ),
    ("gptj", 28, 4096): Settings(
        target="eos",
        position="subject",
        layers=(3, 4, 5, 6, 7, 8),
        phrasings=1,
        prefixes=5,
        lam=100_000.0,
        keep=0.0,
        targets=TargetSettings(steps=25),
    ),
}


def untraced(lm: LM) -> bool:
    """Is it not known where the model recalls facts: by values found for it, the papers, or a trace?"""
    return not (lm.folder / FOUND).exists() and shape_of(lm) not in PAPER and load_trace(lm) is None


def because(lm: LM, asked: bool) -> str:
    """Why a wash edits the layers that it does, in words. `asked`: they were given."""
    if asked:
        return "as asked"
    if (lm.folder / FOUND).exists():
        return "measured best on this model"
    if shape_of(lm) in PAPER:
        return "the paper's choice for this model"
    traced = load_trace(lm)
    return traced.why if traced else "a guess, as it has not been traced"


def shape_of(lm: LM) -> tuple[str, int, int]:
    """Architecture, number of layers, width: the key in PAPER."""
    config = lm.model.config
    return config.model_type, config.num_hidden_layers, config.hidden_size


def guess(n: int) -> tuple[int, ...]:
    """Layers of a model of n that nothing is known of: five from a fifth of its depth on, as in GPT-J and
    GPT2-XL; of a small one all but the first.
    """
    return tuple(range(n // 5, n // 5 + 5)) if n >= 10 else tuple(range(min(1, n - 1), n))


def settings_for(lm: LM, scope: str = "facts", **overrides) -> Settings:
    """The values that fit the model: found ones from its folder, else the paper's, else the defaults.

    Layers and lookup position that neither of the first two names are those that the model's causal
    trace chose, where it has been traced. `overrides` come before all of it.
    Raises ValueError for a name that is no setting, or a value that cannot be.
    """
    unknown = set(overrides) - {f.name for f in fields(Settings)}
    if unknown:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, not {scope!r}")
    found, shape = lm.folder / FOUND, shape_of(lm)
    n = shape[1]
    traced = load_trace(lm)
    chosen = {"layers": traced.layers, "position": traced.position} if traced else {}
    base = PAPER.get(shape, Settings(**{"layers": guess(n)} | chosen))
    if not found.exists():  # C has rank f at most: ten times as many tokens fill it
        base = replace(base, moment_tokens=10 * lm.adapter.weight(lm.model, 0).shape[1])
    values = json.loads(found.read_text(encoding="utf-8")).get(scope, {}) if found.exists() else {}
    values |= overrides
    if "layers" in values:
        values["layers"] = tuple(values["layers"])
    if isinstance(values.get("targets"), dict):
        values["targets"] = TargetSettings(**values["targets"])
    settings = replace(base, scope=scope, **values)
    if settings.layers[-1] >= n:
        raise ValueError(f"layers go from 0 to {n - 1} in this model, not to {settings.layers[-1]}")
    return settings
