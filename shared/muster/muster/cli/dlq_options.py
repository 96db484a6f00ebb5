"""What the commands of `muster dlq` have in common: filters, the progress bar, safe text. The commands are beside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from muster.cli.output import err, out
from muster.cli.parameters import BadParameter, parse_instant
from muster.client.letters import OnProgress
from muster.contracts.states import FailureKind

TypeOption = Annotated[str | None, typer.Option("--type", help="Only of this task type.")]
KindOption = Annotated[FailureKind | None, typer.Option(help="Only failures of this kind.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Only those that failed since: 2h, 3d, or 2026-11-23T08:00:00Z.")
]
FingerprintOption = Annotated[str | None, typer.Option(help="Only of this group; `muster dlq groups` lists them.")]

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str | None) -> datetime | None:
    """An instant, or how long ago: 90s, 30m, 2h, 7d.

    Raises:
        BadParameter
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is None:
        return parse_instant(text)
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    except OverflowError:
        raise BadParameter(f"{text} ago lies before all time") from None


@contextmanager
def reading_bar(what: str) -> Iterator[OnProgress]:
    """A bar on a terminal, gone when the work is done; nothing elsewhere."""
    # Where results are printed to the same terminal, the bar must know of them to stay below.
    console = out if out.is_terminal else err
    columns = TextColumn("{task.description}", markup=False), BarColumn(bar_width=32), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        row = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(row, completed=done, total=total)


def plain(text: str, limit: int = 2000) -> str:
    """One line that cannot steer a terminal: whoever wrote the record chose its words."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:limit])
    return shown + ("..." if len(text) > limit else "")


def print_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, one line a row and nothing cut: ids stay whole, lines can be searched, a narrow terminal wraps them."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for number, row in enumerate([header, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out.print(Text(line, style="" if number else "bold"))


def instant_text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
