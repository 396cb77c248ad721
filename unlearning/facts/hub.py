"""Data sets of the Hugging Face hub, and Parquet files, as rows: by `datasets`, running no code of theirs.

Only rows are asked for, a stream of them, so that a large set is not downloaded whole. A data set that would
have to run code of its own to be read is refused by `datasets` itself.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..models.reach import causes, unreached
from .formats import Columns, Row, record_row, renamed
from .read import MAX_RAW
from .triples import Unclear

MARK = "hub:"
MAX_ROWS = 50_000  # of a set, where no other limit is set
NAME = r"[A-Za-z0-9][\w.-]{0,95}"
SOURCE = re.compile(rf"hub:({NAME}/{NAME})(?::([\w.+-]{{1,100}}))?(?:@([\w.\[\]:%+-]{{1,100}}))?")
HOW = "write hub:owner/name, with :config and @split after it where they are needed"


class NoSet(ValueError):
    """A data set that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A data set: `hub:owner/name`, with `:config` and `@split`."""

    id: str
    config: str | None = None
    split: str = "train"

    def __str__(self) -> str:
        return f"{MARK}{self.id}{f':{self.config}' if self.config else ''}@{self.split}"


def source(text: str) -> Source:
    """A source from `hub:owner/name[:config][@split]`. Raises `NoSet`."""
    found = SOURCE.fullmatch(text)
    if not found or ".." in found[1] or "--" in found[1]:
        raise NoSet(f"{text[:120]!r} names no data set: {HOW}")
    return Source(found[1], found[2], found[3] or "train")


def is_source(text: str) -> bool:
    return text.startswith(MARK)


def hub_rows(where: Source, max_rows: int | None = MAX_ROWS) -> Iterator[Row]:
    """The first rows of a split of a data set on the hub, numbered from 1. Raises `NoSet`.

    After `max_rows` comes one row that says so, in place of all the rest.
    """
    return rows(str(where), max_rows, where.id, where.config, split=where.split)


def parquet_rows(path: Path, max_rows: int | None = None) -> Iterator[Row]:
    """The rows of a Parquet file. Raises `NoSet`."""
    if not Path(path).is_file():
        raise NoSet(f"{path} is not a file")
    return rows(Path(path).name, max_rows, "parquet", data_files=str(path), split="train")


def rows(name: str, max_rows: int | None, *what, **more) -> Iterator[Row]:
    """The rows of `datasets.load_dataset(*what, **more)`. Raises `NoSet` with plain words for its errors."""
    try:
        yield from as_rows(loaded(*what, **more), max_rows)
    except NoSet:
        raise
    except Exception as error:  # of datasets, huggingface_hub, httpx, pyarrow, fsspec
        raise NoSet(f"{name} {why(error)}") from error


def loaded(*what, **more) -> Iterable[dict]:
    """What `datasets` makes of it, as a stream."""
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    return load_dataset(*what, streaming=True, **more)


def as_rows(records: Iterable[dict], max_rows: int | None = None) -> Iterator[Row]:
    """Records as rows, by lower-case field names."""
    for number, record in enumerate(records, 1):
        if max_rows is not None and number > max_rows:
            message = f"not read, nor any row after it: at most {max_rows:,} rows of a data set"
            yield Row(number, "", Unclear("", message))
            return
        raw = json.dumps(record, ensure_ascii=False, default=str)
        yield record_row(number, raw[:MAX_RAW], record.items())


def lines_of(where: Source, columns: Columns, max_rows: int, max_bytes: int) -> tuple[str, int, bool]:
    """The first rows of a data set as JSON Lines, their number, and whether there are more than fit.

    Raises `NoSet`; also where no row has any of the columns.
    """
    lines, size, more = [], 0, False
    for row in hub_rows(where, max_rows):
        record = row.value
        if isinstance(record, dict) and columns:
            record = next(iter(renamed([row], columns))).value
            if not record:
                raise NoSet(f"{where} has no such columns: it has {', '.join(row.value)[:300]}")
        text = "" if isinstance(record, Unclear) else json.dumps(record, ensure_ascii=False, default=str)
        size += len(text.encode("utf-8", "replace")) + 1
        if more := not text or size > max_bytes:
            break
        lines.append(text)
    if not lines:
        raise NoSet(f"{where} has no rows, or too large ones")
    return "\n".join(lines), len(lines), more


def why(error: Exception) -> str:
    """In plain words why a set cannot be had."""
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
    from huggingface_hub import errors

    first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    chain = list(causes(error))
    if any(isinstance(e, errors.GatedRepoError) for e in chain) or "gated" in first.lower():
        return "is gated: accept its terms on the hub, and set HF_TOKEN to a token of that account"
    if any(isinstance(e, errors.OfflineModeIsEnabled) for e in chain) or "offline" in first.lower():
        return "cannot be fetched: HF_HUB_OFFLINE is set. Without it, the hub is asked"
    if isinstance(error, DatasetNotFoundError):
        return "is not on the hub, or is private: mind the spelling, and set HF_TOKEN for a private set"
    if isinstance(error, DataFilesNotFoundError):
        return "has no file that datasets can read"
    if unreached(error):
        return f"cannot be fetched, the hub cannot be reached ({first})"
    if "scripts are no longer supported" in first:
        return "can only be read by running code of its own, which is never done"
    return f"cannot be read: {first}"


def columns_of(text: str | None) -> dict[str, str]:
    """Columns by the fields they stand for, from `subject=person,object=answers.text`. Raises `NoSet`."""
    found = {}
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        field, equals, column = (x.strip().lower() for x in part.partition("="))
        if not (field and equals and column) or field in found:
            raise NoSet(
                f"{part[:80]!r} maps no column: write field=column, with commas between, each field once"
            )
        found[field] = column
    return found
