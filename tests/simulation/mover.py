"""The scheduler in simulated time, around the real wheel: one record per transaction. Batching is the service's own."""

from __future__ import annotations

from muster.ports import Record
from scheduler_service.outgoing import to_lane, to_retry_topic
from scheduler_service.wheel import To, Traveller, Wait, Wheel

from .broker import TOPICS, Broker
from .mutations import Mutation
from .plan import Notes
from .timeline import Process, Timeline

WHEEL = Wheel(TOPICS)
INTAKE = frozenset(WHEEL.intake)


class Mover(Process):
    """One process; starting it fences the one before."""

    def __init__(self, timeline: Timeline, name: str, broker: Broker, notes: Notes, mutation: Mutation | None) -> None:
        super().__init__(timeline, name)
        self._broker, self._notes, self._mutation = broker, notes, mutation
        broker.epoch += 1
        self._epoch = broker.epoch
        for partition, log in broker.partitions.items():
            if partition.topic in INTAKE:
                for record in log:
                    if (record.topic, record.offset) not in broker.moved:
                        self.take(record)

    def die(self) -> None:
        super().die()
        self._broker.lose_some(self)

    def take(self, record: Record) -> None:
        """A record of the intake has landed."""
        traveller = WHEEL.read(record)
        self.later(self.timeline.random.choice((0.001, 0.1, 0.3)), lambda: self._step(traveller))

    def _step(self, traveller: Traveller) -> None:
        now = self.wall().timestamp()
        step = WHEEL.step(traveller, now)
        if self._mutation is Mutation.EARLY_RELEASE and traveller.record.topic != TOPICS.retry:
            step = To(traveller.destination)
        if isinstance(step, Wait):
            self.later(max(0.001, step.until - now), lambda: self._step(traveller))
            return
        if step.topic == traveller.destination:
            self._notes.released(traveller.task.task_id, traveller.due - now)
            write = to_lane(traveller)
        else:
            write = to_retry_topic(traveller, step.topic)
        fenced = self._mutation is not Mutation.UNFENCED_MOVER
        self._broker.move(self, self._epoch, write, traveller.record, fenced)
