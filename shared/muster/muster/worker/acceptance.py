"""Accepts records by commit: a batch of what stands for them is acknowledged first, then its offsets are committed.

The offset says who has accepted a task, never how it went. Whoever accepted one is visible to the recovery by then.
Which records are taken is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError, CommitRefused
from muster.observability.logging import get_logger
from muster.ports import Clock, Consumer, Position, Record, TopicPartition
from muster.worker.delivery import Acceptance, Delivery
from muster.worker.meters import Meters

#: How long acceptances are gathered for one commit: a commit costs the broker about as much as ten records.
COMMIT_SECONDS = 0.02
#: A revoked partition waits for our last commit this long, well within any session timeout.
REVOKE_SECONDS = 5.0
RETRY_SECONDS = 0.2

_log = get_logger(__name__)


class Acceptances:
    """The batches of one worker, one open at a time, each committed under the generation it was gathered in."""

    def __init__(self, consumer: Consumer, clock: Clock, meters: Meters) -> None:
        self._consumer = consumer
        self._clock = clock
        self._meters = meters
        self._batch = Acceptance()
        self._gathering = asyncio.Event()
        self._committing = asyncio.Lock()
        #: Counts assignments; what was polled or accepted under an older one is not ours to commit.
        self.generation = 0
        #: True between a revocation and the next assignment: nothing may be accepted.
        self.moving = True

    def open_in(self, generation: int) -> bool:
        """Whether what was polled under `generation` is still ours to accept."""
        return not self.moving and generation == self.generation

    def gather(self, record: Record, written: asyncio.Future[Position], generation: int) -> bool:
        """Put a record into the open batch; False when the group moved while its record was being queued."""
        if not self.open_in(generation):
            return False  # uncommitted: the new owner reads it again
        self._batch.written.append(written)
        self._batch.offsets[record.source] = record.offset + 1
        self._gathering.set()
        return True

    def deliver(self, record: Record, task: TaskRecord, now: datetime) -> Delivery:
        """The delivery of a record that was gathered just now; it shares the fate of the open batch."""
        delivery = Delivery(record, task, self._batch, now)
        self._batch.deliveries.append(delivery)
        return delivery

    async def run(self) -> None:
        """Commit what was gathered, batch by batch, until cancelled."""
        while True:
            await self._gathering.wait()
            await self._clock.sleep(COMMIT_SECONDS)
            self._gathering.clear()
            await self.commit()

    async def commit(self) -> None:
        """Accept the open batch: wait for its records, then commit its offsets; a refusal cancels its tasks.

        Raises:
            BrokerError: a record of the batch was not written; this worker cannot go on.
        """
        async with self._committing:
            # The generation of the batch, not the one in force once its records are written: by then the same
            # records may have been taken again, and one commit would confirm both.
            batch, generation = self._swap(), self.generation
            if not batch.offsets:
                return
            confirmed = False
            try:
                await asyncio.gather(*batch.written)
                confirmed = await self._ask(batch.offsets, generation)
            finally:
                _resolve(batch, confirmed=confirmed)

    async def let_go(self) -> None:
        """Called before partitions move: commit what was gathered, in bounded time; the rest is another's."""
        self.moving = True
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self.commit()
        except (TimeoutError, BrokerError) as error:
            _log.warning("The last commit before a move failed", action="intake.revoke_failed", error=str(error))
        finally:
            self.generation += 1
            _resolve(self._swap(), confirmed=False)

    def go_on(self) -> None:
        """Called with a new assignment: records may be accepted again."""
        self.moving = False

    async def _ask(self, offsets: Mapping[TopicPartition, int], generation: int) -> bool:
        """Commit, again after an answer that did not come: only the group's own refusal is a no."""
        while generation == self.generation:
            try:
                await self._consumer.commit(offsets)
                return True
            except CommitRefused as refusal:
                self._meters.commits_refused.inc()
                _log.warning("Acceptance refused", action="intake.refused", reason=str(refusal))
                return False
            except BrokerError as error:
                _log.warning("No answer to a commit; asking again", action="intake.commit_retry", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
        return False

    def _swap(self) -> Acceptance:
        batch, self._batch = self._batch, Acceptance()
        return batch


def _resolve(batch: Acceptance, *, confirmed: bool) -> None:
    batch.confirmed.set_result(confirmed)
    if not confirmed:
        for delivery in batch.deliveries:
            delivery.cancel("abandoned")
    # They name the batch, too: only the garbage collector could free such a circle.
    batch.deliveries.clear()
