"""The command line `python -m rotc` (also `muster-db`): says things to a person or as JSON, and decides nothing itself.

Exit codes: 0 all is well, 1 `check` found something missing, 2 the command could not be done.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import asyncpg
import typer

from rotc import check as checking
from rotc import migrate as migrating
from rotc.connection import Connection, connected
from rotc.demo.load import load as load_demo
from rotc.demo.load import photos
from rotc.demo.rotcmis import export_text
from rotc.errors import RotcError

T = TypeVar("T")

app = typer.Typer(
    help="The ROTC Grading System's tables: check an existing database, make one, or fill one with demo data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Database = Annotated[
    str, typer.Option("--database-url", envvar="DATABASE_URL", help="postgresql://user:password@host/name")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same people, marks and photos.")]

MADE_BY = {
    checking.Owner.DJANGO: ", made by Django",
    checking.Owner.ROTC: ", made by `rotc migrate`",
    checking.Owner.NOBODY: "",
}

DJANGO_HINT = """These columns are in the backend's model but in none of its migrations. Add them by
    python -m rotc migrate --add-ocr-columns
or by this SQL:
{sql}
If the backend later makes a migration of its own for them, apply that one with --fake."""


def _run(database_url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def connect_and_work() -> T:
        async with connected(database_url) as connection:
            return await work(connection)

    return asyncio.run(connect_and_work())


@app.command(epilog="Example: python -m rotc check --database-url postgresql://localhost/rotc --json")
def check(database_url: Database, as_json: AsJson = False) -> None:
    """Say what the services would miss in a database. Only reads; exit code 1 when something is missing."""
    report = _run(database_url, checking.check)
    typer.echo(_report_json(report) if as_json else _report_text(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command(epilog="Example: python -m rotc migrate --database-url postgresql://localhost/rotc")
def migrate(
    database_url: Database,
    add_ocr_columns: Annotated[
        bool, typer.Option("--add-ocr-columns", help="Only add the ocr columns, also to Django's tables.")
    ] = False,
) -> None:
    """Make the tables in an empty database, or bring ours up to date. Refuses a database that Django migrates."""
    if add_ocr_columns:
        _run(database_url, migrating.add_ocr_columns)
        typer.echo("excuse_letters has the columns ocr_text, ocr_confidence and ocr_processed_at.")
        return
    done = _run(database_url, migrating.migrate)
    for name in done.applied:
        typer.echo(f"applied {name}")
    if not done.applied:
        typer.echo("Nothing to do: the tables are up to date.")
    if done.newer:
        typer.echo(f"Left alone, from a newer version than this: {', '.join(done.newer)}")


@app.command(epilog="Example: python -m rotc demo --seed 7 --cadets 60 --json")
def demo(
    database_url: Database,
    seed: Seed = 1,
    cadets: Annotated[int, typer.Option(min=1, max=5000, help="How many cadets; every 60 are a company.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with a company of cadets. Twice changes nothing; other people's data is refused."""
    loaded = _run(database_url, lambda connection: load_demo(connection, seed=seed, cadets=cadets))
    if as_json:
        typer.echo(json.dumps(asdict(loaded)))
        return
    typer.echo("Written:" if loaded.written else "Already there, nothing changed:")
    for table, count in loaded.rows.items():
        typer.echo(f"  {count:6,}  {table}")


@app.command("photos", epilog="Example: python -m rotc photos ./photos --count 12 --seed 7")
def write_photos(
    folder: Annotated[Path, typer.Argument(help="Where to put cadet_001.jpg and so on; made when missing.")],
    count: Annotated[int, typer.Option(min=1, max=5000)] = 12,
    seed: Seed = 1,
) -> None:
    """Draw portraits of the demo's cadets, to upload as samples."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, jpeg in photos(seed, count):
        (folder / name).write_bytes(jpeg)
    typer.echo(f"{count} portraits in {folder}")


@app.command("rotcmis", epilog="Example: python -m rotc rotcmis cadets.json --cadets 1000 --camel-case")
def write_rotcmis(
    file: Annotated[Path, typer.Argument(help="Where to write the export.")],
    cadets: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
    seed: Seed = 1,
    camel_case: Annotated[bool, typer.Option("--camel-case", help="studentId instead of student_id.")] = False,
) -> None:
    """Write a ROTCMIS export of invented cadets, to import as a sample."""
    file.write_text(export_text(seed, cadets, camel_case=camel_case), encoding="utf-8")
    typer.echo(f"{cadets:,} cadets in {file}")


def _report_json(report: checking.Report) -> str:
    return json.dumps({"ok": report.ok, **asdict(report), "remedy": report.remedy})


def _report_text(report: checking.Report) -> str:
    lines = [f"{report.tables_found} of {report.tables_expected} tables are there{MADE_BY[report.owner]}."]
    if report.ok:
        return "\n".join([*lines, "Nothing is missing."])
    lines += [""] + [
        f"{finding.kind:<25} {finding.where:<36} {_difference(finding)}".rstrip() for finding in report.findings
    ]
    if report.remedy:
        sql = "\n".join(f"    {statement}" for statement in report.remedy)
        lines += ["", DJANGO_HINT.format(sql=sql)]
    if report.owner is checking.Owner.NOBODY and report.tables_found == 0:
        lines += ["", "The database is empty: make the tables by `python -m rotc migrate`."]
    return "\n".join(lines)


def _difference(finding: checking.Finding) -> str:
    return (
        f"{finding.expected}, found {finding.found}"
        if finding.expected and finding.found
        else (finding.expected or finding.found)
    )


def main() -> None:
    """Runs the command line; what a person can act on is one sentence on stderr, not a traceback."""
    try:
        app()
    except RotcError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except asyncpg.PostgresError as error:
        # Its detail and context may quote rows; the message alone names what was refused.
        typer.echo(f"Error: The database refused: {error.args[0]}", err=True)
        sys.exit(2)
