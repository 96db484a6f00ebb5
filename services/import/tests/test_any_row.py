"""Whatever a row holds, it is loaded or refused: nothing raises, nothing is copied that the tables could not hold."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_service.domain.cadets import CADET_UPDATES, CADETS
from import_service.domain.rows import Row
from import_service.domain.validation import Validation
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import Succeed
from rotc.connection import connected
from rotc.migrate import migrate

ADMIN = """INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'a', 'a@x', '', 'admin', true, now())"""
NAMES = [column.name for column in CADETS.columns]
#: Values that broke one program or another; each is put into each column.
NASTY: list[Any] = [
    "", " ", "\0", "a\0b", "\u202etfel", "\N{ZERO WIDTH SPACE}", "é" * 400, "x" * 10_000, "𝄞" * 60, "'; --", "%s", "{}",
    "NULL", "\\N", "\\.", "\t", "a\r\nb", "-0", "+5", "1e5", "0x1F", "1_000", "٣", "９", 0, -1, 2**31, -(2**31), 2**63,
    10**18, 0.1, -0.0, 1e300, True, False, None, [], {}, [None], {"a": {"b": 1}}, "0001-01-01", "9999-12-31",
    "2024-02-29", "2023-02-29", "2024-02-29T23:59:59+14:00", "2024-W01-1", "24:00", "infinity",
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
keys = st.sampled_from([*NAMES, "cadet_id", "studentId", "id", "rank"]) | st.text(max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, values, max_size=6))
def test_any_row_is_a_record_or_errors(row: dict[str, Any]) -> None:
    for entity in (CADETS, CADET_UPDATES):
        checked = Validation(entity).check(Row(1, row))
        if isinstance(checked, list):
            assert checked
            assert all(error.row == 1 and error.field and error.code and error.message for error in checked)
        else:
            assert all(_can_be_stored(value) for value in checked)


def _can_be_stored(value: object) -> bool:
    if isinstance(value, str):
        return "\0" not in value and bool(value.encode())
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**31) <= value < 2**31
    return value is None or isinstance(value, datetime.date | list)


@pytest.mark.postgres
@pytest.mark.parametrize("strategy", ["skip", "update"])
async def test_every_nasty_value_in_every_column_is_taken_or_refused(postgres: str, strategy: str) -> None:
    rows = [
        {"student_id": f"{number}-{column}", "first_name": "Ana", "last_name": "Cruz", column: value}
        for column in NAMES
        for number, value in enumerate(NASTY)
    ]
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ADMIN)
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        harness = TaskHarness(app, ImportResources(pool, effects, _NoHost(), _NoHost()), SystemClock())

        for task_id in ("first", "second"):
            sent = {"json_data": rows, "user_id": 1, "merge_strategy": strategy}
            outcome = await harness.run("import_rotcmis_data", sent, task_id=task_id)
            assert isinstance(outcome, Succeed), outcome
            result = json.loads(outcome.result)
            ends = ("created_count", "updated_count", "skipped_count", "error_count")
            assert sum(result[end] for end in ends) == len(rows)

        # What was taken is what is there: the second import found nothing to change.
        assert (result["created_count"], result["updated_count"]) == (0, 0)
        assert result["skipped_count"] == await pool.fetchval("SELECT count(*) FROM cadets")


class _NoHost:
    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://storage.invalid/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return False

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched")
