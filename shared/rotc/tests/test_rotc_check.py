"""What `check` says of tables that are not as the services need them."""

from collections.abc import AsyncIterator

import pytest
from rotc.check import Finding, Kind, check, compare
from rotc.connection import Connection, connected
from rotc.migrate import migrate, migrations
from rotc.schema import Column, Table, tables_of

CADETS = Table({"id": Column("integer", True), "year_level": Column("integer", False)}, {frozenset({"id"})})


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[Connection]:
    async with connected(postgres) as open_connection:
        await migrate(open_connection)
        yield open_connection


def test_the_files_are_read_whole() -> None:
    tables = tables_of(migrations().values())

    assert len(tables) == 19
    assert tables["grades"].unique == {frozenset({"id"}), frozenset({"cadet_id"})}
    assert tables["excuse_letters"].columns["ocr_confidence"] == Column("double precision", required=False)


def test_every_kind_of_difference_is_told_apart() -> None:
    found = Table(
        {"id": Column("bigint", False), "year_level": Column("text", True), "rank": Column("text", True)},
        set(),
    )

    findings = compare({"cadets": CADETS, "users": Table()}, {"cadets": found}, {"cadets": {"rank"}})

    assert findings == [
        Finding(Kind.DIFFERENT_TYPE, "cadets.id", "integer", "bigint"),
        Finding(Kind.NULLS_ALLOWED, "cadets.id", "NOT NULL", "NULL"),
        Finding(Kind.DIFFERENT_TYPE, "cadets.year_level", "integer", "text"),
        Finding(Kind.NULLS_REFUSED, "cadets.year_level", "NULL", "NOT NULL"),
        Finding(Kind.MISSING_UNIQUE, "cadets", "(id)", ""),
        Finding(Kind.UNKNOWN_REQUIRED, "cadets.rank", "", "text"),
        Finding(Kind.MISSING_TABLE, "users", "0 columns", ""),
    ]


@pytest.mark.postgres
async def test_the_files_are_understood_as_postgresql_understands_them(connection: Connection) -> None:
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )

    read = {(name, column) for name, table in tables_of(migrations().values()).items() for column in table.columns}
    assert read == {tuple(row) for row in rows}


@pytest.mark.postgres
async def test_a_database_changed_by_hand_is_described_exactly(connection: Connection) -> None:
    await connection.execute(
        """
        ALTER TABLE cadets ALTER COLUMN year_level TYPE text, ADD COLUMN rank text NOT NULL;
        ALTER TABLE users ADD COLUMN lifetime integer NOT NULL DEFAULT 0;
        ALTER TABLE notifications ALTER COLUMN user_id DROP NOT NULL;
        ALTER TABLE grades DROP CONSTRAINT grades_cadet_id_key;
        DROP TABLE push_subscriptions;
        """
    )

    report = await check(connection)

    assert report.tables_found == 18
    assert set(report.findings) == {
        Finding(Kind.DIFFERENT_TYPE, "cadets.year_level", "integer", "text"),
        Finding(Kind.UNKNOWN_REQUIRED, "cadets.rank", "", "text"),
        Finding(Kind.NULLS_ALLOWED, "notifications.user_id", "NOT NULL", "NULL"),
        Finding(Kind.MISSING_UNIQUE, "grades", "(cadet_id)", ""),
        Finding(Kind.MISSING_TABLE, "push_subscriptions", "5 columns", ""),
    }
    assert report.remedy == ()


@pytest.mark.postgres
async def test_a_partial_unique_index_is_no_unique_constraint(connection: Connection) -> None:
    await connection.execute(
        """
        ALTER TABLE grades DROP CONSTRAINT grades_cadet_id_key;
        CREATE UNIQUE INDEX partly ON grades (cadet_id) WHERE merit_points > 0;
        """
    )

    assert [finding.kind for finding in (await check(connection)).findings] == [Kind.MISSING_UNIQUE]
