"""Hands tasks that wait behind full slots over to idle workers. How many, and to whom, is sharing.py's decision.

A task is accepted like any other (claimed, then committed) and given back at once, straight into a partition of its
lane that the idle worker owns. The copy is written only after the commit stands: were it written before, a refused
commit would leave two records of one attempt, and each could lead to a next attempt of its own. Should this worker die
in between, its claim is below the committed offset, and recovery runs the task again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from muster.contracts.envelope import TaskRecord
from muster.observability.logging import get_logger
from muster.ports import TopicPartition
from muster.worker.delivery import Delivery
from muster.worker.outcome import HandOver
from muster.worker.peers import Peers
from muster.worker.settlement import Settlement
from muster.worker.sharing import destination, may_travel, reachable, share
from muster.worker.slots import Slots

_log = get_logger(__name__)


class Surplus:
    """What a full worker does with the tasks that wait in its partitions. `failed` is told what cannot be mended."""

    def __init__(
        self,
        peers: Peers,
        settlement: Settlement,
        slots: Slots,
        worker: str,
        waiting: Callable[[], int],
        check_fence: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._peers = peers
        self._settlement = settlement
        self._slots = slots
        self._worker = worker
        self._waiting = waiting
        self._check_fence = check_fence
        self._failed = failed

    def room(self) -> tuple[int, frozenset[str]]:
        """How many tasks may be handed over now, and of which lanes."""
        peers = self._peers.present()
        lanes = reachable(peers)
        return (share(self._worker, self._waiting(), peers), lanes) if lanes else (0, lanes)

    def may_travel(self, task: TaskRecord) -> bool:
        return may_travel(task)

    def reserve(self, task: TaskRecord, lane: str) -> TopicPartition | None:
        """Where the task shall go; None when nobody in reach is idle any more."""
        found = destination(lane, self._peers.present())
        if found is None:
            return None
        worker, partition = found
        self._peers.expect(worker, task.task_id)
        return partition

    def begin(self, delivery: Delivery, to: TopicPartition) -> None:
        """Give the delivery away once it is accepted; it takes no slot."""
        # Nothing runs that could be interrupted, and the copy must be written whatever happens around it.
        delivery.settling = True
        self._slots.take_surplus(delivery)
        delivery.runner = asyncio.create_task(self._give(delivery, to.partition))

    async def _give(self, delivery: Delivery, partition: int) -> None:
        task = delivery.task
        try:
            outcome = await self._settlement.settle(delivery, HandOver(partition), self._check_fence)
            if isinstance(outcome, HandOver):
                _log.info(
                    "Handed a task over", action="task.handed_over", task_id=task.task_id, task_type=task.task_type,
                    topic=delivery.record.topic, partition=partition, handover=task.handover + 1,
                )  # fmt: skip
        except Exception as error:  # noqa: BLE001  what cannot be written stops the worker; recovery brings it back
            self._failed(error)
        finally:
            self._slots.release(delivery)
