"""Writes for the leader, so that no two leaders' judgements can overlap. What is written is redelivery.py's.

Kafka itself keeps them apart: taking the pen fences every older one, at once and for good. A leader takes it *before*
it looks (committed offsets, barrier) and its write counts only while nobody took it since. So of two leaders either the
first one's records were in the log before the second began to look, or they never will be. The advisory lock decides
who should lead; that a deposed leader cannot write hangs on this alone (docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from muster.contracts.errors import BrokerError
from muster.ports import Headers, TransactionalProducer

#: (topic, key, value, headers)
Write = tuple[str, bytes | None, bytes | None, Headers]


class Fence:
    """The one pen of all trackers, as this one holds it."""

    def __init__(self, make: Callable[[], TransactionalProducer], group: str) -> None:
        self._make = make
        self._group = group
        self._pen: TransactionalProducer | None = None

    async def take(self) -> None:
        """Have the pen; whoever had it writes nothing any more, and what it had begun is whole or void.

        Raises:
            BrokerError: Kafka did not give it; nothing may be judged.
        """
        if self._pen is None:
            pen = self._make()
            await pen.start()
            self._pen = pen

    async def write(self, records: Sequence[Write]) -> None:
        """Write all of these records or none.

        Raises:
            BrokerError: somebody else took the pen since, or the outcome is unknown: look again from the beginning.
        """
        if self._pen is None:
            raise BrokerError("nothing may be written before the fence is taken")
        try:
            await self._pen.move(records, {}, self._group)
        except BaseException:
            await self.drop()
            raise

    async def drop(self) -> None:
        """Give the pen up; the next `take` gets a new one."""
        pen, self._pen = self._pen, None
        if pen is not None:
            with suppress(BrokerError):
                await pen.stop()
