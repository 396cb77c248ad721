"""Where facts come from on the command line: a text file of any size, a Parquet file, or a set on the hub."""

from pathlib import Path

from .formats import Columns, renamed
from .hub import hub_rows, is_source, parquet_rows, source
from .read import Reading, read_file, read_rows
from .sentences import Guess

PARQUET = ".parquet"


def read_source(
    where: Path,
    models_guess: Guess | None = None,
    columns: Columns | None = None,
    max_rows: int | None = None,
) -> Reading:
    """The facts in a file, or in hub:owner/name. Raises `UnreadableFile`, `NoSet`.

    `max_rows`: None for all rows of a file, and for as many of a data set as `hub.MAX_ROWS`.
    """
    if is_source(str(where)):
        limit = {} if max_rows is None else {"max_rows": max_rows}
        found, name = hub_rows(source(str(where)), **limit), str(where)
    elif where.suffix.lower() == PARQUET:
        found, name = parquet_rows(where, max_rows), "parquet"
    else:
        return read_file(where, models_guess, max_rows=max_rows, max_bytes=None, columns=columns)
    return read_rows(renamed(found, columns), name, models_guess, None)
