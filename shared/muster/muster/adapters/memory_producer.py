"""Writes to the log in memory, one by one or in transactions. Partitions and visibility are memory_log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from muster.adapters.memory_consumer import Attempt
from muster.adapters.memory_group import Group
from muster.adapters.memory_log import Fate, Log, Transaction
from muster.contracts.errors import BrokerError
from muster.ports import Bookmark, Headers, Position, TopicPartition


class MemoryProducer:
    """ports.Producer: written at once, acknowledged one turn of the event loop later."""

    def __init__(self, log: Log, attempt: Attempt) -> None:
        self._log, self._attempt = log, attempt
        self._open: set[asyncio.Future[Position]] = set()
        self._running = False

    async def start(self) -> None:
        self._running = True

    async def stop(self) -> None:
        await self.flush()
        self._running = False

    async def abort(self) -> None:
        """Nothing waits here: what was sent is written."""
        self._running = False
        for answer in tuple(self._open):
            answer.set_exception(BrokerError("the producer was closed before the answer came"))
            answer.exception()  # whoever waited for it may be gone

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[Position]:
        if not self._running:
            raise BrokerError(f"the producer is not running: nothing was written to {topic}")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Position] = loop.create_future()
        self._open.add(answer)
        answer.add_done_callback(self._open.discard)
        try:
            position = self._attempt("produce", topic, lambda: self._log.append(topic, key, value, headers, partition))
        except Exception as error:  # noqa: BLE001  planned faults are of any kind
            loop.call_soon(_answer, answer, error)
        else:
            loop.call_soon(_answer, answer, position)
        return answer

    async def flush(self) -> None:
        while self._open:
            await asyncio.wait(self._open)


def _answer(answer: asyncio.Future[Position], outcome: Position | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


class MemoryTransactionalProducer:
    """ports.TransactionalProducer: starting one fences every older one with the same id."""

    def __init__(
        self, transactional_id: str, log: Log, groups: Callable[[str], Group], epochs: dict[str, int], attempt: Attempt
    ) -> None:
        self._id = transactional_id
        self._log, self._groups, self._epochs, self._attempt = log, groups, epochs, attempt
        self._epoch = 0

    async def start(self) -> None:
        self._epoch = self._epochs[self._id] = self._epochs.get(self._id, 0) + 1
        self._log.abort_all(self._id)

    async def stop(self) -> None:
        if self._epoch == self._epochs.get(self._id):
            self._log.abort_all(self._id)
        self._epoch = 0

    async def move(
        self,
        records: Sequence[tuple[str, bytes | None, bytes | None, Headers]],
        offsets: Mapping[TopicPartition, int | Bookmark],
        group: str,
    ) -> None:
        self._check_epoch()
        transaction = self._log.begin(self._id)
        try:
            for topic, key, value, headers in records:
                self._log.append(topic, key, value, headers, transaction=transaction)
                await asyncio.sleep(0)  # somebody may look, or fence us, in the middle
            self._commit(transaction, offsets, group)
        finally:
            self._log.finish(transaction, Fate.ABORTED)

    def _commit(self, transaction: Transaction, offsets: Mapping[TopicPartition, int | Bookmark], group: str) -> None:
        self._check_epoch()
        if transaction.fate is not Fate.OPEN:
            raise BrokerError(f"the transaction of {self._id} was open too long: the broker aborted it")

        def commit() -> None:
            self._log.finish(transaction, Fate.COMMITTED)
            self._groups(group).store(offsets)

        self._attempt("move", "", commit)

    def _check_epoch(self) -> None:
        if self._epoch == 0:
            raise BrokerError("the transactional producer is not running: nothing was moved")
        if self._epoch != self._epochs[self._id]:
            raise BrokerError(
                f"Kafka could not move records: a newer producer with the transactional id {self._id} fenced this one"
            )
