"""What a submission becomes before anything is sent."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from muster.client import prepare
from muster.client.submission import new_task_id
from muster.contracts.envelope import parse_task
from muster.contracts.errors import SubmitRefused
from muster.contracts.topics import MAX_BODY_BYTES, Topics

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TOPICS = Topics("t.")


def test_a_plain_submission_goes_to_its_lane_as_a_readable_record() -> None:
    submission = prepare("greet", {"name": "Juan"}, now=NOW, submitter=7)
    record = submission.record(TOPICS.lane("media"), now=NOW)

    read = parse_task(record.headers(), record.body)

    assert submission.topic(TOPICS, TOPICS.lane("media")) == "t.tasks.media.default"
    assert (read.task_type, read.submitter) == ("greet", 7)
    assert read.parameters() == {"name": "Juan"}
    assert read.submitted_at == NOW
    assert read.route is None


@pytest.mark.parametrize("countdown", [None, 90])
def test_a_submission_with_an_order_key_takes_its_place_in_the_waiting_room(countdown: float | None) -> None:
    submission = prepare("greet", {}, now=NOW, order_key="cadet-3", countdown=countdown)
    record = submission.record("t.tasks.media.high", now=NOW)

    assert submission.topic(TOPICS, "t.tasks.media.high") == "t.tasks.keyed"
    assert (record.key, record.order_key, record.route) == (b"cadet-3", "cadet-3", "t.tasks.media.high")
    assert (record.not_before is None) == (countdown is None)


def test_a_delayed_submission_goes_to_the_retry_topic_and_names_its_lane() -> None:
    submission = prepare("greet", {}, now=NOW, countdown=90)
    record = submission.record("t.tasks.media.high", now=NOW)
    assert submission.topic(TOPICS, "t.tasks.media.high") == "t.tasks.retry"
    assert record.route == "t.tasks.media.high"
    assert record.not_before == NOW + timedelta(seconds=90)


def test_what_is_due_already_takes_the_direct_way() -> None:
    submission = prepare("greet", {}, now=NOW, eta=NOW - timedelta(minutes=1))
    assert submission.topic(TOPICS, "t.tasks.media.high") == "t.tasks.media.high"


def test_values_that_json_does_not_know_get_their_usual_form() -> None:
    given: dict[str, Any] = {
        "image": b"\x00\xff",
        "buffer": bytearray(b"ab"),
        "when": NOW,
        "id": uuid.UUID(int=5),
        "price": Decimal("1.20"),
        "size": (1920, 1080),
    }
    assert json.loads(prepare("x", given, now=NOW).body) == {
        "image": "AP8=",
        "buffer": "YWI=",
        "when": "2026-11-23T08:00:00Z",
        "id": "00000000-0000-0000-0000-000000000005",
        "price": "1.20",
        "size": [1920, 1080],
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lane": "urgent"}, "use high, default or bulk"),
        ({"countdown": 5, "eta": NOW}, "not both"),
        ({"countdown": -1}, "seconds from 0 to a year"),
        ({"countdown": float("nan")}, "seconds from 0 to a year"),
        ({"countdown": True}, "seconds from 0 to a year"),
        ({"eta": datetime(2026, 11, 24)}, "no time zone"),  # noqa: DTZ001
        ({"eta": NOW + timedelta(days=400)}, "more than a year away"),
        ({"expires": "soon"}, "seconds from 0 to a year"),
        ({"task_id": "has space"}, "ce_id"),
        ({"task_id": "x" * 201}, "ce_id"),
        ({"task_id": "a", "idempotency_key": "b"}, "not both"),
        ({"order_key": "x" * 2000}, "task-key"),
    ],
)
def test_what_cannot_be_run_is_refused_with_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SubmitRefused, match=sentence):
        prepare("greet", {}, now=NOW, **options)


@pytest.mark.parametrize("name", ["", "1st", "a b", "x" * 300, "naïve"])
def test_a_task_type_must_be_a_name(name: str) -> None:
    with pytest.raises(SubmitRefused, match="ce_type"):
        prepare(name, {}, now=NOW)


def test_a_value_without_a_json_form_is_named() -> None:
    with pytest.raises(SubmitRefused, match="object has no JSON form"):
        prepare("greet", {"what": object()}, now=NOW)


def test_parameters_too_large_for_kafka_are_refused_before_they_are_sent() -> None:
    with pytest.raises(SubmitRefused, match="send large files as an https:// URL"):
        prepare("greet", {"file": "x" * MAX_BODY_BYTES}, now=NOW)


def test_ids_grow_with_time_and_never_repeat() -> None:
    ids = [new_task_id("greet") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {uuid.UUID(task_id).version for task_id in ids} == {7}
    assert [task_id[:8] for task_id in ids] == sorted(task_id[:8] for task_id in ids)


def test_an_idempotency_key_names_one_task_per_type() -> None:
    first, again = (prepare("greet", {}, now=NOW, idempotency_key="order-1").task_id for _ in range(2))
    other = prepare("leave", {}, now=NOW, idempotency_key="order-1").task_id
    assert first == again != other


def test_what_the_api_would_drop_is_refused_instead() -> None:
    with pytest.raises(SubmitRefused, match="the API"):
        prepare("greet", {}, now=NOW, task_id="mine").request()


def test_a_submitter_is_named_to_the_api_which_knows_who_may() -> None:
    assert prepare("greet", {}, now=NOW, submitter=7).request()["submitter"] == 7


def test_the_request_to_the_api_says_only_what_was_given() -> None:
    body = prepare("greet", {"a": 1}, now=NOW, idempotency_key="k", lane="bulk").request()
    assert body.keys() == {"name", "parameters", "lane", "idempotency_key"}
