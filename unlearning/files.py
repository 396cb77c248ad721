"""Whole files only: a reader finds the former file or the new one, never a part of one."""

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def to_text(value: Any) -> str:
    """`value` as one line of strict JSON, ASCII only; nan and infinities, which JSON lacks, become null.

    Raises `TypeError` for what JSON cannot hold, such as a tensor.
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    """The same nested value with None in place of nan and infinities."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what shall be at `path`: it takes that place at the block's end, in one step.

    Raises `OSError`; after that or any other error the former file stays as it was.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step. Raises `OSError`; the former file then stays as it was."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON in one step. Raises `TypeError` for what JSON cannot hold, and `OSError`."""
    write_whole(path, to_text(value).encode() + b"\n")
