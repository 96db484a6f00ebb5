"""The demo data: the same for the same seed, in agreement with itself, and only ever in an empty database."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from rotc.connection import Connection, connected
from rotc.demo.dataset import build
from rotc.demo.load import load
from rotc.errors import DemoRefused
from rotc.migrate import migrate

GRADES_THAT_DISAGREE = """
    SELECT count(*)
    FROM grades AS g
    WHERE g.attendance_present <> (
            SELECT count(*) FROM attendance_records AS a WHERE a.cadet_id = g.cadet_id AND a.status = 'present')
       OR g.merit_points <> (
            SELECT coalesce(sum(points), 0) FROM merit_demerit_logs m
            WHERE m.cadet_id = g.cadet_id AND m.type = 'merit')
       OR g.demerit_points <> (
            SELECT coalesce(sum(points), 0) FROM merit_demerit_logs m
            WHERE m.cadet_id = g.cadet_id AND m.type = 'demerit')
"""
LETTERS_THAT_DISAGREE = """
    SELECT count(*)
    FROM excuse_letters AS l
    JOIN training_days AS d ON d.id = l.training_day_id
    LEFT JOIN attendance_records AS a ON a.cadet_id = l.cadet_id AND a.training_day_id = l.training_day_id
    WHERE a.status IS DISTINCT FROM (CASE l.status WHEN 'approved' THEN 'excused' ELSE 'absent' END)
       OR l.date_absent <> d.date
"""


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[Connection]:
    async with connected(postgres) as open_connection:
        yield open_connection


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    assert build(7, 60) == build(7, 60)
    assert build(7, 60)["cadets"] != build(8, 60)["cadets"]


def test_a_company_is_made_of_different_people_with_names_of_the_region() -> None:
    cadets = build(1, 60)["cadets"]

    assert {cadet["company"] for cadet in cadets} == {"Alpha"}
    assert len({(cadet["first_name"], cadet["last_name"]) for cadet in cadets}) == 60
    assert any(set("ñéóá") & set(cadet["first_name"] + cadet["last_name"]) for cadet in cadets)
    assert all(cadet["email"].isascii() and cadet["email"].endswith(".example") for cadet in cadets)
    assert all(cadet["middle_name"] != cadet["last_name"] for cadet in cadets)
    assert 0 < sum(not cadet["is_profile_completed"] for cadet in cadets) < 15


def test_nobody_can_log_in_and_one_waits_for_approval() -> None:
    users = build(1, 60)["users"]

    assert all(user["password"].startswith("!") for user in users)
    assert [user["role"] for user in users if not user["is_approved"]] == ["cadet"]
    assert {user["role"] for user in users} == {"admin", "training_staff", "cadet"}


@pytest.mark.postgres
async def test_the_tables_agree_with_each_other(connection: Connection) -> None:
    await migrate(connection)

    loaded = await load(connection, seed=1, cadets=60)

    assert loaded.rows["attendance_records"] == 15 * 60
    assert loaded.rows["user_settings"] == loaded.rows["users"] == 65
    assert await connection.fetchval("SELECT count(*) FROM excuse_letters") > 10
    assert await connection.fetchval(GRADES_THAT_DISAGREE) == 0
    assert await connection.fetchval(LETTERS_THAT_DISAGREE) == 0


@pytest.mark.postgres
async def test_a_second_time_changes_nothing_even_at_the_same_moment(postgres: str, connection: Connection) -> None:
    await migrate(connection)

    async def run() -> bool:
        async with connected(postgres) as own:
            return (await load(own, seed=1, cadets=5)).written

    written = await asyncio.gather(run(), run(), run())

    assert sorted(written) == [False, False, True]
    assert await connection.fetchval("SELECT count(*) FROM cadets") == 5


@pytest.mark.postgres
async def test_the_next_cadet_gets_the_next_id(connection: Connection) -> None:
    await migrate(connection)
    await load(connection, seed=1, cadets=5)

    next_id = await connection.fetchval(
        "INSERT INTO cadets (student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at) "
        "VALUES ('x', 'a', 'b', 'Ongoing', false, false, now()) RETURNING id"
    )

    assert next_id == 6


@pytest.mark.postgres
async def test_other_data_is_refused_and_left_alone(connection: Connection) -> None:
    await migrate(connection)
    await connection.execute("INSERT INTO training_days (date, title, created_at) VALUES ('2025-01-04', 'Ours', now())")

    with pytest.raises(DemoRefused, match=r"data which is not the demo's \(in training_days\)"):
        await load(connection, seed=1, cadets=5)

    assert await connection.fetchval("SELECT count(*) FROM cadets") == 0


@pytest.mark.postgres
async def test_another_seed_and_missing_tables_are_refused(connection: Connection) -> None:
    with pytest.raises(DemoRefused, match="rotc migrate"):
        await load(connection, seed=1, cadets=5)
    await migrate(connection)
    await load(connection, seed=1, cadets=5)

    with pytest.raises(DemoRefused, match="demo data of seed 1 with 5 cadets already"):
        await load(connection, seed=2, cadets=5)
