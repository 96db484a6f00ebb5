"""Recovery in simulated time, around the real judgement: fence, committed offsets, barrier, look, write.

Every step is a moment of its own, between which anything may happen to the process or to its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.recovery import MAX_LOSSES, Claim, Verdict, is_given_up, judge
from muster.contracts.states import FailureKind
from muster.ports import Record, TopicPartition
from tracker_service.projection.rows import ClaimRow
from tracker_service.recovery.death_clock import DeathClock

from . import outcomes
from .broker import Broker, Write
from .group import Group
from .mutations import Mutation
from .plan import Notes
from .projection import FOLDED, Projection
from .timeline import Process

ROUND = 1.0
#: Seconds from the judgement to the write: the records are read once more in between.
READING = (0.02, 0.5, 3.0)
Committed = Mapping[tuple[str, int], int]
Dead = frozenset[str]


class Lock:
    """The advisory lock: it goes when its process dies, or when the connection is cut without anybody's knowing."""

    def __init__(self) -> None:
        self._holder: Process | None = None

    def ask(self, process: Process) -> bool:
        if self._holder is None or not self._holder.alive:
            self._holder = process
        return self._holder is process

    def holds(self, process: Process) -> bool:
        """Whether a query on the lock's own connection is answered."""
        return self._holder is process

    def cut(self) -> None:
        self._holder = None


@dataclass(frozen=True)
class Lost:
    """A task to be written again; what outcomes.py wants to know."""

    record: Record
    task: TaskRecord


class Leader:
    """The rounds of one tracker."""

    def __init__(
        self,
        process: Process,
        broker: Broker,
        group: Group,
        projection: Projection,
        lock: Lock,
        death: DeathClock,
        notes: Notes,
        mutation: Mutation | None,
    ) -> None:
        self._process, self._broker, self._group = process, broker, group
        self._projection, self._lock, self._death = projection, lock, death
        self._notes, self._mutation = notes, mutation
        #: The epoch of the pen as this tracker knows it.
        self._pen: int | None = None
        self._again()

    def _again(self) -> None:
        self._process.later(ROUND, self._round)

    def _round(self) -> None:
        claims = self._projection.claims()
        dead = frozenset(claim.key.worker for claim in claims if self._death.is_dead(claim.key.worker))
        if not self._lock.ask(self._process) or not any(self._suspicious(claim, dead) for claim in claims):
            self._again()
        elif self._mutation is Mutation.LATE_FENCE:
            self._look(dead)
        else:
            self._take(lambda: self._look(dead))

    def _take(self, then: Callable[[], None]) -> None:
        """Have the pen: whoever had it writes nothing any more."""
        if self._pen is not None:
            then()
            return

        def answered(answer: bool | None) -> None:
            if answer is None:
                self._again()
                return
            self._pen = taken[0]
            then()

        taken: list[int] = []

        def ask() -> bool:
            self._broker.leader_epoch += 1
            taken.append(self._broker.leader_epoch)
            return True

        self._broker.request(self._process, ask, answered)

    def _look(self, dead: Dead) -> None:
        committed = {(p.topic, p.partition): offset for p, offset in self._group.committed.items()}  # (a)
        self._process.later(0.05, lambda: self._wait(dead, committed, self._broker.ends(FOLDED)))  # (b)

    def _wait(self, dead: Dead, committed: Committed, ends: Mapping[TopicPartition, int]) -> None:
        """(c)"""
        if not self._lock.holds(self._process):
            self._again()
        elif self._projection.passed(ends) or self._mutation is Mutation.NO_BARRIER:
            self._process.later(0.02, lambda: self._judge(dead, committed))
        else:
            self._process.later(0.1, lambda: self._wait(dead, committed, ends))

    def _judge(self, dead: Dead, committed: Committed) -> None:
        """(d)"""
        if not self._lock.holds(self._process):
            self._again()
            return
        suspects: dict[tuple[str, int], list[ClaimRow]] = {}
        for row in self._valid(self._projection.claims()):
            suspects.setdefault((row.key.task_id, row.key.delivery), []).append(row)
        records: list[tuple[Write, Callable[[], None]]] = []
        for (_, delivery), rows in suspects.items():
            if any(self._suspicious(row, dead) for row in rows):
                claims = self._claims(rows)
                verdict = judge(claims, dead=dead, committed=committed)
                if verdict is Verdict.LEFT_TO_KAFKA and self._mutation is Mutation.NO_COMMITTED_CHECK:
                    verdict = Verdict.LOST
                if verdict is Verdict.LOST:
                    records.append(self._record(claims, committed, delivery))
        if not records:
            self._again()
            return
        self._process.later(self._process.timeline.random.choice(READING), lambda: self._write(records))

    def _write(self, records: Sequence[tuple[Write, Callable[[], None]]]) -> None:
        if self._mutation is Mutation.LATE_FENCE and self._pen is None:
            self._take(lambda: self._write(records))
            return
        pen = self._pen

        def commit() -> bool:
            if pen != self._broker.leader_epoch and self._mutation is not Mutation.UNFENCED_LEADER:
                return False
            for write, note in records:
                self._broker.append(write)
                note()
            return True

        def answered(answer: bool | None) -> None:
            # Refused, or nobody knows: from the beginning, with a new pen.
            self._pen = pen if answer else None
            self._again()

        self._broker.request(self._process, commit, answered)

    def _valid(self, claims: Sequence[ClaimRow]) -> Sequence[ClaimRow]:
        """Without those to records that their task has left by a later call."""
        return [claim for claim in claims if not self._projection.left(claim)]

    def _suspicious(self, claim: ClaimRow, dead: Dead) -> bool:
        """A commit whose answer was lost may stand although its worker took it for refused, so look at those too."""
        forsaken = claim.abandoned and self._mutation is not Mutation.ABANDONED_IGNORED
        return forsaken or claim.key.worker in dead

    def _claims(self, rows: Sequence[ClaimRow]) -> list[Claim]:
        if self._mutation is Mutation.LAST_CLAIM_ONLY:
            rows = [max(rows, key=lambda row: row.seq)]
        return [Claim(row.key.worker, row.key.topic, row.key.partition, row.key.offset, row.abandoned) for row in rows]

    def _record(self, claims: Sequence[Claim], committed: Committed, delivery: int) -> tuple[Write, Callable[[], None]]:
        accepted = [claim for claim in claims if claim.offset < committed[claim.topic, claim.partition]] or claims
        pointer = accepted[0]
        record = self._broker.partitions[TopicPartition(pointer.topic, pointer.partition)][pointer.offset]
        lost = Lost(record, parse_task(record.headers, record.value))
        task_id, attempt = lost.task.task_id, lost.task.attempt
        given_up = is_given_up(lost.task)
        if self._mutation is Mutation.HAND_BACKS_COUNTED:
            given_up = delivery >= MAX_LOSSES
        if given_up:
            write = outcomes.dead_letter(self._process, lost, FailureKind.WORKER_LOST)
            return write, lambda: self._notes.gave_up(task_id, attempt, delivery)
        again = msgspec.structs.replace(lost.task, delivery=delivery + 1, handover=0)
        write = (record.topic, again.key, record.value, again.headers())
        return write, lambda: self._notes.run_again(task_id, attempt, delivery)
