"""Where what is measured once about a model is kept, so that no damaged or foreign file is trusted."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..files import replacing
from .loading import LM


def cache_folder() -> Path:
    """Where statistics are kept: LETHE_CACHE, or `lethe` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LETHE_CACHE") or Path(home) / "lethe")


def kept_folder(lm: LM) -> Path:
    """Where what is measured of this very model is kept."""
    return cache_folder() / lm.identity[:16]


def kept_tensors(path: Path, key: str, measure: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `measure` gives, on the CPU: from the file at `path` where that was written under this `key` and
    is as it was to the last bit; else measured, and written there.
    """
    with suppress(OSError, SafetensorError), safe_open(path, "pt") as f:
        meta = f.metadata() or {}
        if meta.get("key") == key:
            found = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 (not a dict)
            if meta.get("sha256") == _sha256(found):
                return found
    found = {k: v.contiguous().cpu() for k, v in measure().items()}
    with suppress(OSError):  # a read-only disk costs time, not the wash
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            save_file(found, part, {"key": key, "sha256": _sha256(found)})
    return found


def _sha256(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, x in sorted(tensors.items()):
        digest.update(f"{name} {x.dtype} {tuple(x.shape)} ".encode())
        digest.update(x.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
