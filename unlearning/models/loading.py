"""Choosing and loading a model: one immutable base per name, shared by everything that runs on it."""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from ..events import Event
from ..facts.world import ASSETS
from .adapters import Adapter
from .hub import cached, fetch, is_id

BUNDLED = ASSETS / "models"
NAMES = ("lethe-llama", "lethe-gpt2")  # the default first
CHUNK = 2**24  # bytes read at once
FROM = ("_name_or_path", "transformers_version", "dtype")  # in a config, and nothing to what is computed
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)


class UnknownModel(ValueError):
    """No bundled model and no folder of this name."""


def bundled() -> dict[str, Path]:
    """Names and folders of the bundled models, the default first."""
    return {name: BUNDLED / name for name in NAMES if (BUNDLED / name / "config.json").exists()}


def on_hub(name: str) -> bool:
    """Is this a model of the hub? A bundled name or a folder that is here comes before an id."""
    return is_id(name) and name not in bundled() and not (Path(name) / "config.json").exists()


def folder_of(name: str) -> Path:
    """The folder of a bundled name, a path, or a model of the hub that has been downloaded.

    Raises `UnknownModel` naming what there is.
    """
    known = bundled()
    if name in known:
        return known[name]
    path = Path(name)
    if (path / "config.json").exists():
        return path
    if is_id(name) and (folder := cached(name)):
        return folder
    there = ", ".join(known) or "none"
    raise UnknownModel(
        f"no model {name!r}: bundled are {there}; else give a folder with a config.json, or owner/name"
    )


class NoDevice(ValueError):
    """A device that is not here."""


def check_device(name: str) -> None:
    """Raise `NoDevice` unless torch has "cpu", "cuda" or "cuda:1" here; "cpu" is known without torch."""
    if name == "cpu":
        return
    import torch

    n, wanted = torch.cuda.device_count(), int(name.partition(":")[2] or 0)
    if wanted >= n:
        raise NoDevice(f"there is no device {name!r} here: torch finds {n or 'no'} CUDA device(s)")


@dataclass
class LM:
    """A model with its tokenizer and adapter.

    Whoever runs the model or changes its weights holds `lock`, so that no visitor ever
    gets an answer from another's edited weights.
    """

    name: str
    folder: Path
    model: Any
    tokenizer: Any
    adapter: Adapter
    lock: RLock = field(default_factory=RLock, repr=False)

    @property
    def device(self):
        """Where ids go in, and where all that is gathered from the model is held."""
        return self.model.device

    @property
    def devices(self) -> tuple:
        """All devices that the weights lie on, the first `device`."""
        return tuple(dict.fromkeys(p.device for p in self.model.parameters()))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the folder's safetensors files, in name order: what a delta belongs to.

        A single file of the hub is not read for it: in the hub's cache it lies under that name.
        """
        files = sorted(self.folder.glob("*.safetensors"))
        real = files[0].resolve() if len(files) == 1 else Path()
        if real.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", real.name):
            return real.name
        digest = hashlib.sha256()
        for file in files:
            with file.open("rb") as f:
                while part := f.read(CHUNK):
                    digest.update(part)
        return digest.hexdigest()

    @cached_property
    def identity(self) -> str:
        """SHA-256 of all that decides what the model computes: what is measured of it belongs to this.

        The weights' `hash`, the config without what says only where it is from, and the tokenizer's files.
        """
        config = self.model.config.to_dict()
        about = {k: config[k] for k in sorted(config) if k not in FROM}
        digest = hashlib.sha256(json.dumps([self.hash, about], sort_keys=True, default=str).encode())
        for name in TOKENIZER:
            with suppress(FileNotFoundError):
                digest.update(name.encode() + hashlib.sha256((self.folder / name).read_bytes()).digest())
        return digest.hexdigest()


def _refuse_quantised(name: str, folder: Path) -> None:
    """Raise `UnknownModel` where the weights are packed integers, to which no delta can be added."""
    packed = None
    with suppress(OSError, ValueError):  # of a config that cannot be read the library says more
        packed = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    if packed:
        kind = packed.get("quant_method", "in a way that it does not name")
        raise UnknownModel(
            f"{name} is quantised ({kind}): such weights cannot be edited, take the plain model"
        )


def _refuse_misfits(name: str, info: dict) -> None:
    """Raise `UnknownModel` where some weights that the config describes are not there, or of another shape.

    `info`: what `from_pretrained` tells of its loading. It would draw them at random.
    """
    for key, there, wanted in sorted(info["mismatched_keys"]):
        shapes = f"{key} is {tuple(there)}, not {tuple(wanted)}"
        raise UnknownModel(f"the weights of {name} do not fit its config.json: {shapes}")
    for key in sorted(info["missing_keys"]):
        raise UnknownModel(f"the weights of {name} do not fit its config.json: there is no {key}")


def load(
    name: str, device: str | None = None, dtype=None, show: Callable[[Event], None] = lambda e: None
) -> LM:
    """A bundled model, one in a folder, or one of the hub, `owner/name` or `owner/name@revision`.

    Weights are float32 on a CPU, and of bundled models everywhere; else of the folder's own dtype; or of
    `dtype`. On "cuda", the default where there is a GPU, they lie on one or several, see `spread`.
    Raises `UnknownModel`, also where config and weights do not fit each other, and `NoModel` for one of the
    hub that cannot be had, or that no GPUs hold; `show` is told how far its download is.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from .adapters import adapter_for
    from .spread import places

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = fetch(name, device, show) if on_hub(name) else folder_of(name)
    _refuse_quantised(name, folder)
    dtype = dtype or (torch.float32 if device == "cpu" or name in bundled() else "auto")
    here = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **here)
        at = places(folder, dtype) if device == "cuda" else device
        split = {} if isinstance(at, str) else {"device_map": at}
        here |= {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
        model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **here, **split)
    except (KeyError, TypeError, ZeroDivisionError, StrictDataclassError) as error:
        why = str(error).strip().splitlines()[-1].strip()
        raise UnknownModel(f"{name} has a config.json that its architecture does not take: {why}") from error
    _refuse_misfits(name, info)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = (model if split else model.to(at)).eval().requires_grad_(False)
    return LM(name, folder, model, tokenizer, adapter_for(model))
