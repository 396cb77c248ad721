"""Weight deltas: the only place where weights change, and they always change back.

A delta holds ΔW of the edited matrices only, in the layout the parameters are stored in,
with the hash of the base model it belongs to.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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

    @property
    def digest(self) -> str:
        """SHA-256 over the changes: equal for equal edits."""
        digest = hashlib.sha256()
        for name, change in sorted(self.changes.items()):
            digest.update(name.encode() + change.float().contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

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


def total(deltas: Sequence[Delta], about: dict) -> Delta:
    """ΣΔW as one delta, of the base model that they all belong to. Raises `BadDelta` if they do not."""
    changes: dict[str, Tensor] = {}
    for delta in deltas:
        if delta.model_hash != deltas[0].model_hash:
            raise BadDelta("these deltas were made on different models")
        for name, change in delta.changes.items():
            changes[name] = changes[name] + change if name in changes else change
    return Delta(changes, deltas[0].model_hash, about)


def edited(lm: LM, deltas: Sequence[Delta]) -> LM:
    """The model as if its weights were W + ΣΔW, or `lm` itself without deltas.

    It shares the weights of `lm` and puts the deltas on only while its own lock is held, so whatever
    takes the lock of an `LM` to run it can run this one. Its hash tells it from every other edit.
    """
    if not deltas:
        return lm
    view = replace(lm, lock=_Edit(lm, deltas))
    view.__dict__["hash"] = hashlib.sha256(
        " ".join([lm.hash, *(d.digest for d in deltas)]).encode()
    ).hexdigest()
    return view


class _Edit:
    """A lock that can be taken again by the thread that holds it; the deltas are on while it is held."""

    def __init__(self, lm: LM, deltas: Sequence[Delta]):
        self._lm, self._deltas, self._depth = lm, deltas, 0

    def __enter__(self) -> None:
        self._lm.lock.__enter__()
        try:
            if self._depth == 0:
                self._on = applied(self._lm, *self._deltas)
                self._on.__enter__()
            self._depth += 1
        except BaseException:
            self._lm.lock.__exit__(None, None, None)
            raise

    def __exit__(self, *_) -> None:
        try:
            self._depth -= 1
            if self._depth == 0:
                self._on.__exit__(None, None, None)
        finally:
            self._lm.lock.__exit__(None, None, None)
