"""Rows merged into the tables: a stage they are copied to, and the statements that merge them. Judges no value.

What a merge does is a list of named queries, over two temporary tables that end with the transaction: `import_stage`
(number, the entity's columns, record_id, outcome) and `import_errors` (number, field, code, message). First everything
is planned, which says of each row what would become of it and writes nothing else; a dry run ends there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rotc.connection import Connection
from rotc.sql import load

SQL = load("imports", "import_report", "import_cadets", "import_students", "import_grades", "import_attendance")

#: Lines of a report fetched at once.
REPORT_BATCH = 5_000


class Strategy(StrEnum):
    """What becomes of a row whose record exists."""

    SKIP = "skip"
    UPDATE = "update"
    ERROR = "error"


class Outcome(StrEnum):
    """What becomes of a row."""

    CREATE = "create"
    UPDATE = "update"
    #: Its record exists, and stays as it is.
    SKIP = "skip"
    REFUSED = "refused"


@dataclass(frozen=True)
class Merge:
    """How the rows of one entity are merged: names of queries, in order. A query may take one argument, users.id."""

    stage: str
    #: Finds what each row means.
    match: tuple[str, ...]
    #: Only where something will be written: keeps others from it until the end.
    lock: tuple[str, ...]
    plan: Mapping[Strategy, tuple[str, ...]]
    #: Carries the plan out.
    apply: tuple[str, ...]


CADETS = Merge(
    stage="stage_cadets",
    match=("match_students",),
    lock=("lock_cadets",),
    plan={
        Strategy.SKIP: ("refuse_nameless", "refuse", "plan_create", "plan_skip"),
        Strategy.UPDATE: ("refuse_nameless", "refuse", "plan_create", "complete_imported", "plan_cadet_updates"),
        Strategy.ERROR: ("refuse_nameless", "refuse_existing_cadets", "refuse", "plan_create"),
    },
    apply=("create_cadets", "refuse_taken_students", "refuse", "create_grades", "update_cadets", "audit_cadets"),
)
CADET_CHANGES = Merge(
    stage="stage_cadet_changes",
    match=("match_cadets",),
    lock=("lock_cadets",),
    plan={Strategy.UPDATE: ("refuse_unknown_cadets", "refuse", "complete_changed", "plan_cadet_updates")},
    apply=("update_cadets", "audit_cadets"),
)

_OF_GRADES = ("match_grades", "refuse_unknown_students", "refuse_rows_without_grades")
GRADES = Merge(
    stage="stage_grades",
    match=("match_students_of_rows",),
    lock=("lock_grades",),
    # What was entered is looked up under the lock: until then the backend may enter it.
    plan={
        Strategy.SKIP: (*_OF_GRADES, "refuse", "plan_create", "plan_skip"),
        Strategy.UPDATE: (*_OF_GRADES, "refuse", "plan_create", "plan_grade_updates"),
        Strategy.ERROR: (*_OF_GRADES, "refuse_existing_grades", "refuse", "plan_create"),
    },
    apply=("make_missing_grades", "tell_of_scores", "write_grades", "audit_grades"),
)
_OF_ATTENDANCE = (
    "match_attendance", "refuse_unknown_students", "refuse_days_nobody_knows", "refuse_without_status",
    "refuse_backward_times",
)  # fmt: skip
ATTENDANCE = Merge(
    stage="stage_attendance",
    match=("match_students_of_rows",),
    lock=("lock_attendance", "lock_grades"),
    plan={
        Strategy.SKIP: (*_OF_ATTENDANCE, "refuse", "plan_create", "plan_skip"),
        Strategy.UPDATE: (*_OF_ATTENDANCE, "refuse", "plan_create", "plan_attendance_updates"),
        Strategy.ERROR: (*_OF_ATTENDANCE, "refuse_existing_attendance", "refuse", "plan_create"),
    },
    apply=(
        "create_attendance", "refuse_taken_attendance", "refuse", "update_attendance", "make_missing_grades",
        "count_attendance", "audit_attendance", "tell_of_attendance",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """How many rows came to which end; `problems` counts the reasons of refusals, of which a row may have several."""

    created: int
    updated: int
    skipped: int
    refused: int
    problems: int


@dataclass(frozen=True)
class Staging:
    """The rows of one import on their way into the tables, within the transaction of `connection`."""

    connection: Connection
    merge: Merge

    async def open(self) -> None:
        """Waits until no other import is under way, then makes the tables that the rows are copied to."""
        await self.connection.execute(SQL["lock"])
        await self.connection.execute(SQL["create_errors"])
        await self.connection.execute(SQL[self.merge.stage])

    async def copy(self, columns: Sequence[str], records: Sequence[Sequence[object]]) -> None:
        """Adds rows; the first column is `number`."""
        if records:
            await self.connection.copy_records_to_table("import_stage", columns=list(columns), records=records)

    async def copy_errors(self, errors: Sequence[tuple[int, str, str, str]]) -> None:
        """Adds reasons of refusals: number, field, code, message."""
        if errors:
            await self.connection.copy_records_to_table("import_errors", records=errors)

    async def plan(self, strategy: Strategy, *, will_apply: bool) -> None:
        """Says of each row what becomes of it; writes nothing that outlives the transaction."""
        await self.connection.execute(SQL["analyze"])
        await self._run(self.merge.match)
        if will_apply:
            await self._run(self.merge.lock)
        await self._run(self.merge.plan[strategy])

    async def apply(self, user_id: int) -> None:
        """Does what was planned, in the name of this users.id."""
        await self._run((*self.merge.apply, "check_references"), user_id)

    async def counts(self) -> Counts:
        rows = {row["outcome"]: row["rows"] for row in await self.connection.fetch(SQL["counts"])}
        errors = await self.connection.fetchrow(SQL["error_counts"])
        assert errors is not None  # noqa: S101  an aggregate without GROUP BY has one row
        return Counts(
            rows.get(Outcome.CREATE, 0), rows.get(Outcome.UPDATE, 0), rows.get(Outcome.SKIP, 0), errors["rows"],
            errors["problems"],
        )  # fmt: skip

    async def errors(self, most: int) -> list[dict[str, Any]]:
        """The first `most` reasons of refusals, by row."""
        return [dict(row) for row in await self.connection.fetch(SQL["errors"], most)]

    async def ids(self, outcome: Outcome, most: int) -> list[int]:
        """The records of the first `most` rows that came to this end."""
        return [row["record_id"] for row in await self.connection.fetch(SQL["ids"], outcome, most)]

    async def _run(self, names: Iterable[str], *arguments: object) -> None:
        for name in names:
            query = SQL[name]
            await self.connection.execute(query, *(arguments if "$1" in query else ()))


async def audit_import(connection: Connection, user_id: int, payload: dict[str, Any]) -> None:
    """Notes an import as a whole; payload: counts and the task's id, nothing of the rows."""
    await connection.execute(SQL["audit_import"], user_id, payload)


async def report_lines(connection: Connection) -> AsyncIterator[list[tuple[object, ...]]]:
    """What became of each row, in batches: number, outcome, record_id, field, code, message. In their transaction."""
    cursor = await connection.cursor(SQL["report_lines"])
    while lines := await cursor.fetch(REPORT_BATCH):
        yield [tuple(line) for line in lines]
