"""References, keys and garbage: what a hostile record may not reach, and what may be removed."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.claim_check import (
    DEAD_LETTER_KEPT,
    GRACE,
    Key,
    Reference,
    Standing,
    can_hold,
    is_garbage,
    is_intact,
    parse_key,
    refer,
)
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.states import TERMINAL, TaskState

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
KEPT = timedelta(days=7)
SHA = hashlib.sha256(b"data").hexdigest()
KEY = Key(date(2026, 11, 30), "task-1", SHA)


def test_a_reference_travels_in_a_header_and_comes_back() -> None:
    reference = refer("task-1", b"data", now=NOW)
    task = TaskRecord(task_id="task-1", task_type="t", body=b"", reference=reference)

    again = parse_task(task.headers(), b"")

    assert again.reference == reference
    assert (reference.ref, reference.size) == (f"2026-11-30/task-1/{SHA}", 4)
    assert (reference.key_for("task-1"), is_intact(b"data", reference)) == (KEY, True)


def test_a_task_that_is_due_later_may_need_its_payload_so_much_longer() -> None:
    reference = refer("task-1", b"data", now=NOW, due=NOW + timedelta(days=300))

    assert reference.key.keep_until == (NOW + timedelta(days=300) + GRACE).date()


@pytest.mark.parametrize(
    "ref",
    [
        *("", "/etc/passwd", "file:///etc/passwd", "s3://other/bucket", "https://169.254.169.254/latest"),
        *(f"../2026-11-30/task-1/{SHA}", f"2026-11-30/../{SHA}", f"2026-11-30/task-1/../task-2/{SHA}"),
        *(f"2026-11-30/task-1/{SHA}/..", f"2026-11-30/task-1/{SHA}\n", f"2026-13-40/task-1/{SHA}"),
        *(f"2026-11-30/./{SHA}", f"2026-11-30/a%2Fb/{SHA}", f"2026-11-30//{SHA}", f"2026-11-30/task-1/{SHA.upper()}"),
    ],
)
def test_a_record_can_name_nothing_but_a_key(ref: str) -> None:
    header = ("task-claim-check", msgspec.json.encode({"ref": ref, "size": 4}))

    with pytest.raises(InvalidRecord, match="ref must read"):
        parse_task([("ce_id", b"task-1"), ("ce_type", b"t"), header], b"")


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"ref": 1, "size": 1}', b'{"ref": "x"}', b"\xff"])
def test_a_header_that_cannot_be_read_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRecord, match="task-claim-check"):
        parse_task([("ce_id", b"task-1"), ("ce_type", b"t"), ("task-claim-check", raw)], b"")


def test_a_task_may_not_read_what_another_one_brought() -> None:
    with pytest.raises(InvalidRecord, match="names another task"):
        refer("task-1", b"data", now=NOW).key_for("task-2")


@given(st.text(max_size=300))
def test_an_id_that_can_hold_payloads_is_one_harmless_path_segment(task_id: str) -> None:
    if can_hold(task_id):
        key = Key(date(2026, 11, 30), task_id, SHA)
        assert parse_key(str(key)) == key
        assert not {"/", "\\", ".", "%", "\0", "\n"} & set(task_id)


@pytest.mark.parametrize("data", [b"", b"dat", b"data!", b"dato"])
def test_any_other_content_is_found_out(data: bytes) -> None:
    assert not is_intact(data, Reference(ref=str(KEY), size=4))


def standing(state: TaskState, days_ago: float) -> Standing:
    return Standing(state, NOW - timedelta(days=days_ago) if state in TERMINAL else None)


@pytest.mark.parametrize(
    ("found", "day", "garbage"),
    [
        # Nobody has heard of the task: only after its grace.
        (None, date(2026, 11, 24), False),
        (None, date(2026, 11, 23), False),
        (None, date(2026, 11, 22), True),
        # It has not ended, however old its payload.
        (standing(TaskState.PENDING, 0), date(2025, 1, 1), False),
        (standing(TaskState.STARTED, 0), date(2025, 1, 1), False),
        (standing(TaskState.RETRY, 0), date(2025, 1, 1), False),
        # It has ended well.
        (standing(TaskState.SUCCESS, 6.9), date(2026, 1, 1), False),
        (standing(TaskState.SUCCESS, 7.1), date(2026, 1, 1), True),
        (standing(TaskState.REVOKED, 7.1), date(2026, 1, 1), True),
        (standing(TaskState.SUCCESS, 7.1), date(2026, 11, 23), False),
        # Its dead letter can be redriven for 90 days.
        (standing(TaskState.FAILURE, 90.5), date(2026, 1, 1), False),
        (standing(TaskState.FAILURE, DEAD_LETTER_KEPT.days + 0.1), date(2026, 1, 1), True),
    ],
)
def test_only_what_nobody_can_ask_for_again_is_garbage(found: Standing | None, day: date, garbage: bool) -> None:
    assert is_garbage(Key(day, "task-1", SHA), found, now=NOW, kept=KEPT) is garbage


@given(st.sampled_from(sorted(TaskState)), st.integers(0, 400), st.integers(-400, 400), st.integers(0, 30))
def test_nothing_is_removed_while_a_dead_letter_or_an_open_task_needs_it(
    state: TaskState, ended: int, day: int, kept: int
) -> None:
    key = Key((NOW + timedelta(days=day)).date(), "task-1", SHA)
    if is_garbage(key, standing(state, ended), now=NOW, kept=timedelta(days=kept)):
        assert state in TERMINAL
        assert ended >= (90 if state is TaskState.FAILURE else kept)
        assert day < 0
