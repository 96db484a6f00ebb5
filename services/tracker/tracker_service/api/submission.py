"""POST /tasks: checks what a caller asks for, writes the record, then its row. Running it is a worker's business."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from muster.claim_check import hand_in
from muster.contracts.catalog import TaskDescription
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord, Problem
from muster.contracts.topics import MAX_BODY_BYTES, Lane
from muster.observability.logging import get_logger
from muster.observability.tracing import sending
from muster.ports import Record
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError
from tracker_service.api.on_behalf import acting
from tracker_service.projection.fold import Fold

#: The same key from the same caller for the same task type always names the same task.
_KEYED_IDS = uuid.UUID("b3c0a7de-52b5-5d1c-9a41-7f8a4c0f6e02")
_YEAR = timedelta(days=366)
_log = get_logger(__name__)
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))"


class Submission(BaseModel):
    """What a caller asks for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="Task type, as GET /catalog lists it.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Named parameters, by the type's schema.")
    countdown: float | None = Field(None, ge=0, le=_YEAR.total_seconds(), description="Seconds before the start.")
    eta: datetime | None = Field(None, description="Not before this instant (with its offset).")
    expires: datetime | float | None = Field(None, description="Not after this instant, or these seconds.")
    lane: Lane | None = Field(None, description="How urgent; the type's own lane when left out.")
    submitter: int | None = Field(None, ge=1, description="users.id; only for API keys with the scope act.")
    order_key: str | None = Field(
        None, min_length=1, max_length=200, description="Tasks of one key run one after another, in this order."
    )
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=200, description="Submitted again with the same key, it is the same task."
    )

    @model_validator(mode="after")
    def _times(self) -> Submission:
        if self.countdown is not None and self.eta is not None:
            raise ValueError("give countdown or eta, not both")
        for name, value in (("eta", self.eta), ("expires", self.expires)):
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"{name} must name its offset, such as 2026-11-23T08:00:00Z")
        return self

    def body(self) -> bytes:
        """The parameters as they are written.

        Raises:
            ApiError: 413.
        """
        body = msgspec.json.encode(self.parameters)
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, f"the parameters have {len(body):,} bytes, {MAX_BODY_BYTES:,} may be sent")
        return body

    def due(self, now: datetime) -> datetime | None:
        """When it may start; None: at once."""
        due = now + timedelta(seconds=self.countdown) if self.countdown else self.eta
        if due is not None and due - now > _YEAR:
            raise ApiError(422, "the task is due in more than a year", [Problem("eta", "is too far", "range")])
        return due.astimezone(UTC) if due is not None and due > now else None

    def expiry(self, now: datetime) -> datetime | None:
        if isinstance(self.expires, datetime):
            return self.expires.astimezone(UTC)
        if self.expires is None:
            return None
        return now + timedelta(seconds=min(max(self.expires, 0.0), _YEAR.total_seconds()))


async def submit(api: Api, caller: Caller, submission: Submission, traceparent: str | None = None) -> tuple[str, bool]:
    """The task's id, and whether this request created it; `traceparent` is the caller's own.

    Raises:
        ApiError: 403, 422 or 413.
        BrokerError: Kafka did not take it; with an idempotency key it is safe to ask again.
    """
    person = await acting(api.callers, caller, submission.submitter)
    description = await _described(api, person, submission)
    task = msgspec.structs.replace(_record(api, person, submission, description), traceparent=traceparent)
    if person is not caller:
        _log.info(
            "Submits for a person", action="task.submitted_for", task_id=task.task_id, task_type=task.task_type,
            submitter=person.user_id, by=caller.name,
        )  # fmt: skip
    if submission.idempotency_key is None:
        await _write(api, task, description, submission)
        return task.task_id, True
    async with api.pool.acquire() as connection, connection.transaction():
        # Two requests with the same key at the same time: the second waits here and then finds the row.
        await connection.execute(_LOCK, task.task_id)
        if await connection.fetchval("SELECT 1 FROM muster.tasks WHERE task_id = $1", task.task_id):
            return task.task_id, False
        await _write(api, task, description, submission)
    return task.task_id, True


async def _described(api: Api, caller: Caller, submission: Submission) -> TaskDescription:
    description = await api.catalog.find(submission.name)
    if description is None:
        problem = Problem("name", "no worker has announced this task type; GET /api/catalog lists them", "unknown_task")
        raise ApiError(422, f"there is no task type {submission.name[:100]!r}", [problem])
    if not caller.may_submit(description.roles):
        raise ApiError(403, f"your role may not submit {description.task_type}")
    problems = api.catalog.problems(description, submission.parameters)
    if problems:
        first = problems[0]
        raise ApiError(422, f"{description.task_type} refused its parameters: {first.field}: {first.message}", problems)
    return description


def _record(api: Api, caller: Caller, submission: Submission, description: TaskDescription) -> TaskRecord:
    now = api.clock.now()
    lane = api.topics.lane(description.service, submission.lane or description.default_lane)
    due = submission.due(now)
    key = submission.idempotency_key
    task_id = str(uuid.uuid5(_KEYED_IDS, f"{caller.name}/{submission.name}/{key}")) if key else str(uuid.uuid4())
    task = TaskRecord(
        task_id=task_id, task_type=description.task_type, body=submission.body(),
        not_before=due, expires=submission.expiry(now), submitter=caller.user_id,
        route=lane if due or submission.order_key else None,
        order_key=submission.order_key, submitted_at=now, source="muster-api",
    )  # fmt: skip
    try:
        # Nothing is written that no worker could read.
        parse_task(task.headers(), task.body)
    except InvalidRecord as error:
        raise ApiError(422, str(error), [Problem("order_key", str(error))]) from None
    return task


async def _write(api: Api, task: TaskRecord, description: TaskDescription, submission: Submission) -> None:
    """Kafka first: a row without its record would wait for ever; a record without its row is folded anyway."""
    task = await hand_in(api.claims, task, now=api.clock.now())
    lane = api.topics.lane(description.service, submission.lane or description.default_lane)
    topic = api.topics.keyed if task.order_key else api.topics.retry if task.not_before else lane
    with sending(task, topic) as span:
        task = msgspec.structs.replace(task, traceparent=span.traceparent)
        headers = task.headers()
        written = await (await api.producer.send(topic, task.body, key=task.key, headers=headers))
    stamp = int((task.submitted_at or api.clock.now()).timestamp() * 1000)
    record = Record(*written, stamp, task.key, task.body, tuple(headers))
    # The same fold as the projector's, which will meet the same record: whoever comes second changes nothing.
    fold = Fold()
    api.reader.read(record, fold)
    await api.store.write(fold, {})
