"""Waits until the projection has folded everything that was written before a moment. Judges nothing."""

from __future__ import annotations

from muster.contracts.errors import BrokerError
from muster.ports import Admin, Broker, Clock, TopicPartition

from tracker_service.recovery import claims

BARRIER_SECONDS = 30.0
_LOOK_SECONDS = 0.05


class Barrier:
    """Ends are the log's own: what lies behind an open transaction was written too, and is waited for."""

    def __init__(self, broker: Broker, admin: Admin, topics: frozenset[str], clock: Clock) -> None:
        """`topics`: those in which tasks' facts lie."""
        self._admin = admin
        self._topics = topics
        self._clock = clock
        self._reader = broker.consumer(client_id="muster-tracker-barrier", committed_only=False)

    async def start(self) -> None:
        self._reader.assign([])
        await self._reader.start()

    async def stop(self) -> None:
        await self._reader.stop()

    async def pass_in(self, connection: claims.Connection) -> None:
        """Return when everything that was written before the call is in the projection.

        Raises:
            BrokerError: the projection did not get there in time; nothing may be judged.
        """
        counts = await self._admin.partitions(self._topics)
        partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        ends = {partition: end for partition, end in (await self._reader.end_offsets(partitions)).items() if end}
        deadline = self._clock.monotonic() + BARRIER_SECONDS
        while not await claims.passed(connection, ends):
            if self._clock.monotonic() > deadline:
                raise BrokerError("the projection is behind: what hangs on it is judged when it has caught up")
            await self._clock.sleep(_LOOK_SECONDS)
