"""Models of the Hugging Face hub: what one is, and whether it fits here, is known before it is downloaded.

Weights are taken as safetensors only, and no code of a model's own is ever run.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from threading import Lock

from ..events import Event, Phase, Progress
from .reach import unreached

logger = logging.getLogger(__name__)

PART = r"[A-Za-z0-9][\w.-]{0,95}"
ID = re.compile(rf"({PART}/{PART})(?:@([A-Za-z0-9][\w./-]{{0,99}}))?")
FILES = ("*.json", "*.txt", "*.model")  # configs, tokenizers
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
TOKEN = "HF_TOKEN"
ROOM = 1.2  # times the weights: what a model and its answers take at the least
MIB, GIB = 2**20, 2**30


class NoModel(ValueError):
    """A model that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Found:
    """A model on the hub: its id, the commit, the files that are wanted with their bytes, and its weights."""

    id: str
    commit: str
    files: tuple[tuple[str, int], ...]
    parameters: int | None  # where the hub has counted them

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files)

    @property
    def weights(self) -> int:
        """Bytes of the safetensors files."""
        return sum(size for name, size in self.files if name.endswith(".safetensors"))


def is_id(name: str) -> bool:
    """Is it `owner/name` or `owner/name@revision`?"""
    return ID.fullmatch(name) is not None and ".." not in name and "--" not in name


def fetch(name: str, device: str, show: Callable[[Event], None] = lambda e: None) -> Path:
    """The folder of a model of the hub, downloaded unless it is there: size and kind are looked at first.

    Without the hub, what an earlier call has downloaded. Raises `NoModel`.
    """
    from huggingface_hub import snapshot_download

    id, revision = ID.fullmatch(name).groups()
    try:
        show(Phase("look", f"looking {id} up on the hub"))
        found = look(id, revision)
    except _Unreached as error:
        if folder := cached(name):
            return folder
        raise NoModel(str(error)) from error
    check(found, device)
    show(Phase("download", f"downloading {id}, {found.bytes / MIB:,.0f} MB"))
    try:
        names = [file for file, _ in found.files]
        bar = _progress(found.bytes, _there(found), show)
        return Path(
            snapshot_download(id, revision=revision, allow_patterns=names, token=_token(), tqdm_class=bar)
        )
    except Exception as error:
        raise NoModel(f"{id} {why(error)}") from error


def cached(name: str) -> Path | None:
    """The folder that an earlier `fetch` has filled, or None; the hub is not asked."""
    from huggingface_hub import snapshot_download

    id, revision = ID.fullmatch(name).groups()
    try:
        small = {"allow_patterns": list(FILES), "ignore_patterns": ["*/*", INDEX]}
        folder = Path(snapshot_download(id, revision=revision, local_files_only=True, **small))
    except Exception:  # nothing of it is here
        return None
    return folder if _complete(folder) else None


def _complete(folder: Path) -> bool:
    """Are the config and all weights there? A download that was cut off leaves a folder, too."""
    if not (folder / "config.json").exists():
        return False
    if not (folder / INDEX).exists():
        return (folder / WEIGHTS).exists()
    index = json.loads((folder / INDEX).read_text("utf-8"))
    return (folder / WEIGHTS).exists() or all((folder / n).exists() for n in index["weight_map"].values())


def wanted(names: Sequence[str]) -> set[str]:
    """The files of a model that are downloaded: of the weights those that transformers takes, no second set.

    It takes the single file where there is one, and else the shards of the index.
    """
    top = [n for n in names if "/" not in n]
    others = {n for n in top if any(fnmatch(n, pattern) for pattern in FILES)}
    if WEIGHTS in top:
        return others - {INDEX} | {WEIGHTS}
    return others | {n for n in top if INDEX in top and SHARD.fullmatch(n)}


class _Unreached(NoModel):
    """The hub cannot be asked."""


def look(id: str, revision: str | None = None) -> Found:
    """What the hub says of a model: one that can be loaded here, if it fits. Raises `NoModel`."""
    from huggingface_hub import HfApi, hf_hub_download

    try:
        info = HfApi(token=_token()).model_info(id, revision=revision, files_metadata=True)
        take = wanted([s.rfilename for s in info.siblings])
        files = [(s.rfilename, s.size or 0) for s in info.siblings if s.rfilename in take]
        if not any(name == "config.json" for name, _ in files):
            raise NoModel(f"{id} has no config.json, so it is no model that transformers loads")
        config = json.loads(
            Path(hf_hub_download(id, "config.json", revision=info.sha, token=_token())).read_text("utf-8")
        )
    except NoModel:
        raise
    except Exception as error:
        kind = _Unreached if unreached(error) else NoModel
        raise kind(f"{id} {why(error)}") from error
    _check_kind(id, config, [name for name, _ in files])
    _check_modules(id, config)
    counted = info.safetensors.total if info.safetensors else None
    return Found(id, info.sha, tuple(files), counted)


def _check_kind(id: str, config: dict, files: Sequence[str]) -> None:
    """Raise `NoModel` unless it is a causal language model that transformers knows, with safetensors."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    kind, classes = config.get("model_type"), config.get("architectures") or []
    if kind not in CAUSAL:
        own = "; it brings code of its own, which is never run" if "auto_map" in config else ""
        raise NoModel(f"{id} is of the type {kind!r}, no causal language model that transformers knows{own}")
    if classes and not any("CausalLM" in c or "LMHead" in c for c in classes):
        raise NoModel(f"{id} is a {', '.join(map(str, classes))}, not a causal language model")
    if not any(name.endswith(".safetensors") for name in files):
        raise NoModel(
            f"{id} has no weights as safetensors; other kinds of file can run code and are not loaded"
        )


def _check_modules(id: str, config: dict) -> None:
    """Raise `NoModel` where the modules that the config describes, without weights, cannot be washed."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from .adapters import UnknownArchitecture, adapter_for

    try:
        with torch.device("meta"):
            kind = CONFIG_MAPPING[config["model_type"]].from_dict(config)
            adapter_for(AutoModelForCausalLM.from_config(kind, trust_remote_code=False))
    except UnknownArchitecture as error:
        raise NoModel(f"{id} cannot be washed: {error}") from error
    except Exception:  # some need real weights to be built: what they are is seen when they are there
        logger.info("the modules of %s cannot be told from its config", id, exc_info=True)


def check(found: Found, device: str) -> None:
    """Raise `NoModel` unless the model fits on the disk of the cache and into the device's free memory."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    there = next(p for p in (cache, *cache.parents) if p.exists())
    disk, memory, needed = shutil.disk_usage(there).free, free_memory(device), needs(found, device)
    if found.bytes - _there(found) > disk:
        raise NoModel(
            f"{found.id} takes {found.bytes / GIB:.1f} GiB on disk, and {there} has {disk / GIB:.1f} GiB "
            "free: set HF_HOME to a folder on a larger disk, or take a smaller model"
        )
    if memory is not None and needed > memory:
        parameters = (found.parameters or found.weights / 2) * memory / needed
        raise NoModel(
            f"{found.id} needs {needed / GIB:.1f} GiB of memory on {device}, and {memory / GIB:.1f} GiB are "
            f"free: what fits is a model of about {parameters / 1e9:.1f} billion parameters"
        )


def needs(found: Found, device: str) -> int:
    """Bytes of memory: float32 on a CPU, what its files hold on a GPU, and a fifth more."""
    parameters = found.parameters or found.weights // 2
    return int(ROOM * (4 * parameters if device == "cpu" else found.weights))


def free_memory(device: str) -> int | None:
    """Free bytes of the device, of "cuda" those of all GPUs; or None where that cannot be told."""
    if device != "cpu":
        import torch

        all_of_them = range(torch.cuda.device_count()) if device == "cuda" else [device]
        return sum(torch.cuda.mem_get_info(d)[0] for d in all_of_them)
    try:
        said = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(said["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def why(error: Exception) -> str:
    """In plain words why a model cannot be had."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"is gated: accept its terms on the hub, and set {TOKEN} to a token of that account"
    if isinstance(error, errors.RevisionNotFoundError):
        return "has no such revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"is not on the hub, or is private: mind the spelling, and set {TOKEN} for a private model"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "is not here, and HF_HUB_OFFLINE is set. Without it, the hub is asked"
    if unreached(error):
        return "is not here, and the hub cannot be reached"
    return f"cannot be downloaded: {(str(error).strip() or type(error).__name__).splitlines()[0][:300]}"


def _token() -> str | bool:
    """The token of the environment; none that was put down elsewhere."""
    return os.environ.get(TOKEN) or False


def _there(found: Found) -> int:
    """Bytes of the files that need no download: the config, and what an earlier one had finished."""
    from huggingface_hub import try_to_load_from_cache

    def cached(name: str) -> bool:
        return isinstance(try_to_load_from_cache(found.id, name, revision=found.commit), str)

    return sum(size for name, size in found.files if cached(name))


def _progress(total: int, done: int, show: Callable[[Event], None]) -> type:
    """A progress bar that shows nothing itself: the bytes of all files, as events, a hundredth at a time.

    `done`: the bytes that are there before it begins.
    """
    from huggingface_hub.utils import tqdm

    lock, state = Lock(), {"done": done, "told": -1}

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            self.counts = (kwargs.get("desc") or "").startswith("Reconstruct")  # bytes that are on the disk
            super().__init__(*args, **kwargs | {"disable": True})

        def update(self, n=1):
            if self.counts and n:
                with lock:
                    state["done"] += n
                    hundredth = 100 * state["done"] // max(1, total)
                    if hundredth > state["told"]:
                        state["told"] = hundredth
                        show(Progress(min(state["done"], total) // MIB, total // MIB, "MB downloaded"))

    return Bar
