"""What the control topic says to this worker: which tasks are taken back, which task types are paused.

Cancelling them is the lifecycle's business, writing REVOKED the settlement's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from muster.contracts.control import Order, Revocation, RevocationRule, decode_order, enqueued_at, revocation_key
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import UNREADABLE
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Admin, Broker, Consumer, Record, TopicPartition
from muster.worker.turns import Pauses

_log = get_logger(__name__)


class Control:
    """Every order in force, read from the start of the compacted topic and followed from then on.

    What is kept here is bounded by what the tracker has not withdrawn: it withdraws an order by id once no record of
    its task can come any more, and a rule as soon as each of its tasks is ordered back by id.
    """

    def __init__(self, broker: Broker, topics: Topics, on_order: Callable[[Order], None]) -> None:
        self._topic = topics.control
        self._consumer: Consumer = broker.consumer(client_id="muster-control")
        self._on_order = on_order
        self._revocations: dict[bytes, Revocation] = {}
        self._rules: dict[bytes, RevocationRule] = {}
        self.pauses = Pauses()

    @property
    def held(self) -> int:
        """How many orders are in force."""
        return len(self._revocations) + len(self._rules)

    def order_against(self, task: TaskRecord, record: Record, started: datetime | None = None) -> Order | None:
        """The order that takes this task back; `started`: when its run began, None when it has not."""
        if not self._revocations and not self._rules:
            return None
        enqueued = enqueued_at(task, record.timestamp_ms)
        named = self._revocations.get(revocation_key(task.task_id, task.redrive))
        if named is not None and named.covers(task, enqueued=enqueued, started=started):
            return named
        for rule in self._rules.values():
            if rule.covers(task, enqueued=enqueued, started=started):
                return rule
        return None

    async def start(self, admin: Admin) -> None:
        """Read everything that was said before now, so that no revoked task is started."""
        count = (await admin.partitions([self._topic])).get(self._topic, 0)
        partitions = [TopicPartition(self._topic, number) for number in range(count)]
        self._consumer.assign(partitions)
        await self._consumer.start()
        ends = await self._consumer.end_offsets(partitions)
        await self._consumer.seek_to_beginning(partitions)
        for partition, end in ends.items():
            while await self._consumer.position(partition) < end:
                for record in await self._consumer.poll(timeout=1.0):
                    self._fold(record)

    async def follow(self) -> None:
        """Fold what comes, until cancelled."""
        while True:
            for record in await self._consumer.poll(timeout=5.0):
                self._fold(record)

    async def stop(self) -> None:
        await self._consumer.stop()

    def _fold(self, record: Record) -> None:
        if self.pauses.fold(record):
            return
        key = record.key or b""
        if record.value is None:
            self._revocations.pop(key, None)
            self._rules.pop(key, None)
            return
        try:
            order = decode_order(record.value)
        except UNREADABLE as error:
            _log.warning(
                "Skipped a control record that cannot be read", action="control.unreadable",
                offset=record.offset, error=str(error),
            )  # fmt: skip
            return
        match order:
            case Revocation():
                self._revocations[key] = order
            case RevocationRule():
                self._rules[key] = order
            case None:
                return
        self._on_order(order)
