"""Making the tables: once, by one runner, in a database that is ours, exactly as the files say."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from rotc import migrate as migrating
from rotc.check import Kind, Owner, check
from rotc.connection import Connection, connected
from rotc.errors import DatabaseUnreachable, MigrationRefused
from rotc.migrate import add_ocr_columns, checksum, migrate, migrations

pytestmark = pytest.mark.postgres

TABLES_AND_DEFAULTS = """
    SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'public') AS tables,
           (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND condeferred AND confdeltype = 'a') AS keys,
           (SELECT count(*) FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public') AS defaults,
           (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relkind = 'r' AND a.attname = 'id' AND a.attidentity = 'd') AS identities,
           (SELECT string_agg(key || '=' || value, ', ' ORDER BY key) FROM system_settings) AS settings
"""


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[Connection]:
    async with connected(postgres) as open_connection:
        yield open_connection


async def make_django_database(connection: Connection) -> None:
    """As the backend's migrations leave it: no ocr columns, and a history of its own."""
    for name, text in migrations().items():
        if name != migrating.OCR_MIGRATION:
            await connection.execute(text)
    await connection.execute("CREATE TABLE django_migrations (id bigint PRIMARY KEY)")


async def test_an_empty_database_gets_the_backends_tables(connection: Connection) -> None:
    done = await migrate(connection)

    row = await connection.fetchrow(TABLES_AND_DEFAULTS)
    assert row is not None
    assert list(done.applied) == list(migrations())
    assert (row["tables"], row["keys"], row["identities"]) == (19, 14, 19)
    assert row["defaults"] == 0  # Django has none in the database either
    assert row["settings"] == (
        "current_battalion=MSU-SND ROTC, maintenance_mode=false, school_year=2024-2025, semester=1st"
    )
    report = await check(connection)
    assert (report.ok, report.owner, report.tables_found) == (True, Owner.ROTC, 19)


async def test_a_user_called_like_our_schema_finds_the_tables_where_everybody_does(connection: Connection) -> None:
    await connection.execute("CREATE SCHEMA muster; SET search_path = muster, public")

    await migrate(connection)

    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 19
    assert await connection.fetchval("SHOW search_path") == "muster, public"


async def test_runners_at_the_same_moment_apply_each_migration_once(postgres: str) -> None:
    async def run() -> int:
        async with connected(postgres) as own:
            return len((await migrate(own)).applied)

    counts = await asyncio.gather(*(run() for _ in range(5)))

    assert sorted(counts) == [0, 0, 0, 0, len(migrations())]


async def test_an_edited_migration_is_refused(connection: Connection) -> None:
    await migrate(connection)
    await connection.execute("UPDATE muster.rotc_migrations SET checksum = 'x' WHERE name = '0003_activities'")

    with pytest.raises(MigrationRefused, match="0003_activities was changed after it was applied"):
        await migrate(connection)


async def test_a_newer_versions_migration_is_left_alone_and_named(connection: Connection) -> None:
    await migrate(connection)
    await connection.execute("INSERT INTO muster.rotc_migrations VALUES ('9999_later', 'x', now())")

    assert await migrate(connection) == migrating.Migrated(applied=(), newer=("9999_later",))


async def test_other_peoples_tables_are_refused_and_nothing_is_left_behind(connection: Connection) -> None:
    await connection.execute("CREATE TABLE cadets (id serial PRIMARY KEY, rank text)")

    with pytest.raises(MigrationRefused, match=r"rotc did not make \(cadets\)"):
        await migrate(connection)

    assert await connection.fetchval("SELECT to_regnamespace('muster') IS NULL")


async def test_a_django_database_is_refused_checked_and_completed_only_on_request(connection: Connection) -> None:
    await make_django_database(connection)

    with pytest.raises(MigrationRefused, match=r"Django migrates this database.*--add-ocr-columns"):
        await migrate(connection)
    before = await check(connection)
    await add_ocr_columns(connection)
    await add_ocr_columns(connection)  # repeatable
    after = await check(connection)

    assert before.owner is Owner.DJANGO
    assert {(finding.kind, finding.where) for finding in before.findings} == {
        (Kind.MISSING_COLUMN, f"excuse_letters.{name}") for name in ("ocr_text", "ocr_confidence", "ocr_processed_at")
    }
    assert len(before.remedy) == 3
    assert after.ok
    assert await connection.fetchval("SELECT to_regnamespace('muster') IS NULL")  # no trace of ours


async def test_the_remedy_is_sql_that_works_as_printed(connection: Connection) -> None:
    await make_django_database(connection)

    for statement in (await check(connection)).remedy:
        await connection.execute(statement)

    assert (await check(connection)).ok


async def test_a_table_in_use_is_not_waited_for_for_ever(
    connection: Connection, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_django_database(connection)
    monkeypatch.setattr(migrating, "SQL", {**migrating.SQL, "give_up_waiting": "SET LOCAL lock_timeout = '50ms'"})

    async with connected(postgres) as reader, reader.transaction():
        await reader.execute("SELECT 1 FROM excuse_letters")
        with pytest.raises(MigrationRefused, match="in use"):
            await add_ocr_columns(connection)


async def test_ocr_columns_need_a_table(connection: Connection) -> None:
    with pytest.raises(MigrationRefused, match="no table excuse_letters"):
        await add_ocr_columns(connection)


async def test_an_unreachable_database_is_one_sentence_without_the_password() -> None:
    with pytest.raises(DatabaseUnreachable) as refused:
        async with connected("postgresql://cadet:s3cret@127.0.0.1:1/rotc?channel_binding=require"):
            raise AssertionError("nobody listens there")

    assert str(refused.value).startswith("Cannot connect to the database of DATABASE_URL: ")
    assert "s3cret" not in str(refused.value)


def test_a_checksum_does_not_depend_on_line_ends() -> None:
    assert checksum("a\nb\n") == checksum("a\r\nb\r\n") != checksum("a\nc\n")
