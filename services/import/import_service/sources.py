"""Gets the rows of a task, wherever they lie. What a row must be is domain's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import rotc.sources
from muster.contracts.errors import PermanentError
from muster.worker.context import Context
from muster.worker.files import FileReference

from import_service.domain.json_rows import UnreadableRows, rows_of_list, rows_of_text, split
from import_service.domain.rows import Row
from import_service.params import RowsAsJson, Wrapped
from import_service.resources import ImportResources

MAX_FILE_BYTES = 128 * 2**20
#: What a JSON text begins with that holds anything.
_JSON = ("[", "{", '"')


class NothingToImport(PermanentError):
    """What was given holds no rows, or cannot be read as rows."""


@dataclass(frozen=True)
class Rows:
    """The rows of one import; they can be gone through once, and are not all in memory at the same time."""

    total: int
    rows: Iterator[Row]
    #: What to tell the person who sent them.
    warnings: tuple[str, ...] = ()


async def json_rows(ctx: Context[ImportResources], source: RowsAsJson) -> Rows:
    """Raises: NothingToImport; UnusableSource for a text that is neither JSON nor a file; what fetching one raises."""
    match source:
        case list():
            return _some(Rows(len(source), rows_of_list(source)))
        case Wrapped():
            return _some(Rows(len(source.rows), rows_of_list(source.rows)))
        case FileReference():
            text: bytes | str = await ctx.fetch(source, max_bytes=MAX_FILE_BYTES)
        case str() if source.lstrip("\ufeff \t\r\n")[:1] in _JSON:
            text = source
        case str():
            # As the command line sends a file, and as other tasks take theirs.
            text = await rotc.sources.load(source, ctx.resources.fetcher, max_bytes=MAX_FILE_BYTES)
    try:
        parts = split(text)
    except UnreadableRows as error:
        raise NothingToImport(str(error)) from None
    return _some(Rows(len(parts), rows_of_text(parts)))


def _some(rows: Rows) -> Rows:
    if not rows.total:
        raise NothingToImport("there are no rows to import")
    return rows
