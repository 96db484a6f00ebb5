"""Kafka records as workers, clients and the scheduler write them. Holds no test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from muster.contracts.dead_letter import Provenance, dead_letter_headers
from muster.contracts.envelope import Failure, HandedBack, TaskRecord
from muster.contracts.events import Abandoned, Event, Progressed, Revoked, Started, Succeeded, encode_event
from muster.contracts.topics import Topics
from muster.ports import Record

TOPICS = Topics("")
LANE = TOPICS.lane("media")
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


class Story:
    """Writes the records of one task, with offsets that grow as in Kafka."""

    def __init__(self, task_id: str = "t1", *, submitter: int | None = 7) -> None:
        self.task = TaskRecord(
            task_id=task_id, task_type="noop", body=b'{"number": 1}', submitted_at=at(0), submitter=submitter
        )
        self._offset = 0

    def lane(self, seconds: float = 0.1, **changes: Any) -> Record:
        return self._waiting(LANE, seconds, changes)

    def retry(self, seconds: float, *, attempt: int, worker: str = "w1", **changes: Any) -> Record:
        failure = Failure("error", "Boom", "it broke", worker, at(seconds - 1), at(seconds))
        changes = {"attempt": attempt, "failure": failure, "route": LANE, "not_before": at(seconds + 60)} | changes
        return self._waiting(TOPICS.retry, seconds, changes)

    def handed_back(self, seconds: float, *, delivery: int, worker: str = "w1", **changes: Any) -> Record:
        """The record by which `worker` gives back the delivery before `delivery`."""
        back = HandedBack(delivery - 1, delivery - 1, worker, at(seconds))
        changes = {"delivery": delivery, "handed_back": back, "route": LANE, "not_before": at(seconds)} | changes
        return self._waiting(TOPICS.retry, seconds, changes)

    def started(self, seconds: float, *, worker: str = "w1", offset: int = 5, **said: Any) -> Record:
        return self._event(Started(**self._said(seconds, worker, said), topic=LANE, partition=0, offset=offset))

    def abandoned(self, seconds: float, *, worker: str = "w1", offset: int = 5, **said: Any) -> Record:
        return self._event(Abandoned(**self._said(seconds, worker, said), topic=LANE, partition=0, offset=offset))

    def progressed(self, seconds: float, done: float, *, worker: str = "w1", **said: Any) -> Record:
        return self._event(Progressed(**self._said(seconds, worker, said), done=done, total=10, message="rows"))

    def succeeded(self, seconds: float, *, worker: str = "w1", **said: Any) -> Record:
        event = Succeeded(
            **self._said(seconds, worker, said), started_at=at(seconds - 1), result=msgspec.Raw(b'{"ok":true}')
        )
        return self._event(event)

    def revoked(self, seconds: float, *, worker: str = "w1", **said: Any) -> Record:
        return self._event(Revoked(**self._said(seconds, worker, said), reason="revoked", by=3))

    def dead(self, seconds: float, *, attempt: int = 1, delivery: int = 1, worker: str = "w1") -> Record:
        why = Provenance(
            task_id=self.task.task_id, task_type="noop", topic=LANE, partition=0, offset=5, timestamp_ms=0,
            attempt=attempt, delivery=delivery, failed_at=at(seconds),
            failure=Failure("permanent", "Bad", "no image", worker, at(seconds - 1)),
        )  # fmt: skip
        headers = tuple(dead_letter_headers(self.task.headers(), why))
        return Record(TOPICS.dead_letter, 0, self._next(), _ms(seconds), b"k", self.task.body, headers)

    def _waiting(self, topic: str, seconds: float, changes: dict[str, Any]) -> Record:
        task = msgspec.structs.replace(self.task, **changes)
        return Record(topic, 0, self._next(), _ms(seconds), task.key, task.body, tuple(task.headers()))

    def _said(self, seconds: float, worker: str, said: dict[str, Any]) -> dict[str, Any]:
        task = {"task_id": self.task.task_id, "task_type": "noop", "attempt": 1, "delivery": 1}
        return task | {"worker": worker, "at": at(seconds)} | said

    def _event(self, event: Event) -> Record:
        return Record(TOPICS.events, 0, self._next(), _ms(event.at.timestamp()), b"k", encode_event(event), ())

    def _next(self) -> int:
        self._offset += 1
        return self._offset


def _ms(seconds: float) -> int:
    """Seconds after BEGIN, or of the epoch when they are large."""
    return int((seconds if seconds > 1e6 else at(seconds).timestamp()) * 1000)
