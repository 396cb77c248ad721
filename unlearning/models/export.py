"""A washed model as an ordinary folder."""

import os
import shutil
import tempfile
from pathlib import Path

from .delta import Delta, applied
from .loading import LM


def export_washed(lm: LM, delta: Delta, out: Path) -> None:
    """Write model and tokenizer with the delta put on, in the base folder's dtype.

    Plain `AutoModelForCausalLM.from_pretrained(out)` loads it. Raises OSError when `out` cannot be written.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    out.mkdir(parents=True, exist_ok=True)
    dtype = AutoConfig.from_pretrained(lm.folder, local_files_only=True).dtype or lm.model.dtype
    with applied(lm, delta):
        washed = AutoModelForCausalLM.from_config(lm.model.config, dtype=dtype)
        washed.load_state_dict({k: v.to("cpu", dtype) for k, v in lm.model.state_dict().items()})
    washed.save_pretrained(out)
    lm.tokenizer.save_pretrained(out)
    generation = lm.folder / "generation_config.json"
    if generation.exists():
        shutil.copy(generation, out)


def zipped(lm: LM, delta: Delta, path: Path) -> None:
    """`export_washed` as one zip file at `path`, there whole or not at all. Raises OSError."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        export_washed(lm, delta, Path(scratch) / path.stem)
        made = shutil.make_archive(str(Path(scratch) / "made"), "zip", scratch, path.stem)
        os.replace(made, path)
