"""Takes the topics of finished tests off the run's broker. Which prefix a test had, the fixtures know.

A prefix of Muster has some 175 partitions, and a broker maps two files for each. Linux allows a process 65,530 maps
(`vm.max_map_count`): without this the broker of a long test run ends after about 190 tests, and is slow long before.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from muster_local.ports import wait_until

#: Prefixes are gathered: one request for many topics costs hardly more than one for few.
BATCH = 4
_REQUEST_MS = 60_000
_GONE_SECONDS = 60.0


class SpentTopics:
    """The prefixes of tests that have ended, on one broker."""

    def __init__(self, bootstrap: str, data: Path) -> None:
        """`data` is the folder in which the broker keeps a folder for each partition."""
        self._bootstrap = bootstrap
        self._data = data
        self._prefixes: list[str] = []

    def add(self, prefix: str) -> None:
        """Remember a prefix; with the fourth the topics of all of them go."""
        self._prefixes.append(prefix)
        if len(self._prefixes) >= BATCH:
            prefixes, self._prefixes = tuple(self._prefixes), []
            # A thread of its own: a test's event loop may still be there.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(lambda: asyncio.run(_delete(self._bootstrap, prefixes))).result()
            # The broker says yes before it does it, and then takes seconds in which it leads no new partition.
            wait_until(lambda: not self._kept(prefixes), timeout_seconds=_GONE_SECONDS)

    def _kept(self, prefixes: tuple[str, ...]) -> bool:
        return any(folder.name.startswith(prefixes) for folder in self._data.iterdir())


async def _delete(bootstrap: str, prefixes: tuple[str, ...]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS)
    await admin.start()
    try:
        topics = [topic for topic in await admin.list_topics() if topic.startswith(prefixes)]
        if topics:
            await admin.delete_topics(topics, timeout_ms=_REQUEST_MS)
    finally:
        await admin.close()
