"""The coordinator of turns in simulated time, around the real seats and decision: fence, barrier, mark, call, note.

Every step is a moment of its own, between which anything may happen to the process or to its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from muster.contracts.envelope import parse_task
from muster.ports import TopicPartition
from tracker_service.projection.rank import waiting_rank
from tracker_service.turns.calling import called
from tracker_service.turns.clearing import is_behind
from tracker_service.turns.decision import Standing, Verdict, verdict_of
from tracker_service.turns.seat import Seat, decode_headers

from .broker import LANE, TOPICS, Broker, Write
from .group import Group
from .leader import Lock
from .projection import FOLDED, Projection
from .timeline import Process
from .turns_worker import TurnNotes, TurnsMutation

_ROUND = (0.05, 0.2, 1.0)
_NEVER = datetime.max.replace(tzinfo=UTC)
#: The tables of turns are folded from these as well.
DOOR = (*FOLDED, TOPICS.keyed, TOPICS.control)


class Caller:
    """The rounds of one tracker."""

    def __init__(
        self,
        process: Process,
        broker: Broker,
        group: Group,
        projection: Projection,
        lock: Lock,
        notes: TurnNotes,
        broken: TurnsMutation | None,
    ) -> None:
        self._process, self._broker, self._projection, self._lock = process, broker, projection, lock
        self._group, self._notes, self._broken = group, notes, broken
        self._pen: int | None = None
        self._again()
        self._clear()

    def _again(self) -> None:
        self._process.later(self._process.timeline.random.choice(_ROUND), self._round)

    def _round(self) -> None:
        if not self._lock.ask(self._process):
            self._pen = None
            self._again()
        elif self._pen is None:
            self._take_over()
        else:
            self._decide()

    def _take_over(self) -> None:
        taken: list[int] = []

        def ask() -> bool:
            self._broker.caller_epoch += 1
            taken.append(self._broker.caller_epoch)
            return True

        def answered(answer: bool | None) -> None:
            if answer is None:
                self._again()
            else:
                self._wait(taken[0], self._broker.ends(DOOR))

        self._broker.request(self._process, ask, answered)

    def _wait(self, pen: int, ends: Mapping[TopicPartition, int]) -> None:
        if not self._lock.holds(self._process):
            self._again()
        elif self._projection.passed(ends) or self._broken is TurnsMutation.NO_TAKEOVER_BARRIER:
            self._pen = pen
            unsent = [seat for seat in self._projection.fold.seats.values() if not seat.waits and not seat.sent]
            if unsent and self._broken is not TurnsMutation.LOST_CALLS:
                self._write(unsent)
            else:
                self._again()
        else:
            self._process.later(0.1, lambda: self._wait(pen, ends))

    def _decide(self) -> None:
        """The first of every queue; those that are over leave their seats."""
        seats, chosen = self._projection.fold.seats, []
        for queue in sorted({seat.queue for seat in seats.values()}):
            row = sorted((seat for seat in seats.values() if seat.queue == queue), key=_place)
            while row and self._verdict(row[0], row) is Verdict.OVER:
                del seats[row.pop(0).key]
            if self._broken is TurnsMutation.BUSY_IGNORED:
                row = [seat for seat in row if seat.waits]
            if row and self._verdict(row[0], row) is Verdict.CALL:
                chosen.append(row[0])
        if chosen:
            self._process.later(0.01, lambda: self._mark(chosen))
        else:
            self._again()

    def _verdict(self, seat: Seat, queue: Sequence[Seat]) -> Verdict:
        task = self._projection.fold.tasks.get(seat.task_id)
        busy = any(not other.waits for other in queue)
        paused = any(row.paused_at is not None for row in self._projection.fold.pauses.values())
        void = self._void(seat)
        standing = Standing(task.rank if task else None, paused=paused, queue_busy=busy, claims_void=void)
        verdict = verdict_of(seat, standing, self._process.wall())
        if verdict is Verdict.UNCLEARED and self._broken is TurnsMutation.UNCLEARED_CALLS:
            return Verdict.CALL
        if verdict is Verdict.AWAY and seat.waits and self._broken is TurnsMutation.STANDING_IGNORED and not busy:
            return Verdict.HELD if paused else Verdict.CALL
        return verdict

    def _void(self, seat: Seat) -> bool:
        """Every claim to where the task stands is to a record that it has left by a later call."""
        claims = [claim for claim in self._projection.claims() if claim.key.task_id == seat.task_id]
        return bool(claims) and all(map(self._projection.left, claims))

    def _goes_on(self, seat: Seat) -> bool:
        if self._broken is TurnsMutation.STANDING_IGNORED:
            return False
        task = self._projection.fold.tasks.get(seat.task_id)
        here = waiting_rank(seat.redrive, seat.attempt, seat.delivery)
        return task is not None and task.rank > here and not self._void(seat)

    def _mark(self, chosen: Sequence[Seat]) -> None:
        """Durable, on the lock's own connection, and only what still stands as it was decided on."""
        if not self._lock.holds(self._process):
            self._again()
            return
        seats, marked = self._projection.fold.seats, []
        for seat in chosen:
            known = seats.get(seat.key)
            if known is not None and known.stage == seat.stage and not self._goes_on(known):
                seats[seat.key] = replace(known, stage=known.stage + 1, sent=False, came_at=_NEVER)
                marked.append(seats[seat.key])
        self._process.later(self._process.timeline.random.choice((0.01, 0.3)), lambda: self._write(marked))

    def _write(self, marked: Sequence[Seat]) -> None:
        pen = self._pen
        writes = [self._call(seat) for seat in marked]

        def commit() -> bool:
            if pen != self._broker.caller_epoch and self._broken is not TurnsMutation.UNFENCED_CALLS:
                return False
            for write, note in writes:
                self._broker.append(write)
                note()
            return True

        def answered(answer: bool | None) -> None:
            self._pen = pen if answer else None
            if answer:
                self._note_sent(marked)
            self._again()

        self._broker.request(self._process, commit, answered)

    def _clear(self) -> None:
        """Committed offsets, barrier, look: whose lane record can start nobody any more."""
        committed = dict(self._group.committed)
        seats = [seat for seat in self._projection.fold.seats.values() if seat.waits and seat.left]
        behind = [seat for seat in seats if is_behind(seat.left or "", committed, TOPICS)]
        self._process.later(0.05, lambda: self._clear_behind(behind, self._broker.ends(DOOR)))

    def _clear_behind(self, behind: Sequence[Seat], ends: Mapping[TopicPartition, int]) -> None:
        if not self._projection.passed(ends) and self._broken is not TurnsMutation.NO_CLEARING_BARRIER:
            self._process.later(0.1, lambda: self._clear_behind(behind, ends))
            return
        seats = self._projection.fold.seats
        for seat in behind:
            known = seats.get(seat.key)
            if known is not None and known.left == seat.left:
                seats[seat.key] = replace(known, left=None)
        self._process.later(0.5, self._clear)

    def _note_sent(self, marked: Sequence[Seat]) -> None:
        seats = self._projection.fold.seats
        for seat in marked:
            known = seats.get(seat.key)
            if known is not None and known.stage == seat.stage:
                seats[seat.key] = replace(known, sent=True)

    def _call(self, seat: Seat) -> tuple[Write, Callable[[], None]]:
        task = parse_task(decode_headers(seat.headers or b"\x90"), seat.body)
        turn = (seat.stage + 1) // 2
        again = called(task, turn, LANE, self._process.wall())
        write = (TOPICS.retry if again.route else LANE, again.key, again.body, again.headers())
        return write, lambda: self._notes.called(again.task_id, turn)


def _place(seat: Seat) -> tuple[int, int]:
    # A seat whose call alone was seen has no place yet, and is called.
    return (1 << 60, 0) if seat.offset is None else (seat.offset, seat.partition or 0)
