"""The life of a worker process: join, run, drain, or stop itself when fenced.

How one task runs is execution.py's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar, cast

from muster import __version__
from muster.claim_check import ClaimCheck
from muster.contracts.catalog import encode_description
from muster.contracts.control import Order, enqueued_at
from muster.contracts.errors import ConfigurationError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import BUILD
from muster.observability.server import AdminServer, CheckResult
from muster.observability.tracing import name_trace, processing, settling
from muster.ports import Admin, Broker, Clock, Compute
from muster.settings import Settings
from muster.worker.acceptance import Acceptances
from muster.worker.app import TaskApp
from muster.worker.control import Control
from muster.worker.delivery import Delivery
from muster.worker.execution import Execution
from muster.worker.heartbeat import Pulse
from muster.worker.intake import Intake
from muster.worker.meters import Meters
from muster.worker.outcome import DeadLetter, RetryAt
from muster.worker.peers import Peers
from muster.worker.settlement import Settlement
from muster.worker.slots import Slots
from muster.worker.surplus import Surplus

#: Progress of one task is told at most this often (seconds), the last step always.
REPORT_SECONDS = 0.25

R = TypeVar("R")
_log = get_logger(__name__)


class Worker(Generic[R]):
    """One worker of one service. `run` returns after a drain, and raises `BrokerError` when it had to fence itself."""

    def __init__(
        self,
        app: TaskApp[R],
        settings: Settings,
        broker: Broker,
        compute: Compute,
        clock: Clock,
        claims: ClaimCheck | None = None,
    ) -> None:
        self.id = settings.new_worker_id(app.service)
        self._app = app
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._group = self._topics.group(app.service)
        self._compute = compute
        self._clock = clock
        self._claims = claims
        self._slots = Slots(settings.slots)
        self._admin: Admin = broker.admin()
        # No linger: while one request is under way the next batch fills by itself, and an idle task waits for nothing.
        self._producer = broker.producer(client_id=self.id, linger_ms=0)
        self._consumer = broker.consumer(
            group=self._group, client_id=self.id, session_timeout=settings.session_seconds,
        )  # fmt: skip
        self._lanes = [self._topics.lane(app.service, lane) for lane in settings.lanes]
        self._meters = Meters(app.service, frozenset(app.tasks))
        self._settlement = Settlement(self._producer, self._topics, self._meters, self.id, clock)
        self._control = Control(broker, self._topics, self._on_order)
        self._acceptances = Acceptances(self._consumer, clock, self._meters)
        self._peers = Peers(broker, self._topics, settings, app.service, self.id, clock)
        self._pulse = Pulse(
            self._producer, self._topics, settings, app.service, self.id, clock, self._slots, self._consumer,
            self._peers,
        )  # fmt: skip
        self._intake = self._make_intake()
        self._server = AdminServer(settings, {"kafka": self._check_kafka, "group": self._check_group}, self._alive)
        self._execution: Execution[R] | None = None
        self._stop = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _make_intake(self) -> Intake:
        surplus = Surplus(
            self._peers, self._settlement, self._slots, self.id, self._consumer.backlog, self._pulse.check, self._fail
        )
        return Intake(
            self._consumer, self._acceptances, self._settlement, self._control, self._slots, surplus, self._clock,
            self._meters, self._topics, self._app.service, self._begin,
        )  # fmt: skip

    def stop(self) -> None:
        """Begin to drain; `run` returns when that is done."""
        self._stop.set()

    async def run(self) -> None:
        """Join the group, run tasks until `stop`, then drain.

        Raises:
            ConfigurationError: topics are missing, or a setting cannot work.
            BrokerError: the worker could not speak to Kafka for too long and stopped its tasks itself.
        """
        async with AsyncExitStack() as stack:
            await self._enter(stack)
            background = [
                asyncio.create_task(self._watched(job), name=name)
                for name, job in (
                    ("control", self._control.follow),
                    ("commits", self._acceptances.run),
                    ("peers", lambda: self._peers.follow(self._slots.wake)),
                )
            ]
            intake = asyncio.create_task(self._watched(self._intake.run), name="intake")
            try:
                await self._unless_failed(self._stop.wait())
                await self._unless_failed(self._drain(intake))
            finally:
                await self._halt([intake, *background])

    async def _enter(self, stack: AsyncExitStack) -> None:
        """Start every part in the order in which they need each other; they stop in reverse."""
        await self._admin.start()
        stack.push_async_callback(self._admin.stop)
        await self._check_topics()
        await self._producer.start()
        stack.push_async_exit(self._close_producer)
        await self._control.start(self._admin)
        stack.push_async_callback(self._control.stop)
        stack.push_async_callback(self._peers.stop)
        resources = (
            await stack.enter_async_context(self._app.resources(self._settings)) if self._app.resources else None
        )
        stack.push_async_callback(self._compute.close)
        # An app without resources is a TaskApp[None].
        self._execution = Execution(
            self._app, cast(R, resources), self._compute, self._clock, self._report, self._claims, self._pulse.check
        )
        await self._announce()
        await self._pulse.beat()
        # Joining may take a session of somebody who died: a worker that is silent so long would have to stop itself.
        stack.push_async_callback(_ended, asyncio.create_task(self._watched(self._pulse.run), name="heartbeat"))
        self._consumer.subscribe(self._lanes, self._intake)
        await self._consumer.start()
        stack.push_async_callback(self._consumer.stop)
        await self._server.start()
        stack.push_async_callback(self._server.stop)
        self._meters.slots.set(self._slots.capacity)
        self._meters.running.set_function(lambda: self._slots.running)
        self._meters.orders.set_function(lambda: self._control.held)
        BUILD.info({"version": __version__, "service": self._app.service})
        _log.info("Worker is up", action="worker.up", worker=self.id, slots=self._slots.capacity)

    async def _close_producer(self, kind: type[BaseException] | None, *rest: object) -> None:
        """After a drain everything is written. After a failure nothing more may be: a broker that comes back later
        would be given retries of tasks that others were told to run."""
        await (self._producer.stop() if kind is None else self._producer.abort())

    async def _check_topics(self) -> None:
        topics = self._topics
        written = [topics.events, topics.retry, topics.dead_letter, topics.keyed, topics.control, topics.catalog]
        needed = [*self._lanes, *written, topics.workers]
        there = await self._admin.partitions(needed)
        missing = [name for name in needed if name not in there]
        if missing:
            raise ConfigurationError(f"topics are missing ({', '.join(missing)}): run `muster topics apply`")

    async def _announce(self) -> None:
        for task in self._app.tasks.values():
            description = encode_description(task.describe(self._app.service, __version__))
            await (await self._producer.send(self._topics.catalog, description, key=task.name.encode()))

    async def _unless_failed(self, job: Coroutine[Any, Any, Any]) -> None:
        """Wait for `job`, or raise what made a part of the worker fail."""
        task = asyncio.ensure_future(job)
        waiting: set[asyncio.Future[Any]] = {task, self._failed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            task.cancel()
            self._failed.result()
        await task

    async def _halt(self, parts: list[asyncio.Task[None]]) -> None:
        """Stop whatever still runs, without writing a word: after a drain nothing does, after a fence nothing may."""
        runners = [delivery.runner for delivery in self._slots if delivery.runner]
        for delivery in self._slots:
            delivery.cancel("fenced")
        for task in (*parts, *runners):
            task.cancel()
        await asyncio.gather(*parts, *runners, return_exceptions=True)

    async def _drain(self, intake: asyncio.Task[None]) -> None:
        """Leave the group first, so that others take over at once; then let the tasks end, or hand them back."""
        _log.info("Draining", action="worker.drain", worker=self.id, running=self._slots.running)
        self._intake.stop()
        await intake
        await self._acceptances.commit()
        await self._consumer.stop()
        try:
            async with asyncio.timeout(self._settings.grace_seconds):
                await self._slots.all_free()
        except TimeoutError:
            for delivery in self._slots:
                delivery.cancel("drained")
            await self._slots.all_free()
        await self._producer.flush()
        await self._pulse.leave()
        _log.info("Drained", action="worker.drained", worker=self.id)

    def _begin(self, delivery: Delivery) -> None:
        record = delivery.record
        self._meters.started(
            delivery.task.task_type, record.topic, delivery.started_at.timestamp() - record.timestamp_ms / 1000
        )
        delivery.runner = asyncio.create_task(self._run(delivery))
        # Heard while its STARTED was being queued: the function has not begun yet.
        order = self._control.order_against(delivery.task, record, delivery.started_at)
        if order is not None:
            delivery.cancel("revoked", order)

    async def _run(self, delivery: Delivery) -> None:
        assert self._execution is not None, "deliveries begin after the start"  # noqa: S101
        task = delivery.task
        began = self._clock.monotonic()
        delivery.begun = True
        try:
            with processing(task, delivery.record, group=self._group, client=self.id) as span:
                name_trace(span)
                outcome = await self._execution.run(delivery)
                if delivery.cancel_reason == "fenced":
                    return
                delivery.settling = True
                seconds = self._clock.monotonic() - began
                self._meters.ran(task.task_type, seconds)
                if isinstance(outcome, RetryAt | DeadLetter):
                    span.failed(outcome.failure.error)
                with settling(task, delivery.record.topic, type(outcome).__name__):
                    await self._settlement.settle(delivery, outcome, self._pulse.check)
                _log.info(
                    "Task settled", action="task.settled", task_id=task.task_id, task_type=task.task_type,
                    attempt=task.attempt, outcome=type(outcome).__name__, seconds=round(seconds, 3),
                )  # fmt: skip
        except Exception as error:  # noqa: BLE001  what cannot be written stops the worker; recovery brings it back
            self._fail(error)
        finally:
            self._slots.release(delivery)

    async def _report(self, delivery: Delivery, done: float, total: float | None, message: str) -> None:
        now = self._clock.monotonic()
        if done != total and now - delivery.last_report < REPORT_SECONDS:
            return
        delivery.last_report = now
        await self._settlement.progressed(delivery.task, done, total, message)

    def _on_order(self, order: Order) -> None:
        if order.terminate:
            for delivery in self._slots:
                enqueued = enqueued_at(delivery.task, delivery.record.timestamp_ms)
                if order.covers(delivery.task, enqueued=enqueued, started=delivery.started_at):
                    delivery.cancel("revoked", order)

    async def _watched(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001  told to whoever waits in `run`
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._failed.done():
            _log.error(
                "The worker stops itself", action="worker.failed", worker=self.id, error=str(error), exc_info=error
            )
            self._failed.set_exception(error)

    def _alive(self) -> bool:
        return self._pulse.age <= self._settings.fence_seconds and not self._failed.done()

    async def _check_kafka(self) -> CheckResult:
        age = self._pulse.age
        return age <= self._settings.beat_seconds * 3, f"last heartbeat acknowledged {age:.1f} s ago"

    async def _check_group(self) -> CheckResult:
        if self._stop.is_set():
            return False, "draining"
        return self._intake.assigned, "partitions assigned" if self._intake.assigned else "waiting for an assignment"


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
