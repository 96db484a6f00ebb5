"""The projection in simulated time, around the real fold and lattice. It is PostgreSQL's: it survives the trackers."""

from __future__ import annotations

from collections.abc import Mapping

from muster.contracts.states import Rank, TaskState, rank
from muster.ports import TopicPartition
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.rows import ClaimRow, TaskRow
from tracker_service.turns.seat import SeatKey, is_left

from .broker import LANE, TOPICS, Broker
from .plan import Notes

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

    def left(self, claim: ClaimRow) -> bool:
        """Its task was called since the record that is claimed was written."""
        seat = self.fold.seats.get(SeatKey(claim.key.task_id, claim.key.redrive))
        return seat is not None and is_left(claim.sequenced, seat.stage)

    def _check(self, row: TaskRow) -> None:
        now = rank(TaskState(row.state), attempt=row.attempt, delivery=row.delivery, redrive=row.redrive)
        before = self._ranks.get(row.task_id, now)
        if now < before:
            self._notes.broken.append(f"backwards: {row.task_id} went from {before} to {now}")
        self._ranks[row.task_id] = now
