"""Joins facts about tasks into rows, whatever their order. Pure: records are read elsewhere, rows are stored elsewhere.

The same rules stand once more in SQL (sql/merge_*.sql), where a batch meets what is stored; a test holds them together.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec
from muster.contracts.dead_letter import Provenance
from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.events import Abandoned, Progressed, Revoked, Started, Succeeded
from muster.contracts.states import TaskState, waiting_state
from muster.ports import Position

from tracker_service.projection.preview import preview
from tracker_service.projection.rank import started_rank, terminal_rank, waiting_rank
from tracker_service.projection.rows import (
    AttemptRow,
    CatalogRow,
    ClaimKey,
    ClaimRow,
    Ended,
    HandBackRow,
    MetRow,
    PauseRow,
    ProgressRow,
    RevocationRow,
    RoundRow,
    RuleRow,
    TaskRow,
    WorkerRow,
)
from tracker_service.turns.seat import Seat, SeatKey, join

# Plain strings: they go to PostgreSQL as they are.
_STARTED, _FAILURE = "STARTED", "FAILURE"
_encode = msgspec.json.Encoder().encode

Latest = TypeVar("Latest", WorkerRow, CatalogRow, RuleRow, PauseRow)


class LaneName(msgspec.Struct, frozen=True):
    """Where a task waits or waited: `media`, `default`."""

    service: str
    lane: str


class Fold:
    """One batch of facts, joined: one row per task, claim, attempt, worker ..."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRow] = {}
        self.claims: dict[ClaimKey, ClaimRow] = {}
        self.ended: set[Ended] = set()
        self.attempts: dict[tuple[str, int, int, str], AttemptRow] = {}
        self.hand_backs: set[HandBackRow] = set()
        self.rounds: dict[tuple[str, int], RoundRow] = {}
        self.progress: dict[str, ProgressRow] = {}
        self.workers: dict[str, WorkerRow] = {}
        self.catalog: dict[str, CatalogRow] = {}
        self.revocations: dict[str, RevocationRow] = {}
        self.rules: dict[str, RuleRow] = {}
        self.met: dict[tuple[str, str, int, int], MetRow] = {}
        self.pauses: dict[str, PauseRow] = {}
        self.seats: dict[SeatKey, Seat] = {}

    def open_claims(self) -> list[ClaimRow]:
        """Claims that no end in this batch settles: a task that began and ended within a batch leaves none."""
        ended = self.ended
        return [
            claim
            for key, claim in self.claims.items()
            if Ended(*key[:5]) not in ended and Ended(key[0], key[1], key[2], 0, key[4]) not in ended
        ]

    def finished(self) -> list[str]:
        """Tasks that this batch says have ended."""
        return [task.task_id for task in self.tasks.values() if task.finished_at is not None]

    def waiting(self, task: TaskRecord, lane: LaneName | None, at: datetime) -> None:
        """A record in a lane or on its way to one: the task waits, and an attempt before this one failed."""
        rank = waiting_rank(task.redrive, task.attempt, task.delivery)
        row = self._row(task.task_id, task.task_type, rank, at)
        if _wins(row, rank, at):
            row.task_type = task.task_type
            _settle(row, rank, at, waiting_state(task.attempt).value, task.redrive, task.attempt, task.delivery)
            row.next_attempt_at = task.not_before
        _submission(row, task, lane, at)
        if task.redrive > 0:
            self._round(task, at)
        if task.failure is not None and task.attempt > 1:
            self._failed(task, task.failure, at)
        if task.handed_back is not None:
            back = task.handed_back
            self.hand_backs.add(
                HandBackRow(task.task_id, task.redrive, task.attempt, back.delivery, back.worker, back.at)
            )

    def started(self, event: Started, lane: LaneName | None, seq: int) -> None:
        """A worker claims a delivery."""
        rank = started_rank(event.redrive, event.attempt, event.delivery)
        row = self._row(event.task_id, event.task_type, rank, event.at)
        if _wins(row, rank, event.at, event.worker):
            row.task_type = event.task_type
            _settle(row, rank, event.at, _STARTED, event.redrive, event.attempt, event.delivery)
            row.worker = event.worker
            row.started_at = event.at
        _lane(row, lane)
        self._claim(event, rank, seq, abandoned=False)

    def abandoned(self, event: Abandoned, seq: int) -> None:
        """A worker takes its claim back. The task itself stays where it is: its record is another worker's now."""
        self._claim(event, started_rank(event.redrive, event.attempt, event.delivery), seq, abandoned=True)

    def progressed(self, event: Progressed) -> None:
        rank = started_rank(event.redrive, event.attempt, event.delivery)
        known = self.progress.get(event.task_id)
        if known is None or (rank, event.at) > (known.rank, known.at):
            self.progress[event.task_id] = ProgressRow(
                event.task_id, rank, event.at, event.done, event.total, event.message
            )

    def succeeded(self, event: Succeeded, result: str) -> None:
        """The task ended with a result (JSON)."""
        row = self._ended(event, TaskState.SUCCESS)
        if row is not None:
            row.started_at = event.started_at
            row.result = result

    def revoked(self, event: Revoked) -> None:
        """The task was taken back, or expired."""
        row = self._ended(event, TaskState.REVOKED)
        if row is not None:
            detail = {"reason": event.reason, "by": event.by} | ({"due": event.due} if event.due else {})
            row.detail = _encode(detail).decode()
        if event.topic is not None:
            met = MetRow(event.task_id, event.topic, event.partition, event.offset, event.at)
            self.met[met[:4]] = met

    def failed(self, why: Provenance, task: TaskRecord | None, lane: LaneName | None, letter: Position) -> None:
        """A dead letter: the task ended. `task` is the original record, where it could be read."""
        rank = terminal_rank(why.redrive, TaskState.FAILURE)
        row = self._row(why.task_id, why.task_type, rank, why.failed_at)
        worker = why.failure.worker
        self.ended.add(Ended(why.task_id, why.redrive, why.attempt, why.delivery, worker))
        text = _encode(why.failure).decode()
        self._attempt(
            AttemptRow(
                why.task_id, why.redrive, why.attempt, worker, why.failure.started_at, why.failed_at, text, final=True
            )
        )
        if _wins(row, rank, why.failed_at, worker):
            row.task_type = why.task_type
            _settle(row, rank, why.failed_at, _FAILURE, why.redrive, why.attempt, why.delivery)
            row.worker = worker or None
            row.started_at = why.failure.started_at
            row.finished_at = why.failed_at
            detail = {"failure": why.failure, "traceback": why.traceback, "dead_letter": tuple(letter)}
            row.detail = _encode(detail).decode()
        if task is not None:
            _submission(row, task, lane, why.failed_at)
        elif row.submitted_at is None:
            # Nothing else tells: lists are ordered by it.
            row.submitted_at = why.failed_at

    def beat(self, row: WorkerRow) -> None:
        _latest(self.workers, row.worker, row)

    def described(self, row: CatalogRow) -> None:
        _latest(self.catalog, row.task_type, row)

    def revocation(self, row: RevocationRow) -> None:
        """The latest word on the latest round: what is withdrawn for one stays ordered for the next."""
        known = self.revocations.get(row.task_id)
        if known is None or (row.redrive, row.seq) > (known.redrive, known.seq):
            self.revocations[row.task_id] = row

    def rule(self, row: RuleRow) -> None:
        _latest(self.rules, row.rule_id, row)

    def paused(self, row: PauseRow) -> None:
        _latest(self.pauses, row.task_type, row)

    def seated(self, said: Seat) -> None:
        """A task waits for its turn, or has had it."""
        self.seats[said.key] = join(self.seats.get(said.key), said)

    def _row(self, task_id: str, task_type: str, rank: int, at: datetime) -> TaskRow:
        row = self.tasks.get(task_id)
        if row is None:
            # Rank -1: whatever comes wins.
            row = self.tasks[task_id] = TaskRow(task_id, task_type, -1, at)
        return row

    def _ended(self, event: Succeeded | Revoked, state: TaskState) -> TaskRow | None:
        """Settle the claim; the row to fill in when this end is the one that counts."""
        self.ended.add(Ended(event.task_id, event.redrive, event.attempt, event.delivery, event.worker))
        rank = terminal_rank(event.redrive, state)
        row = self._row(event.task_id, event.task_type, rank, event.at)
        if not _wins(row, rank, event.at, event.worker):
            return None
        row.task_type = event.task_type
        _settle(row, rank, event.at, state.value, event.redrive, event.attempt, event.delivery)
        row.worker = event.worker
        row.finished_at = event.at
        return row

    def _failed(self, task: TaskRecord, failure: Failure, at: datetime) -> None:
        """The attempt before the one that `task` waits for."""
        key = (task.task_id, task.redrive, task.attempt - 1)
        text = _encode(failure).decode()
        self._attempt(AttemptRow(*key, failure.worker, failure.started_at, failure.failed_at or at, text))
        self.ended.add(Ended(*key, 0, failure.worker))

    def _attempt(self, row: AttemptRow) -> None:
        """The earliest word on it stays."""
        known = self.attempts.get(row[:4])
        if known is None or row.ended_at < known.ended_at:
            self.attempts[row[:4]] = row

    def _round(self, task: TaskRecord, at: datetime) -> None:
        """Every record of a round repeats what it runs with; the earliest tells when it began."""
        key = (task.task_id, task.redrive)
        known = self.rounds.get(key)
        if known is None or at < known.began_at:
            self.rounds[key] = RoundRow(*key, task.task_type, at, preview(task.body), _size(task))

    def _claim(self, event: Started | Abandoned, rank: int, seq: int, *, abandoned: bool) -> None:
        key = ClaimKey(
            event.task_id, event.redrive, event.attempt, event.delivery,
            event.worker, event.topic, event.partition, event.offset,
        )  # fmt: skip
        known = self.claims.get(key)
        if known is None or seq > known.seq:
            self.claims[key] = ClaimRow(key, rank, event.at, abandoned, seq, event.sequenced)


def _wins(row: TaskRow, rank: int, at: datetime, worker: str = "") -> bool:
    """A join: of any two facts the same one wins, whichever was folded first."""
    if rank != row.rank:
        return rank > row.rank
    if row.finished_at is None:
        return (at, worker) > (row.changed_at, row.worker or "")
    return (at, worker) < (row.changed_at, row.worker or "")


def _latest(rows: dict[str, Latest], key: str, row: Latest) -> None:
    known = rows.get(key)
    if known is None or row.seq > known.seq:
        rows[key] = row


def _settle(row: TaskRow, rank: int, at: datetime, state: str, redrive: int, attempt: int, delivery: int) -> None:
    """The fact that won says everything about the present: nothing of an older one remains."""
    row.rank, row.changed_at, row.state = rank, at, state
    row.redrive, row.attempt, row.delivery = redrive, attempt, delivery
    row.worker = row.started_at = row.finished_at = row.next_attempt_at = row.result = row.detail = None


def _lane(row: TaskRow, lane: LaneName | None) -> None:
    if lane is not None and row.lane is None:
        row.service, row.lane = lane.service, lane.lane


def _submission(row: TaskRow, task: TaskRecord, lane: LaneName | None, at: datetime) -> None:
    """What was said when the task was submitted. Every record of the task repeats it; the first is kept."""
    _lane(row, lane)
    submitted = task.submitted_at or at
    if row.submitted_at is None or submitted < row.submitted_at:
        row.submitted_at = submitted
    if row.submitter is None:
        row.submitter = task.submitter
    row.expires_at = row.expires_at or task.expires
    row.root, row.parent, row.group_id = row.root or task.root, row.parent or task.parent, row.group_id or task.group
    # What a redrive changed stands in its round; else it would hang on the order of reading which of the two is shown.
    if task.redrive == 0 and row.parameters_bytes is None:
        row.parameters, row.parameters_bytes = preview(task.body), _size(task)


def _size(task: TaskRecord) -> int:
    return len(task.body) + (task.reference.size if task.reference else 0)
