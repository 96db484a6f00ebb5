"""What can be run, as the workers announced it on `tasks.catalog`. Announcing is the worker's."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from muster.client.reading import read_to_end
from muster.contracts.catalog import TaskDescription, decode_description
from muster.contracts.errors import UNREADABLE, SubmitRefused
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Broker

#: A task type moves to another service about never; new ones are found by the miss.
KEEP_SECONDS = 300.0
#: Unknown names are looked up again at most this often.
MISS_SECONDS = 2.0

log = get_logger(__name__)


async def read_catalog(broker: Broker, topics: Topics) -> dict[str, TaskDescription]:
    """Every announced task type by its name."""
    found: dict[str, TaskDescription] = {}
    async with aclosing(read_to_end(broker, topics.catalog)) as records:
        async for record in records:
            name = (record.key or b"").decode(errors="replace")
            if not record.value:
                found.pop(name, None)
                continue
            try:
                description = decode_description(record.value)
            except UNREADABLE as error:
                log.warning("Catalog entry cannot be read", action="catalog.unreadable", key=name, error=str(error))
                continue
            found[description.task_type] = description
    return found


class CatalogReader:
    """The catalog, read when it is first needed and kept for a while."""

    def __init__(self, broker: Broker, topics: Topics) -> None:
        self._broker, self._topics = broker, topics
        self._known: dict[str, TaskDescription] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, task_type: str) -> TaskDescription:
        """The description of a task type.

        Raises:
            SubmitRefused: no worker has announced it.
        """
        if self._stale(task_type):
            async with self._reading:
                if self._stale(task_type):
                    self._known = await read_catalog(self._broker, self._topics)
                    self._read_at = time.monotonic()
        description = self._known.get(task_type)
        if description is None:
            raise SubmitRefused(
                f"no worker has announced the task type {task_type}: start its service first, or name the service"
            )
        return description

    def _stale(self, task_type: str) -> bool:
        age = time.monotonic() - self._read_at
        return age > (KEEP_SECONDS if task_type in self._known else MISS_SECONDS)
