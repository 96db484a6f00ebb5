"""`muster dlq list`, `show` and `groups`: what failed for good, read straight from Kafka. Redriving is redrive.py's."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from muster.cli.dlq_options import (
    KindOption,
    SinceOption,
    TypeOption,
    instant_text,
    parse_since,
    plain,
    print_rows,
    reading_bar,
)
from muster.cli.letter_view import show_letter
from muster.cli.output import JsonOption, out, print_json, run
from muster.cli.redrive import redrive
from muster.client.letters import Choice, Letter, OnProgress, Rounds, read_letters
from muster.connect import reach, read_settings
from muster.contracts.errors import UnknownTask
from muster.observability.redaction import redact_text

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, and run them again.")
app.command()(redrive)

ERROR_LIMIT = 100


class LetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter in a list; `redriven`: a later letter of the same task shows that it ran again."""

    task_id: str
    task_type: str
    kind: str
    error: str
    message: str
    attempts: int
    redrive: int
    failed_at: datetime
    fingerprint: str
    partition: int
    offset: int
    redriven: bool = False


class Group(msgspec.Struct, kw_only=True):
    """Letters of one cause; the example is the latest one."""

    fingerprint: str
    count: int
    task_type: str
    kind: str
    error: str
    message: str
    first_at: datetime
    last_at: datetime
    example: str


@app.command("list")
def list_letters(
    task_type: TypeOption = None,
    kind: KindOption = None,
    since: SinceOption = None,
    text: Annotated[str | None, typer.Option(help="Only with this in the id, type, error or traceback.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many, the latest ones.", min=1, max=100_000)] = 50,
    json: JsonOption = False,
) -> None:
    """Show the latest dead letters. With --json, one line each.

    Examples:

      muster dlq list --since 2h --kind permanent

      muster dlq list --text "no image" --json -n 1000
    """

    async def work() -> tuple[list[LetterRow], int]:
        choice = Choice(task_type=task_type, kind=kind, since=parse_since(since), text=text)
        return await _latest(choice, limit)

    rows, total = run(work(), json=json)
    if json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        out.print("No dead letter fits.")
        return
    _print_rows(rows)
    if total > len(rows):
        out.print(f"The latest {len(rows):,} of {total:,}; --limit shows more.")


@app.command()
def show(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a task that failed.")], json: JsonOption = False
) -> None:
    """Show the latest dead letter of a task: why it failed, its headers, and its parameters without personal data.

    Example: muster dlq show 0198f6a2-7c1e-7d31-9f4e-0c2b7a1d5e90
    """

    async def work() -> tuple[Letter, int]:
        latest, count = None, 0
        with reading_bar("Reading dead letters") as bar:
            async with aclosing(_letters(bar)) as letters:
                async for letter in letters:
                    if letter.why.task_id == task_id:
                        count += 1
                        latest = letter if latest is None or _age(letter) >= _age(latest) else latest
        if latest is None:
            raise UnknownTask(f"no dead letter has the id {plain(task_id, 200)}")
        return latest, count

    show_letter(*run(work(), json=json), json=json)


@app.command()
def groups(
    task_type: TypeOption = None, kind: KindOption = None, since: SinceOption = None, json: JsonOption = False
) -> None:
    """Show dead letters by cause: how many, first and last, and one of them.

    Example: muster dlq groups --since 1d
    """

    async def work() -> list[Group]:
        return await _groups(Choice(task_type=task_type, kind=kind, since=parse_since(since)))

    found = run(work(), json=json)
    if json:
        print_json(found)
        return
    if not found:
        out.print("No dead letter fits.")
        return
    for group in found:
        out.print(_group_text(group))


def _letters(bar: OnProgress) -> AsyncGenerator[Letter, None]:
    broker, topics = reach(read_settings())
    return read_letters(broker, topics.dead_letter, bar)


async def _latest(choice: Choice, limit: int) -> tuple[list[LetterRow], int]:
    """The latest letters, newest first, and how many fit in all. Holds `limit` of them at a time."""
    rounds, total = Rounds(), 0
    kept: list[tuple[float, int, LetterRow]] = []
    with reading_bar("Reading dead letters") as bar:
        async with aclosing(_letters(bar)) as letters:
            async for letter in letters:
                rounds.note(letter.why)
                if choice.takes(letter):
                    total += 1
                    entry = (letter.why.failed_at.timestamp(), total, _row(letter))
                    (heapq.heappush if len(kept) < limit else heapq.heappushpop)(kept, entry)
    rows = [row for _, _, row in sorted(kept, reverse=True, key=lambda entry: entry[:2])]
    return [msgspec.structs.replace(row, redriven=not rounds.is_last(row.task_id, row.redrive)) for row in rows], total


async def _groups(choice: Choice) -> list[Group]:
    """Memory grows with the causes, not with the letters."""
    found: dict[str, Group] = {}
    with reading_bar("Reading dead letters") as bar:
        async with aclosing(_letters(bar)) as letters:
            async for letter in letters:
                if choice.takes(letter):
                    _count(found, letter)
    return sorted(found.values(), key=lambda group: -group.count)


def _count(found: dict[str, Group], letter: Letter) -> None:
    row = _row(letter)
    group = found.get(row.fingerprint)
    if group is None:
        group = found[row.fingerprint] = Group(
            fingerprint=row.fingerprint, count=0, task_type=row.task_type, kind=row.kind, error=row.error,
            message=row.message, first_at=row.failed_at, last_at=row.failed_at, example=row.task_id,
        )  # fmt: skip
    group.count += 1
    group.first_at = min(group.first_at, row.failed_at)
    if row.failed_at >= group.last_at:
        group.last_at, group.example, group.message = row.failed_at, row.task_id, row.message


def _row(letter: Letter) -> LetterRow:
    why = letter.why
    return LetterRow(
        task_id=why.task_id, task_type=why.task_type, kind=why.failure.kind, error=why.failure.error,
        message=redact_text(why.failure.message), attempts=why.attempt, redrive=why.redrive, failed_at=why.failed_at,
        fingerprint=letter.fingerprint, partition=letter.record.partition, offset=letter.record.offset,
    )  # fmt: skip


def _age(letter: Letter) -> tuple[int, float]:
    return letter.why.redrive, letter.why.failed_at.timestamp()


def _group_text(group: Group) -> Text:
    when = f"{instant_text(group.first_at)} to {instant_text(group.last_at)} UTC"
    head = f"{plain(group.fingerprint, 40):22}{group.count:>7,}  {plain(group.task_type, 40)}  {plain(group.kind, 20)}"
    return Text.assemble(
        (head, "bold"), f"  {when}\n", f"    {plain(f'{group.error}: {group.message}', ERROR_LIMIT)}\n",
        f"    for example {plain(group.example, 200)}",
    )  # fmt: skip


def _print_rows(rows: list[LetterRow]) -> None:
    print_rows(
        ("ID", "TYPE", "KIND", "WHEN (UTC)", "ATTEMPTS", "ROUND", "ERROR"),
        [
            (
                plain(row.task_id, 200), plain(row.task_type, 60), plain(row.kind, 20), instant_text(row.failed_at),
                str(row.attempts), f"{row.redrive + 1}{', redriven' if row.redriven else ''}",
                plain(f"{row.error}: {row.message}", ERROR_LIMIT),
            )
            for row in rows
        ],
    )  # fmt: skip
