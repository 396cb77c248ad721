"""How the page is set up from outside: every setting, its variable, and what it is when nothing is said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields


class BadSetting(ValueError):
    """An environment variable that cannot be; the message names it."""


def _setting(name: str, meaning: str, default=None, within: tuple | None = None):
    """A field; `within`: the type, least and greatest value of a number."""
    return field(default=default, metadata={"name": name, "meaning": meaning, "within": within})


@dataclass(frozen=True)
class Environment:
    """What app.py is told. Empty variables count as not set."""

    model: str | None = _setting(
        "LETHE_MODEL",
        "a model of your own, a folder or, with LETHE_HUB=1, owner/name on the hub, offered first",
    )
    host: str | None = _setting(
        "LETHE_HOST", "address to listen on (else GRADIO_SERVER_NAME, else 127.0.0.1)"
    )
    port: int | None = _setting(
        "LETHE_PORT", "port (else GRADIO_SERVER_PORT, else 7860 or the next free one)", within=(int, 1, 65535)
    )
    device: str = _setting(
        "LETHE_DEVICE",
        "cpu, cuda or one of several, such as cuda:1; auto: cuda where there is a GPU. "
        "cuda is the first GPU that holds the model, else all that CUDA_VISIBLE_DEVICES shows",
        "auto",
    )
    threads: int = _setting(
        "LETHE_THREADS", "torch's threads; beside a busy server two are slower than one", 1, (int, 1, 1024)
    )
    queue: int = _setting(
        "LETHE_QUEUE", "washes that may wait before others are asked to come back", 50, (int, 1, 1000)
    )
    max_rows: int = _setting(
        "LETHE_MAX_ROWS", "rows that are read of what is pasted or uploaded", 2_000, (int, 1, 100_000)
    )
    max_bytes: int = _setting(
        "LETHE_MAX_BYTES", "bytes of it; more are refused", 1_000_000, (int, 100, 100_000_000)
    )
    max_steps: int = _setting(
        "LETHE_MAX_STEPS", "learning steps that a run may ask for, over all its seeds", 2_000, (int, 1, 10**7)
    )
    hub: int = _setting(
        "LETHE_HUB",
        "1: the page may fetch data sets and models from the Hugging Face hub, for whoever can open it",
        0,
        (int, 0, 1),
    )
    login: str | None = _setting("LETHE_LOGIN", "name:password, asked for before anything is shown")
    names: str | None = _setting(
        "LETHE_NAMES",
        "host names, with commas between, under which a proxy serves the page; others are refused",
    )
    runs: str | None = _setting("LETHE_RUNS", "folder for the runs (else ~/.cache/lethe/runs)")
    cache: str | None = _setting(  # read by models/cache.py, on the command line too
        "LETHE_CACHE", "folder for what is measured once about a model (else ~/.cache/lethe)"
    )
    text: str | None = _setting(  # read by law/ordinary.py, on the command line too
        "LETHE_TEXT",
        "UTF-8 file of ordinary text, for models that are not bundled (else WikiText-103 from the hub, else "
        "the model's own)",
    )
    keep_hours: float = _setting(
        "LETHE_KEEP_HOURS", "hours after which a finished run is deleted", 24.0, (float, 0.01, 10_000)
    )

    @property
    def auth(self) -> tuple[str, str] | None:
        """Name and password, or None."""
        return tuple(self.login.split(":", 1)) if self.login else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names in `names`."""
        return tuple(filter(None, (name.strip().lower() for name in (self.names or "").split(","))))


def environment(variables: Mapping[str, str]) -> Environment:
    """The settings in `variables`. Raises `BadSetting`."""
    found = {}
    for f in fields(Environment):
        name = f.metadata["name"]
        text = variables.get(name, "").strip()
        if not text:
            continue
        found[f.name] = _number(name, text, *f.metadata["within"]) if f.metadata["within"] else text
    login = found.get("login", "x:x")
    if not all(login.partition(":")):
        raise BadSetting("LETHE_LOGIN must be name:password")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device := found.get("device", "auto")):
        raise BadSetting(f"LETHE_DEVICE must be auto, cpu, cuda or a numbered one, cuda:1, not {device!r}")
    return Environment(**found)


def _number(name: str, text: str, kind: type, low, high):
    try:
        if low <= (x := kind(text)) <= high:
            return x
    except ValueError:
        pass
    what = "a whole number" if kind is int else "a number"
    raise BadSetting(f"{name} must be {what} from {low:,} to {high:,}, not {text!r}")
