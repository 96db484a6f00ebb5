"""Rows into the tables, whatever they are rows of: judged and copied in batches, then merged, in one transaction.

Where rows come from and who is told of the result is not here; what a merge does is rotc.imports'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice

from rotc.connection import Connection
from rotc.imports import Counts, Merge, Outcome, Staging, Strategy

from import_service.domain.entity import Entity
from import_service.domain.rows import RowError
from import_service.domain.validation import Record, Validation
from import_service.sources import Rows

#: Judged without a pause, which takes some 30 ms, and kept in memory at the same time.
BATCH = 1000
#: Entries a list of a result may have.
MAX_LISTED = 1000
Progress = Callable[[float, float | None, str], Awaitable[None]]


@dataclass(frozen=True)
class Target:
    """One entity, and how its rows are merged."""

    entity: Entity
    merge: Merge
    #: Keys of the backend's cache that hold such records, as patterns.
    cached: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """What became of the rows; lists hold at most MAX_LISTED entries."""

    total: int
    counts: Counts
    errors: list[RowError]
    created_ids: list[int]
    updated_ids: list[int]
    #: Names of fields nobody knows: how many rows had them.
    unknown: dict[str, int] = field(default_factory=dict)


async def load(
    connection: Connection,
    target: Target,
    rows: Rows,
    *,
    strategy: Strategy,
    user_id: int,
    dry_run: bool,
    progress: Progress,
) -> Loaded:
    """Everything that is written is written here, in the caller's transaction; a dry run only plans.

    Args:
        user_id: users.id for the audit rows.
        progress: told rows done, rows in all, and the step.
    """
    staging = Staging(connection, target.merge)
    await staging.open()
    validation = Validation(target.entity)
    await _stage(staging, validation, rows, progress)
    await progress(rows.total, rows.total, "comparing")
    await staging.plan(strategy, will_apply=not dry_run)
    if not dry_run:
        await progress(rows.total, rows.total, "writing")
        await staging.apply(user_id)
    return await _told(staging, rows.total, validation)


async def _stage(staging: Staging, validation: Validation, rows: Rows, progress: Progress) -> None:
    columns = ("number", *(column.name for column in validation.entity.columns))
    if validation.entity.clears:
        columns = (*columns, "given")
    done = 0
    while batch := list(islice(rows.rows, BATCH)):
        records: list[Record] = []
        errors: list[RowError] = []
        for row in batch:
            checked = validation.check(row)
            if isinstance(checked, list):
                errors += checked
            else:
                records.append(checked)
        await staging.copy(columns, records)
        await staging.copy_errors([(error.row, error.field, error.code, error.message) for error in errors])
        done += len(batch)
        await progress(done, rows.total, "checking rows")


async def _told(staging: Staging, total: int, validation: Validation) -> Loaded:
    return Loaded(
        total=total,
        counts=await staging.counts(),
        errors=[
            RowError(one["number"], one["field"], one["code"], one["message"])
            for one in await staging.errors(MAX_LISTED)
        ],
        created_ids=await staging.ids(Outcome.CREATE, MAX_LISTED),
        updated_ids=await staging.ids(Outcome.UPDATE, MAX_LISTED),
        unknown=dict(validation.unknown),
    )
