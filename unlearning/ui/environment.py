"""How the page is set up from outside: every setting, its variable, and what it is when nothing is said."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


class BadSetting(ValueError):
    """An environment variable that cannot be; the message names it."""


def _setting(name: str, meaning: str, default=None):
    return field(default=default, metadata={"name": name, "meaning": meaning})


@dataclass(frozen=True)
class Environment:
    """What app.py is told. Empty variables count as not set."""

    model: str | None = _setting("LETHE_MODEL", "a folder with a model of your own, offered first")
    host: str | None = _setting(
        "LETHE_HOST", "address to listen on (else GRADIO_SERVER_NAME, else 127.0.0.1)"
    )
    port: int | None = _setting(
        "LETHE_PORT", "port (else GRADIO_SERVER_PORT, else 7860 or the next free one)"
    )
    threads: int = _setting(
        "LETHE_THREADS", "torch's threads; beside a busy server two are slower than one", 1
    )
    queue: int = _setting("LETHE_QUEUE", "washes that may wait before others are asked to come back", 50)
    login: str | None = _setting("LETHE_LOGIN", "name:password, asked for before anything is shown")
    runs: str | None = _setting("LETHE_RUNS", "folder for the runs (else ~/.cache/lethe/runs)")
    keep_hours: float = _setting("LETHE_KEEP_HOURS", "hours after which a finished run is deleted", 24.0)

    @property
    def auth(self) -> tuple[str, str] | None:
        """Name and password, or None."""
        return tuple(self.login.split(":", 1)) if self.login else None


def environment(variables: Mapping[str, str]) -> Environment:
    """The settings in `variables`. Raises `BadSetting`."""
    found = {}
    for f in fields(Environment):
        name = f.metadata["name"]
        text = variables.get(name, "").strip()
        if not text:
            continue
        kind = {"port": int, "threads": int, "queue": int, "keep_hours": float}.get(f.name, str)
        try:
            found[f.name] = kind(text)
        except ValueError:
            raise BadSetting(f"{name} must be a number, not {text!r}") from None
        if kind is not str and not 0 < found[f.name] < 1e6:
            raise BadSetting(f"{name} must be more than 0, not {text}")
    login = found.get("login", "x:x")
    if not all(login.partition(":")):
        raise BadSetting("LETHE_LOGIN must be name:password")
    return Environment(**found)
