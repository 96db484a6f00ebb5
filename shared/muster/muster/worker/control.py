"""What the control topic says to this worker: which tasks are revoked.

Cancelling them is the lifecycle's business, writing REVOKED the settlement's.
"""

from __future__ import annotations

from collections.abc import Callable

from muster.contracts.errors import UNREADABLE
from muster.contracts.events import Revocation, decode_revocation
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Admin, Broker, Consumer, Record, TopicPartition

_log = get_logger(__name__)


class Control:
    """Every revocation in force, read from the start of the compacted topic and followed from then on."""

    def __init__(self, broker: Broker, topics: Topics, on_revocation: Callable[[Revocation], None]) -> None:
        self._topic = topics.control
        self._consumer: Consumer = broker.consumer(client_id="muster-control")
        self._on_revocation = on_revocation
        self._revocations: dict[str, Revocation] = {}

    def revocation_of(self, task_id: str) -> Revocation | None:
        return self._revocations.get(task_id)

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
        task_id = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self._revocations.pop(task_id, None)
            return
        try:
            revocation = decode_revocation(record.value)
        except UNREADABLE as error:
            _log.warning(
                "Skipped a control record that cannot be read", action="control.unreadable",
                offset=record.offset, error=str(error),
            )  # fmt: skip
            return
        self._revocations[revocation.task_id] = revocation
        self._on_revocation(revocation)
