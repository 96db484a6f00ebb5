"""Sentences about reading and writing task records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.envelope import MAX_EXTRA_BYTES, Failure, TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.topics import MAX_BODY_BYTES

#: Nested deeper than any parser follows.
DEEP = b"[" * 100_000
_NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
_INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
_RECORDS = st.builds(
    TaskRecord,
    task_id=_NAMES,
    task_type=st.from_regex(r"[a-z_][a-z0-9_]{0,30}", fullmatch=True),
    body=st.binary(max_size=50),
    attempt=st.integers(1, 10_000),
    delivery=st.integers(1, 9),
    not_before=st.none() | _INSTANTS,
    expires=st.none() | _INSTANTS,
    route=st.none() | _NAMES,
    submitter=st.none() | st.integers(0, 2**31),
    order_key=st.none() | _NAMES,
    sequenced=st.integers(0, 9),
    redrive=st.integers(0, 9),
    unknown=st.integers(0, 60),
    submitted_at=st.none() | _INSTANTS,
    failure=st.none() | st.builds(Failure, kind=_NAMES, error=_NAMES, message=st.text(max_size=50)),
    extra=st.just((("x-unit", b"1002nd CDC"),)) | st.just(()),
)


@given(record=_RECORDS)
def test_what_is_written_is_read_again(record: TaskRecord) -> None:
    assert parse_task(record.headers(), record.body) == record


def test_a_foreign_producer_needs_only_an_id_and_a_type() -> None:
    record = parse_task([("ce_id", b"from-kcat-1"), ("ce_type", b"delete_cloudinary_image")], b'{"public_id":"a"}')

    assert (record.task_id, record.task_type, record.attempt) == ("from-kcat-1", "delete_cloudinary_image", 1)
    assert record.parameters() == {"public_id": "a"}


def test_unknown_headers_travel_on() -> None:
    record = parse_task([("ce_id", b"1"), ("ce_type", b"t"), ("x-trace", b"\xff\x00")], b"{}")

    assert ("x-trace", b"\xff\x00") in record.headers()


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([("ce_type", b"t")], "ce_id"),  # no id
        ([("ce_id", b"1")], "ce_type"),  # no type
        ([("ce_id", b"a b"), ("ce_type", b"t")], "without spaces"),  # an id that breaks a URL
        ([("ce_id", b"1"), ("ce_type", b"\xff")], "not UTF-8"),
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-attempt", b"0")], "task-attempt"),  # attempts begin at 1
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-attempt", b"1e9")], "task-attempt"),
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-expires", b"tomorrow")], "RFC 3339"),
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-expires", b"2026-01-01T00:00:00")], "offset"),  # no zone
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-failure", b"{")], "task-failure"),
        ([("ce_id", b"1"), ("ce_type", b"t"), ("task-failure", b'{"x":' + DEEP)], "task-failure"),
    ],
)
def test_a_bad_header_is_refused_by_name(headers: list[tuple[str, bytes]], said: str) -> None:
    with pytest.raises(InvalidRecord, match=said):
        parse_task(headers, b"{}")


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], b"x" * (MAX_BODY_BYTES + 1)),  # a retry of it would not fit
        ([("x-a", b"y" * (MAX_EXTRA_BYTES + 1))], b"{}"),
    ],
)
def test_what_could_not_travel_on_is_refused_at_once(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with pytest.raises(InvalidRecord, match="at most"):
        parse_task([("ce_id", b"1"), ("ce_type", b"t"), *headers], value)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"null", b"\xff\xfe", b"NaN", DEEP])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    record = parse_task([("ce_id", b"1"), ("ce_type", b"t")], body)

    with pytest.raises(InvalidRecord, match="JSON"):
        record.parameters()


def test_an_instant_with_any_offset_is_read_as_utc() -> None:
    headers = [("ce_id", b"1"), ("ce_type", b"t"), ("task-notbefore", b"2026-11-23T02:00:00+08:00")]

    record = parse_task(headers, b"{}")

    assert record.not_before == datetime(2026, 11, 22, 18, tzinfo=UTC)
    assert record.not_before.utcoffset() == timedelta(0)
