"""Tasks that ended in a dead letter, as the projection knows them: filter, pages, groups.

Running them again is redriving.py's. The causes stand in JSON that may hold what PostgreSQL's own JSON functions
refuse, so they are compared here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from muster.contracts.states import FailureKind
from muster.ports import Position
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tracker_service.api.context import Api
from tracker_service.api.listing import Cursor, parse_cursor
from tracker_service.api.status import json_of, public_failure

#: Rows looked at per request; a filter that finds little goes on with the cursor.
MAX_SCANNED = 10_000
CHUNK = 500
MAX_PAGE = 200

_COLUMNS = (
    """task_id, task_type, service, lane, state, redrive, attempt, submitter, submitted_at, finished_at, detail"""
)


class LetterFilter(BaseModel):
    """Which dead letters are meant; what is left out takes all."""

    model_config = ConfigDict(extra="forbid")

    task_type: str | None = Field(None, max_length=200)
    service: str | None = Field(None, max_length=100)
    submitter: int | None = Field(None, ge=0, le=2**63 - 1)
    kind: FailureKind | None = None
    fingerprint: str | None = Field(None, max_length=200, description="Of a group, as GET /dead-letters/groups says.")
    since: datetime | None = Field(None, description="Failed at or after this instant (with its offset).")

    @field_validator("task_type", "service", "fingerprint")
    @classmethod
    def _storable(cls, text: str | None) -> str | None:
        if text is not None and "\0" in text:
            raise ValueError("may hold no NUL character")
        return text

    @field_validator("since")
    @classmethod
    def _aware(cls, instant: datetime | None) -> datetime | None:
        if instant is not None and instant.tzinfo is None:
            raise ValueError("must name its offset, such as 2026-11-23T08:00:00Z (in a URL, + is written %2B)")
        return instant

    def where(self) -> tuple[list[str], list[Any]]:
        """SQL conditions and their arguments, for what has a column."""
        pairs = (
            ("task_type = ${}", self.task_type), ("service = ${}", self.service), ("submitter = ${}", self.submitter),
            ("finished_at >= ${}", self.since),
        )  # fmt: skip
        given = [(text, value) for text, value in pairs if value is not None]
        return [text.format(number) for number, (text, _) in enumerate(given, 1)], [value for _, value in given]

    def takes(self, failed: Failed) -> bool:
        """Whether it fits what has no column."""
        return self.kind in (None, failed.failure.get("kind")) and self.fingerprint in (None, failed.fingerprint)


class Failed(msgspec.Struct, frozen=True):
    """A row whose state is FAILURE, and where its letter lies; no place when another writer of rows left none."""

    row: asyncpg.Record
    failure: dict[str, Any]
    place: Position | None

    @property
    def task_id(self) -> str:
        return str(self.row["task_id"])

    @property
    def fingerprint(self) -> str:
        """What failures of one cause have in common; made of kind and error where the worker named none."""
        failure = self.failure
        return str(failure.get("fingerprint") or f"{failure.get('kind')}/{failure.get('error')}")

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.row["submitted_at"], self.task_id)

    def body(self) -> dict[str, Any]:
        names = ("task_id", "task_type", "service", "lane", "redrive", "submitter", "submitted_at")
        return {name: self.row[name] for name in names} | {
            "attempts": self.row["attempt"],
            "failed_at": self.row["finished_at"],
            "fingerprint": self.fingerprint,
            **public_failure(self.failure),
            "dead_letter": self.place._asdict() if self.place else None,
        }


def failed_of(row: asyncpg.Record) -> Failed:
    detail = json_of(row["detail"])
    detail = detail if isinstance(detail, dict) else {}
    failure, place = detail.get("failure"), detail.get("dead_letter")
    try:
        position = msgspec.convert(place, Position)
    except msgspec.ValidationError:
        position = None
    return Failed(row, failure if isinstance(failure, dict) else {}, position)


async def scan(api: Api, chosen: LetterFilter, after: Cursor | None = None) -> AsyncGenerator[Failed, None]:
    """At most MAX_SCANNED failed tasks, the latest submitted first, whether the filter's causes take them or not."""
    conditions, arguments = chosen.where()
    for _ in range(MAX_SCANNED // CHUNK):
        more, values = list(conditions), list(arguments)
        if after is not None:
            more.append(f"(submitted_at, task_id) < (${len(values) + 1}, ${len(values) + 2})")
            values += [after.submitted_at, after.task_id]
        sql = f"""
            SELECT {_COLUMNS} FROM muster.tasks
            WHERE {" AND ".join(["state = 'FAILURE'", "submitted_at IS NOT NULL", *more])}
            ORDER BY submitted_at DESC, task_id DESC LIMIT {CHUNK}"""  # noqa: S608  conditions are ours, values are arguments
        rows = [failed_of(row) for row in await api.pool.fetch(sql, *values)]
        for failed in rows:
            yield failed
        if len(rows) < CHUNK:
            return
        after = rows[-1].cursor


async def find(api: Api, task_ids: list[str]) -> dict[str, Failed]:
    """The rows of these tasks, whatever their state."""
    sql = f"SELECT {_COLUMNS} FROM muster.tasks WHERE task_id = ANY($1::text[])"  # noqa: S608  columns are ours
    found = [failed_of(row) for row in await api.pool.fetch(sql, task_ids)]
    return {failed.task_id: failed for failed in found}


async def page(api: Api, chosen: LetterFilter, cursor: str | None, limit: int) -> dict[str, Any]:
    """One page; it may be short, and even empty, while `next_cursor` says that there is more to look at."""
    found: list[dict[str, Any]] = []
    scanned, last = 0, None
    async with aclosing(scan(api, chosen, parse_cursor(cursor) if cursor else None)) as rows:
        async for failed in rows:
            if len(found) == limit:
                break
            scanned, last = scanned + 1, failed
            if chosen.takes(failed):
                found.append(failed.body())
        else:
            last = last if scanned == MAX_SCANNED else None
    return {"dead_letters": found, "next_cursor": last.cursor.encode() if last else None}


async def group(api: Api, chosen: LetterFilter) -> dict[str, Any]:
    """Failures by cause, the most frequent first; of the latest MAX_SCANNED when there are more."""
    groups: dict[str, dict[str, Any]] = {}
    scanned = 0
    async for failed in scan(api, chosen):
        scanned += 1
        if chosen.takes(failed):
            _count(groups, failed)
    ordered = sorted(groups.values(), key=lambda one: -one["count"])
    return {"groups": ordered, "complete": scanned < MAX_SCANNED}


def _count(groups: dict[str, dict[str, Any]], failed: Failed) -> None:
    at = failed.row["finished_at"]
    known = groups.setdefault(
        failed.fingerprint,
        {"fingerprint": failed.fingerprint, "count": 0, "task_type": failed.row["task_type"],
         **public_failure(failed.failure), "first_at": at, "last_at": at, "example": failed.task_id},
    )  # fmt: skip
    known["count"] += 1
    known["first_at"] = min(known["first_at"], at)
    if at > known["last_at"]:
        known |= {"last_at": at, "example": failed.task_id}
