"""The projection and the recovery in simulated time, around the real fold, lattice, death clock and judgement.

The projection is PostgreSQL's: it survives the tracker. The tracker's clock and its open round do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.events import decode_heartbeat
from muster.contracts.recovery import MAX_LOSSES, Claim, Verdict, is_given_up, judge
from muster.contracts.states import FailureKind, Rank, TaskState, rank
from muster.ports import Record, TopicPartition
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.rows import ClaimRow, TaskRow
from tracker_service.recovery.death_clock import DeathClock

from . import outcomes
from .broker import LANE, TOPICS, Broker
from .group import Group
from .mutations import Mutation
from .plan import Notes
from .timeline import Process, Timeline

LEASE, BEAT, ROUND = 14.0, 2.0, 1.0
FOLDED = (LANE, TOPICS.events, TOPICS.retry, TOPICS.dead_letter)
READER = Reader(TOPICS)


class Projection:
    """What PostgreSQL holds: rows and offsets, changed together."""

    def __init__(self, broker: Broker, notes: Notes) -> None:
        self._broker, self._notes = broker, notes
        self.fold = Fold()
        self.offsets = dict.fromkeys(broker.ends(FOLDED), 0)
        self._ranks: dict[str, Rank] = {}

    def advance(self, partition: TopicPartition, records: int) -> None:
        """Fold the next records of one partition; no task may go backwards by it."""
        start = self.offsets[partition]
        for record in self._broker.partitions[partition][start : start + records]:
            READER.read(record, self.fold)
            self.offsets[partition] = record.offset + 1
            row = self.fold.tasks.get((record.key or b"").decode())
            if row is not None:
                self._check(row)

    def ended(self, task_id: str) -> bool:
        return task_id in self._ranks and self._ranks[task_id].terminal

    def passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self.offsets[partition] >= end for partition, end in ends.items())

    def claims(self) -> list[ClaimRow]:
        """Claims that count: their task stands exactly where they put it."""
        ranks = {task_id: row.rank for task_id, row in self.fold.tasks.items()}
        return [claim for claim in self.fold.open_claims() if claim.rank == ranks.get(claim.key.task_id)]

    def _check(self, row: TaskRow) -> None:
        now = rank(TaskState(row.state), attempt=row.attempt, delivery=row.delivery, redrive=row.redrive)
        before = self._ranks.get(row.task_id, now)
        if now < before:
            self._notes.broken.append(f"backwards: {row.task_id} went from {before} to {now}")
        self._ranks[row.task_id] = now


@dataclass(frozen=True)
class Lost:
    """A task to be written again; what outcomes.py wants to know."""

    record: Record
    task: TaskRecord


class Tracker(Process):
    """One process; only one at a time leads."""

    def __init__(
        self,
        timeline: Timeline,
        name: str,
        broker: Broker,
        group: Group,
        projection: Projection,
        notes: Notes,
        mutation: Mutation | None,
    ) -> None:
        super().__init__(timeline, name)
        self._broker, self._group, self._projection = broker, group, projection
        self._notes, self._mutation = notes, mutation
        self._death = DeathClock(lease=LEASE, longest_step=2 * BEAT)
        self._unwritten = 0
        self._leads_since = timeline.now
        self._beat()
        self._project()
        self.later(ROUND, self._round)

    def die(self) -> None:
        super().die()
        self._broker.lose_some(self)

    def hear(self, record: Record) -> None:
        """A heartbeat has landed; it is read a little later."""
        self.later(self.timeline.random.choice((0.01, 0.1, 1.0)), lambda: self._heard(record))

    def _heard(self, record: Record) -> None:
        if record.key == self.name.encode():
            self._death.own_beat_returned(self.timeline.now)
        elif record.value:
            beat = decode_heartbeat(record.value)
            self._death.beat(beat.worker, leaving=beat.leaving)

    def _beat(self) -> None:
        self._broker.send(self, (TOPICS.workers, self.name.encode(), b"", []))
        self.later(BEAT, self._beat)

    def _project(self) -> None:
        """Partitions are folded at their own pace, so events and records meet in any order."""
        dice = self.timeline.random
        for partition in self._projection.offsets:
            if dice.random() < 0.5:
                self._projection.advance(partition, dice.choice((1, 3, 20)))
        self.later(dice.choice((0.1, 0.3, 1.0)), self._project)

    def _round(self) -> None:
        claims = self._projection.claims()
        dead = {claim.key.worker for claim in claims if self._death.is_dead(claim.key.worker)}
        settled = self.timeline.now - self._leads_since >= LEASE or self._mutation is Mutation.HASTY_LEADER
        if not settled or self._unwritten or not any(self._suspicious(claim, dead) for claim in claims):
            self.later(ROUND, self._round)
            return
        committed = {(p.topic, p.partition): offset for p, offset in self._group.committed.items()}  # (a)
        self.later(0.05, lambda: self._barrier(dead, committed))

    def _suspicious(self, claim: ClaimRow, dead: set[str]) -> bool:
        """A commit whose answer was lost may stand although its worker took it for refused, so look at those too."""
        forsaken = claim.abandoned and self._mutation is not Mutation.ABANDONED_IGNORED
        return forsaken or claim.key.worker in dead

    def _barrier(self, dead: set[str], committed: Mapping[tuple[str, int], int]) -> None:
        ends = self._broker.ends(FOLDED)  # (b)
        self._wait(dead, committed, ends)

    def _wait(
        self, dead: set[str], committed: Mapping[tuple[str, int], int], ends: Mapping[TopicPartition, int]
    ) -> None:
        if not self._projection.passed(ends) and self._mutation is not Mutation.NO_BARRIER:
            self.later(0.1, lambda: self._wait(dead, committed, ends))  # (c)
            return
        self.later(0.02, lambda: self._judge(dead, committed))

    def _judge(self, dead: set[str], committed: Mapping[tuple[str, int], int]) -> None:
        """(d)"""
        suspects: dict[tuple[str, int], list[ClaimRow]] = {}
        for row in self._projection.claims():
            suspects.setdefault((row.key.task_id, row.key.delivery), []).append(row)
        for (_, delivery), rows in suspects.items():
            if any(self._suspicious(row, dead) for row in rows):
                claims = self._claims(rows)
                verdict = judge(claims, dead=dead, committed=committed)
                if verdict is Verdict.LEFT_TO_KAFKA and self._mutation is Mutation.NO_COMMITTED_CHECK:
                    verdict = Verdict.LOST
                if verdict is Verdict.LOST:
                    self._settle(claims, committed, delivery)
        self.later(ROUND, self._round)

    def _claims(self, rows: Sequence[ClaimRow]) -> list[Claim]:
        if self._mutation is Mutation.LAST_CLAIM_ONLY:
            rows = [max(rows, key=lambda row: row.seq)]
        return [Claim(row.key.worker, row.key.topic, row.key.partition, row.key.offset, row.abandoned) for row in rows]

    def _settle(self, claims: Sequence[Claim], committed: Mapping[tuple[str, int], int], delivery: int) -> None:
        accepted = [claim for claim in claims if claim.offset < committed[claim.topic, claim.partition]] or claims
        pointer = accepted[0]
        record = self._broker.partitions[TopicPartition(pointer.topic, pointer.partition)][pointer.offset]
        lost = Lost(record, parse_task(record.headers, record.value))
        given_up = is_given_up(lost.task)
        if self._mutation is Mutation.HAND_BACKS_COUNTED:
            given_up = delivery >= MAX_LOSSES
        if given_up:
            write, note = outcomes.dead_letter(self, lost, FailureKind.WORKER_LOST), self._notes.gave_up
        else:
            note = self._notes.run_again
            again = msgspec.structs.replace(lost.task, delivery=delivery + 1, handover=0)
            write = (record.topic, again.key, record.value, again.headers())
        self._unwritten += 1
        task_id, attempt = lost.task.task_id, lost.task.attempt
        self._broker.send(self, write, self._written, lambda: note(task_id, attempt))

    def _written(self) -> None:
        self._unwritten -= 1
