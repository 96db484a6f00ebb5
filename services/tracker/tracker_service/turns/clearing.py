"""Clears seats that workers brought from a lane: each may be called once its lane record can start nobody any more.

The order is recovery's: committed offsets, then the projection passes all that was written, then clear. Whoever is
handed the record before the group commits past it brings it to the door again, or claims it; and a claim is
acknowledged before its offset is committed, so that it is seen behind the barrier and the seat is not called.
"""

from __future__ import annotations

from collections.abc import Mapping

from muster.contracts.errors import BrokerError, StoreError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Admin, Clock, TopicPartition

from tracker_service.database import Pool
from tracker_service.projection.store import UNAVAILABLE
from tracker_service.recovery.barrier import Barrier
from tracker_service.turns import room
from tracker_service.turns.seat import lane_record

LIMIT = 2000
ROUND_SECONDS = 0.5

_log = get_logger(__name__)
Committed = Mapping[TopicPartition, int]


class Clearing:
    """Any tracker may do it, also several at once: what is cleared is a fact."""

    def __init__(self, pool: Pool, admin: Admin, barrier: Barrier, topics: Topics, clock: Clock) -> None:
        self._pool = pool
        self._admin = admin
        self._barrier = barrier
        self._topics = topics
        self._clock = clock

    async def run(self) -> None:
        """Clear until cancelled; outages are waited out."""
        await self._barrier.start()
        try:
            while True:
                try:
                    await self.round()
                except (BrokerError, StoreError, *UNAVAILABLE) as error:
                    _log.warning("A round of clearing failed", action="turns.uncleared", error=str(error))
                await self._clock.sleep(ROUND_SECONDS)
        finally:
            await self._barrier.stop()

    async def round(self) -> None:
        """Look at the seats that are not cleared yet."""
        async with self._pool.acquire() as connection:
            seats = await room.uncleared(connection, LIMIT)
            if not seats:
                return
            committed = await self._committed({left.rpartition("/")[0].rpartition("/")[0] for _, left in seats})
            behind = [(key, left) for key, left in seats if is_behind(left, committed, self._topics)]
            await self._barrier.pass_in(connection)
            async with connection.transaction():
                queues = await room.clear(connection, behind)
                await room.make_due(connection, queues)
                if queues:
                    await connection.execute(f"NOTIFY {room.TURNS_CHANNEL}")

    async def _committed(self, topics: set[str]) -> Committed:
        services = {self._topics.service_of_lane(topic) for topic in topics}
        committed: dict[TopicPartition, int] = {}
        for service in sorted(service for service in services if service):
            committed |= await self._admin.committed(self._topics.group(service))
        return committed


def is_behind(left: str, committed: Committed, topics: Topics) -> bool:
    """The group has committed past this lane record; what names none of ours has nothing to wait for."""
    record = lane_record(left, topics)
    return record is None or record.offset < committed.get(TopicPartition(record.topic, record.partition), 0)
