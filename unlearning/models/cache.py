"""Where what is measured once about a model is kept."""

import os
from pathlib import Path

from .loading import LM


def cache_folder() -> Path:
    """Where statistics are kept: LETHE_CACHE, or `lethe` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LETHE_CACHE") or Path(home) / "lethe")


def kept_folder(lm: LM) -> Path:
    """Where what is measured of this very model is kept."""
    return cache_folder() / lm.hash[:16]
