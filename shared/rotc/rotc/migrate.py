"""Makes the tables in a database of our own. A database Django made is left alone, but for the ocr columns if asked."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import asyncpg

from rotc.connection import Connection
from rotc.errors import MigrationRefused
from rotc.schema import tables_of
from rotc.sql import load

SQL = load("migrate")

OCR_MIGRATION = "0007_excuse_letter_ocr"


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a run did."""

    #: Names of the migrations this run applied; empty when there was nothing to do.
    applied: tuple[str, ...]
    #: Applied earlier by a newer version of this package, unknown to this one. They are left as they are.
    newer: tuple[str, ...]


@cache
def migrations() -> Mapping[str, str]:
    """The texts of rotc/migrations/*.sql by name, in the order they are applied."""
    folder = files("rotc").joinpath("migrations")
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return MappingProxyType({path.name.removesuffix(".sql"): path.read_text(encoding="utf-8") for path in paths})


def checksum(text: str) -> str:
    """SHA-256 of a migration, the same whatever the line ends of the checkout."""
    return hashlib.sha256("\n".join(text.splitlines()).encode()).hexdigest()


async def migrate(connection: Connection) -> Migrated:
    """Applies what is missing, all of it or nothing; safe to run again and by several at once.

    Raises: MigrationRefused.
    """
    async with connection.transaction():
        await connection.execute(SQL["lock"])
        if await connection.fetchval(SQL["django_database"]):
            raise MigrationRefused(
                "Django migrates this database (it has a table django_migrations), so nothing was changed: "
                "see what is missing by `python -m rotc check`, and add the ocr columns, if it is these, "
                "by `python -m rotc migrate --add-ocr-columns`."
            )
        history = await _history(connection)
        pending = [name for name in migrations() if name not in history]
        if not history:
            await _refuse_foreign_tables(connection)
        await connection.execute(SQL["use_public_schema"])
        for name in pending:
            await connection.execute(migrations()[name])
            await connection.execute(SQL["record"], name, checksum(migrations()[name]))
    return Migrated(tuple(pending), tuple(name for name in history if name not in migrations()))


async def add_ocr_columns(connection: Connection) -> None:
    """Adds the three ocr columns to excuse_letters where they are missing, in anybody's database; repeatable.

    Raises: MigrationRefused when there is no such table, or it is too busy to be altered.
    """
    try:
        async with connection.transaction():
            await connection.execute(SQL["give_up_waiting"])
            await connection.execute(migrations()[OCR_MIGRATION])
    except asyncpg.UndefinedTableError as error:
        raise MigrationRefused("There is no table excuse_letters to add the ocr columns to.") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused("This user may not alter excuse_letters: run it as the owner of the table.") from error
    except asyncpg.LockNotAvailableError as error:
        raise MigrationRefused(
            "excuse_letters was in use for 5 seconds; nothing was changed, try again later."
        ) from error


async def ensure_schema(connection: Connection) -> None:
    """Makes the schema `muster` unless it is there."""
    if await connection.fetchval(SQL["schema_exists"]):
        return
    # The tracker creates the schema too; the loser of that race finds it made, which is all it wanted.
    with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateSchemaError):
        async with connection.transaction():
            await connection.execute(SQL["create_schema"])


async def _history(connection: Connection) -> dict[str, str]:
    """Applied migrations and their checksums, after making sure none was edited since."""
    await ensure_schema(connection)
    await connection.execute(SQL["create_history"])
    history: dict[str, str] = {row["name"]: row["checksum"] for row in await connection.fetch(SQL["history"])}
    for name, text in migrations().items():
        if name in history and history[name] != checksum(text):
            raise MigrationRefused(
                f"Migration {name} was changed after it was applied to this database: "
                "restore the file and put the change into a new migration."
            )
    return history


async def _refuse_foreign_tables(connection: Connection) -> None:
    present = await connection.fetch(SQL["tables_present"], list(tables_of(migrations().values())))
    if present:
        names = ", ".join(row["name"] for row in present[:5])
        raise MigrationRefused(
            f"The database already has tables of these names which rotc did not make ({names}), "
            "so nothing was changed: use an empty database."
        )
