"""One fire as it is written: the task into its lane, and the note that says so. Pure; when is timetable.py's."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from muster.contracts.envelope import TaskRecord
from muster.contracts.schedule import Fired, fired_key, rfc3339
from muster.contracts.topics import Topics
from muster.observability.tracing import sending

from scheduler_service.outgoing import Outgoing
from scheduler_service.timetable import Fire

SOURCE = "muster/scheduler"


def to_task(fire: Fire, now: datetime) -> TaskRecord:
    """The task of one instant: the same id whoever fires it, and however often."""
    schedule = fire.schedule
    expires = None
    if schedule.expires_after is not None:
        expires = fire.instant + timedelta(seconds=schedule.expires_after)
    return TaskRecord(
        task_id=fire.task_id,
        task_type=schedule.task_type,
        body=schedule.body(fire.instant),
        expires=expires,
        submitted_at=now,
        source=SOURCE,
        extra=(("task-schedule", schedule.name.encode()), ("task-instant", rfc3339(fire.instant).encode())),
    )


def to_records(fire: Fire, topics: Topics, now: datetime) -> list[Outgoing]:
    """The task and its note, to be written in one transaction."""
    schedule = fire.schedule
    lane = topics.lane(schedule.service, schedule.lane)
    task = to_task(fire, now)
    with sending(task, lane) as span:
        task = msgspec.structs.replace(task, traceparent=span.traceparent)
    note = Fired(schedule=schedule.name, instant=fire.instant, task_id=task.task_id, at=now)
    return [
        (lane, task.key, task.body, task.headers()),
        (topics.schedules, fired_key(schedule.name), msgspec.json.encode(note), ()),
    ]
