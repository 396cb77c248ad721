"""Weight deltas: the only place where weights change, and they always change back.

A delta holds ΔW of the edited matrices only, in the layout the parameters are stored in,
with the hash of the base model it belongs to.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .loading import LM

FORMAT = "lethe-delta-1"


class BadDelta(ValueError):
    """A file that is no delta, or a delta of another model."""


@dataclass(frozen=True)
class Delta:
    """`changes`: parameter name -> ΔW in stored layout. `about`: settings, seed, versions: plain JSON."""

    changes: dict[str, Tensor]
    model_hash: str
    about: dict = field(default_factory=dict)

    def scaled(self, factor: float) -> "Delta":
        """The same edit, `factor` times as strong."""
        return Delta({k: v * factor for k, v in self.changes.items()}, self.model_hash, self.about)

    def at(self, strength: float) -> "Delta":
        """The same wash made so strong; `about` says how strong it is. One made with 0 stays nothing."""
        made = self.about.get("strength", 1.0)
        if made in (0, strength):
            return self
        return Delta(
            self.scaled(strength / made).changes, self.model_hash, self.about | {"strength": strength}
        )

    def norms(self, lm: LM) -> dict[str, float]:
        """‖ΔW‖/‖W‖ of each edited matrix."""
        weights = dict(lm.model.named_parameters())
        return {k: (v.norm() / weights[k].float().norm().cpu()).item() for k, v in self.changes.items()}

    def save(self, path: Path) -> None:
        """One safetensors file; the metadata says what it belongs to and how it was made."""
        meta = {"format": FORMAT, "model": self.model_hash, "about": json.dumps(self.about)}
        save_file({k: v.float().contiguous().cpu() for k, v in self.changes.items()}, path, metadata=meta)


def load_delta(path: Path, lm: LM | None = None) -> Delta:
    """Read a delta. Raises `BadDelta` when the file is damaged, no delta, or (with `lm`) of another model."""
    try:
        with safe_open(path, "pt") as f:
            meta = f.metadata() or {}
            changes = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as e:
        raise BadDelta(f"{Path(path).name} cannot be read as a safetensors file: {e}") from e
    if meta.get("format") != FORMAT:
        raise BadDelta(f"{Path(path).name} is a safetensors file but no delta of this program")
    try:
        about = json.loads(meta["about"])
        if not isinstance(about, dict):
            raise ValueError("no JSON object")
        delta = Delta(changes, meta["model"], about)
    except (KeyError, ValueError, RecursionError) as e:
        raise BadDelta(f"{Path(path).name}: its metadata is damaged") from e
    if lm is not None:
        check(delta, lm)
    return delta


def check(delta: Delta, lm: LM) -> None:
    """Raise `BadDelta` unless the delta fits this very model."""
    if delta.model_hash != lm.hash:
        made_on, here = delta.model_hash[:12], lm.hash[:12]
        raise BadDelta(f"this delta was made on another model ({made_on}) than {lm.name} ({here})")
    shapes = {k: p.shape for k, p in lm.model.named_parameters()}
    for name, change in delta.changes.items():
        if name not in shapes or shapes[name] != change.shape:
            raise BadDelta(f"this delta changes {name} {tuple(change.shape)}, which {lm.name} does not have")
        if not change.isfinite().all():
            raise BadDelta(f"this delta holds numbers that are not finite in {name}")


@contextmanager
def applied(lm: LM, *deltas: Delta) -> Iterator[None]:
    """Within the block the model's weights are W + ΣΔW; afterwards they are W again, bit for bit.

    Holds the model's lock from beginning to end.
    """
    with lm.lock:
        weights = dict(lm.model.named_parameters())
        names = {name for d in deltas for name in d.changes}
        saved = {name: weights[name].detach().clone() for name in names}
        try:
            with torch.no_grad():
                for d in deltas:
                    for name, change in d.changes.items():
                        weights[name].add_(change.to(weights[name]))
            yield
        finally:
            with torch.no_grad():
                for name, w in saved.items():
                    weights[name].copy_(w)
