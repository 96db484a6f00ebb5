"""Which workers live, read straight from their heartbeats: for when no tracker can be asked. Writing them is theirs."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime, timedelta
from typing import NamedTuple

from muster.client.reading import read_to_end
from muster.contracts.errors import UNREADABLE
from muster.contracts.events import Heartbeat, decode_heartbeat
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Broker

log = get_logger(__name__)


class WorkerView(NamedTuple):
    """A worker's last heartbeat and how old it is (seconds)."""

    beat: Heartbeat
    age: float

    def alive(self, lease: float) -> bool:
        """It did not say good-bye, and its last beat is younger than the lease (seconds)."""
        return not self.beat.leaving and self.age < lease


async def read_workers(broker: Broker, topics: Topics, now: datetime) -> list[WorkerView]:
    """The last heartbeat of every worker of the last hour, by name; trackers beat too, as their own clock."""
    beats: dict[str, Heartbeat] = {}
    async with aclosing(read_to_end(broker, topics.workers)) as records:
        async for record in records:
            try:
                beat = decode_heartbeat(record.value or b"")
            except UNREADABLE as error:
                log.warning("Heartbeat cannot be read", action="heartbeat.unreadable", error=str(error))
                continue
            beats[beat.worker] = beat
    return [WorkerView(beats[name], max(timedelta(0), now - beats[name].at).total_seconds()) for name in sorted(beats)]
