"""A worker as the protocol wants it: accept by commit, settle by one record, fence itself. Runs nothing real.

The real worker is bound to an event loop; this one takes the same steps in simulated time, with every wait cut open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from muster.contracts.envelope import parse_task
from muster.contracts.events import Heartbeat, encode_json
from muster.ports import Record, TopicPartition
from muster.worker.sharing import MAX_HANDOVERS

from . import outcomes
from .broker import LANE, TOPICS, Broker
from .deliveries import Batch, Delivery
from .group import Group
from .mutations import Mutation
from .plan import Notes, TaskPlan
from .timeline import Process, Timeline

BEAT, FENCE = 2.0, 8.0
SLOTS = 3
GATHER = 0.02
GRACE = 3.0


class Worker(Process):
    """One process with slots; a new name at every start."""

    def __init__(
        self,
        timeline: Timeline,
        name: str,
        broker: Broker,
        group: Group,
        plans: Mapping[str, TaskPlan],
        notes: Notes,
        mutation: Mutation | None,
    ) -> None:
        super().__init__(timeline, name)
        self._broker, self._group, self._plans, self._notes, self._mutation = broker, group, plans, notes, mutation
        self._running: list[Delivery] = []
        self._surplus: list[Delivery] = []
        self._positions: dict[TopicPartition, int] = {}
        self._generation = -1
        self._moving = True
        self._stopping = False
        self._gathered = Batch(-1)
        self._committing: Batch | None = None
        self._beat_acknowledged = timeline.now
        self._beat()
        group.join(self)

    @property
    def age(self) -> float:
        """Seconds since the last acknowledged heartbeat was sent."""
        return self.timeline.now - self._beat_acknowledged

    @property
    def serving(self) -> bool:
        return self.alive and not self._stopping

    def poke(self) -> None:
        """A lane has something new, or a slot is free."""
        self.later(self.timeline.random.choice((0.001, 0.05, 0.2)), self._poll)

    def on_revoked(self) -> None:
        self._moving = True
        self._commit()

    def on_assigned(self, generation: int, partitions: Sequence[TopicPartition]) -> None:
        left = self._gathered
        self._generation, self._gathered = generation, Batch(generation)
        self._positions = {partition: self._group.committed[partition] for partition in partitions}
        self._moving = False
        self._resolve(left, False)
        self.poke()

    def drain(self) -> None:
        """SIGTERM: accept nothing more, leave the group, end or hand back what runs, say good-bye."""
        if self._stopping:
            return
        self._notes.drains += 1
        self._stopping = self._moving = True
        self._commit()
        self.later(0.2, self._leave_group)

    def die(self) -> None:
        super().die()
        self._broker.lose_some(self)
        self._group.miss(self)

    def _leave_group(self) -> None:
        if self._committing or self._gathered.offsets:
            self.later(0.2, self._leave_group)
            return
        self._group.leave(self)
        self.later(GRACE, self._hand_back)

    def _hand_back(self) -> None:
        for delivery in self._running:
            if not delivery.ended:
                delivery.ended = delivery.handed_back = True
                self._settle(delivery)
        self._good_bye()

    def _good_bye(self) -> None:
        if self._running or self._surplus:
            self.later(0.1, self._good_bye)
            return
        self._broker.send(self, self._say(leaving=True), super().die)

    def _beat(self) -> None:
        if self.age > FENCE:
            self.die()
            return
        sent = self.timeline.now

        def acknowledged() -> None:
            self._beat_acknowledged = max(self._beat_acknowledged, sent)

        if not self._stopping:
            self._group.join(self)
        self._broker.send(self, self._say(), acknowledged)
        self.later(BEAT, self._beat)

    def _say(self, leaving: bool = False) -> tuple[str, bytes, bytes, list[tuple[str, bytes]]]:
        beat = Heartbeat(
            worker=self.name, service="media", at=self.wall(), host="h", version="0", slots=SLOTS,
            running=len(self._running), leaving=leaving,
        )  # fmt: skip
        return TOPICS.workers, self.name.encode(), encode_json(beat), []

    def _poll(self) -> None:
        for partition, position in self._positions.items():
            log = self._broker.partitions[partition]
            while not self._moving and position < len(log):
                if self._holds(log[position]) and self._mutation is not Mutation.TAKEN_TWICE:
                    break  # its claim must be taken back first: the two would be one in the projection
                if self._believes_others_idle(log[position]):
                    self._hand_over(partition, log[position])
                elif len(self._running) < SLOTS:
                    self._accept(partition, log[position])
                else:
                    break
                position += 1
                self._positions[partition] = position

    def _holds(self, record: Record) -> bool:
        return any(delivery.record is record for delivery in (*self._running, *self._surplus))

    def _believes_others_idle(self, record: Record) -> bool:
        """Heartbeats are always a moment old, so any belief may be wrong: nothing may hang on it."""
        share = 0.15 if len(self._running) < SLOTS else 0.5
        task = parse_task(record.headers, record.value)
        return task.handover < MAX_HANDOVERS and self.timeline.random.random() < share

    def _hand_over(self, partition: TopicPartition, record: Record) -> None:
        """Accept it, and give it away as soon as that stands."""
        delivery = Delivery(record, parse_task(record.headers, record.value))
        self._notes.handed_over += 1
        delivery.elsewhere = self.timeline.random.randrange(len(self._broker.lanes))
        delivery.ended = True
        self._surplus.append(delivery)
        if self._mutation is Mutation.HANDED_OVER_UNCLAIMED:
            self._gathered.deliveries.append(delivery)
            self._gathered.offsets[partition] = delivery.record.offset + 1
            self.later(GATHER, self._commit)
            return
        self._claim(partition, delivery)
        if self._mutation is Mutation.COPY_BEFORE_ACCEPTANCE:
            self._write_failure(delivery, self._plans[delivery.task.task_id])

    def _accept(self, partition: TopicPartition, record: Record) -> None:
        delivery = Delivery(record, parse_task(record.headers, record.value))
        self._running.append(delivery)
        self._claim(partition, delivery)
        self._begin(delivery)

    def _claim(self, partition: TopicPartition, delivery: Delivery) -> None:
        batch = self._gathered
        batch.deliveries.append(delivery)
        batch.offsets[partition] = delivery.record.offset + 1
        batch.unacknowledged += 1

        def acknowledged() -> None:
            batch.unacknowledged -= 1
            if batch is self._committing and not batch.unacknowledged:
                self._ask(batch)

        self._broker.send(self, outcomes.started(self, delivery), acknowledged)
        self.later(GATHER, self._commit)

    def _begin(self, delivery: Delivery) -> None:
        plan = self._plans[delivery.task.task_id]
        self._notes.runs[plan.task_id, delivery.task.attempt] += 1
        self.later(plan.seconds * self.timeline.random.uniform(0.5, 1.5), lambda: self._ended(delivery))

    def _commit(self) -> None:
        if self._committing is not None or not self._gathered.offsets:
            return
        batch, self._gathered = self._gathered, Batch(self._generation)
        self._committing = batch
        if not batch.unacknowledged or self._mutation is Mutation.COMMIT_BEFORE_ACKNOWLEDGE:
            self._ask(batch)

    def _ask(self, batch: Batch) -> None:
        """Ask until there is an answer: only the group's own refusal is a no."""
        asked = batch.generation
        if self._mutation is Mutation.GENERATION_READ_LATE:
            asked = self._generation
        if asked != self._generation:
            self._answered(batch, False)
            return

        def answered(answer: bool | None) -> None:
            if answer is None:
                self.later(0.2, lambda: self._ask(batch))
            else:
                self._answered(batch, answer)

        self._broker.request(self, lambda: self._group.commit(self, asked, batch.offsets), answered)

    def _answered(self, batch: Batch, confirmed: bool) -> None:
        if batch is self._committing:
            self._committing = None
            self._resolve(batch, confirmed)
            self._commit()

    def _resolve(self, batch: Batch, confirmed: bool) -> None:
        self._notes.refused += not confirmed and bool(batch.deliveries)
        for delivery in batch.deliveries:
            delivery.confirmed = confirmed
            if delivery.settling:
                continue
            if not confirmed or delivery.ended:
                delivery.ended = True
                self._settle(delivery)

    def _ended(self, delivery: Delivery) -> None:
        if not delivery.ended:
            delivery.ended = True
            self._settle(delivery)

    def _settle(self, delivery: Delivery) -> None:
        """One outcome is one record; all but a success wait for the acceptance."""
        if self.age > FENCE and self._mutation is not Mutation.UNFENCED_SETTLEMENT:
            self.die()
            return
        plan = self._plans[delivery.task.task_id]
        fails = delivery.task.attempt <= plan.failures or plan.permanent
        given_away = delivery.handed_back or delivery.elsewhere is not None
        if not fails and delivery.confirmed is not False and not given_away:
            self._write(delivery, outcomes.succeeded(self, delivery))
        elif delivery.confirmed is False:
            if self._mutation is Mutation.NO_ABANDONED:
                self._release(delivery)
            else:
                self._write(delivery, outcomes.abandoned(self, delivery))
        elif delivery.confirmed or self._mutation is Mutation.EARLY_RETRY:
            self._write_failure(delivery, plan)

    def _write_failure(self, delivery: Delivery, plan: TaskPlan) -> None:
        if delivery.elsewhere is not None:
            as_it_was = self._mutation is Mutation.HANDED_OVER_AS_IT_WAS
            copy = outcomes.copied(delivery) if as_it_was else outcomes.handed_over(self, delivery)
            self._write(delivery, copy, number=delivery.elsewhere)
            return
        if delivery.handed_back:
            self._write(delivery, outcomes.handed_back(self, delivery))
            return
        retry = None if plan.permanent else outcomes.retry(self, delivery, self.timeline.random)
        if retry is None:
            self._write(delivery, outcomes.dead_letter(self, delivery))
            return
        task_id, attempt = delivery.task.task_id, delivery.task.attempt + 1
        self._write(delivery, retry, lambda: self._notes.retried(task_id, attempt))

    def _write(
        self,
        delivery: Delivery,
        write: outcomes.Write,
        landed: Callable[[], None] | None = None,
        number: int | None = None,
    ) -> None:
        delivery.settling = True
        self._broker.send(self, write, lambda: self._release(delivery), landed, number)

    def _release(self, delivery: Delivery) -> None:
        for held in (self._running, self._surplus):
            if delivery in held:
                held.remove(delivery)
                self.poke()


def wants(record: Record) -> bool:
    """A worker looks again when a record of this topic has landed."""
    return record.topic == LANE
