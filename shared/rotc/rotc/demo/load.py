"""Writes the demo data into an empty database, once. What the data is, dataset.py decides."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg

from rotc.connection import Connection
from rotc.demo.dataset import build
from rotc.demo.people import Row
from rotc.demo_photos import portrait_jpeg
from rotc.errors import DemoRefused
from rotc.migrate import ensure_schema
from rotc.sql import load as load_queries

SQL = load_queries("demo")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The demo data now in the database."""

    #: False when it had been there before and nothing was changed.
    written: bool
    seed: int
    cadets: int
    #: Rows by table.
    rows: dict[str, int]


async def load(connection: Connection, *, seed: int, cadets: int) -> Loaded:
    """Fills the tables, all of them or none; a second time with the same arguments changes nothing.

    Raises: DemoRefused when there is other data, or no tables.
    """
    try:
        async with connection.transaction():
            await connection.execute(SQL["lock"])
            there = await _loaded_before(connection)
            if there is None:
                return await _write(connection, seed, cadets)
    except asyncpg.UndefinedTableError as error:
        raise DemoRefused("The tables are missing: make them first by `python -m rotc migrate`.") from error
    if (there.seed, there.cadets) != (seed, cadets):
        raise DemoRefused(
            f"The database holds the demo data of seed {there.seed} with {there.cadets} cadets already: "
            "use another database."
        )
    return there


async def _loaded_before(connection: Connection) -> Loaded | None:
    if not await connection.fetchval(SQL["marker_exists"]):
        return None
    marker = await connection.fetchrow(SQL["marker"])
    return None if marker is None else Loaded(False, marker["seed"], marker["cadets"], json.loads(marker["rows"]))


async def _write(connection: Connection, seed: int, cadets: int) -> Loaded:
    occupied = [row["name"] for row in await connection.fetch(SQL["occupied_tables"])]
    if occupied:
        raise DemoRefused(
            f"The database has data which is not the demo's (in {', '.join(occupied)}), so nothing was written: "
            "use an empty database."
        )
    tables = build(seed, cadets)
    for table, rows in tables.items():
        await _copy(connection, table, rows)
    counts = {table: len(rows) for table, rows in tables.items()}
    await ensure_schema(connection)
    await connection.execute(SQL["create_marker"])
    await connection.execute(SQL["record"], seed, cadets, json.dumps(counts))
    return Loaded(True, seed, cadets, counts)


async def _copy(connection: Connection, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    await connection.copy_records_to_table(table, columns=columns, records=[list(row.values()) for row in rows])
    await connection.execute(SQL["move_sequence"], table, rows[-1]["id"])


def photos(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """File names and JPEG portraits of the first cadets of this seed."""
    for number in range(1, count + 1):
        yield f"cadet_{number:03d}.jpg", portrait_jpeg(seed, number)
