"""The tracker process: starts every part in the order in which they need each other, watches them, drains.

What the parts do is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any

import uvicorn
from muster import __version__
from muster.adapters.claim_store import open_claim_check
from muster.claim_check import ClaimCheck
from muster.contracts.errors import BrokerError, ConfigurationError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import BUILD
from muster.observability.server import AdminServer
from muster.ports import Admin, Broker, Clock, Producer
from muster.settings import Settings

from tracker_service import schema
from tracker_service.api.app import create_app
from tracker_service.api.callers import Callers
from tracker_service.api.catalog import Catalog
from tracker_service.api.context import Api
from tracker_service.api.health import check_database, check_kafka
from tracker_service.api.limits import RateLimit
from tracker_service.api.waiting import Waiting
from tracker_service.database import Pool, database_url, open_pool
from tracker_service.projection.freshness import Freshness
from tracker_service.projection.projector import Projector
from tracker_service.projection.reading import Reader
from tracker_service.projection.scribe import Scribe
from tracker_service.projection.store import Store
from tracker_service.recovery.barrier import Barrier
from tracker_service.recovery.beats import Beats
from tracker_service.recovery.death_clock import DeathClock
from tracker_service.recovery.fence import Fence
from tracker_service.recovery.leadership import Leadership
from tracker_service.recovery.originals import Originals
from tracker_service.recovery.recovery import Recovery
from tracker_service.recovery.redelivery import Redelivery
from tracker_service.recovery.revocations import Revocations
from tracker_service.retention import Retention
from tracker_service.settings import TrackerSettings
from tracker_service.sweeping import Sweeping
from tracker_service.turns.calling import Calling
from tracker_service.turns.clearing import Clearing
from tracker_service.turns.coordinator import Coordinator

API_CONNECTIONS = 8
#: The projector's own, and rows of tasks submitted through the API.
PROJECTION_CONNECTIONS = 4
DRAIN_SECONDS = 20.0

_log = get_logger(__name__)


class Tracker:
    """One tracker process. Several may run: the group deals out the projection, one of them leads the recovery."""

    def __init__(self, settings: Settings, tracker: TrackerSettings, broker: Broker, clock: Clock) -> None:
        self._settings = settings
        self._tracker = tracker
        self._broker = broker
        self._clock = clock
        self._topics = Topics(settings.topic_prefix)
        self._dsn = database_url(settings)
        self._parts: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then drain: answer open requests, store the batch under way, leave the group.

        Raises:
            ConfigurationError: the schema or topics are missing, or a setting cannot work.
            BrokerError, StoreError: Kafka or PostgreSQL were not there at the start.
        """
        async with AsyncExitStack() as stack:
            api, projector, jobs = await self._enter(stack)
            server = _Server(self._uvicorn(api))
            admin_server = AdminServer(
                self._settings,
                {"kafka": lambda: check_kafka(api), "database": lambda: check_database(api)},
                self._alive,
            )
            await admin_server.start()
            stack.push_async_callback(admin_server.stop)
            projecting = self._start("projector", projector.run)
            serving = self._start("api", server.serve)
            for name, job in jobs.items():
                self._start(name, job)
            BUILD.info({"version": __version__, "service": "tracker"})
            _log.info("Tracker is up", action="tracker.up", tracker=api.beats.id, port=self._tracker.http_port)
            try:
                await self._until(stop)
            finally:
                api.waiting.close()
                server.should_exit = True
                projector.stop()
                await asyncio.wait([serving, projecting], timeout=DRAIN_SECONDS)
                for part in self._parts:
                    part.cancel()
                await asyncio.gather(*self._parts, return_exceptions=True)
                _log.info("Tracker has drained", action="tracker.drained", tracker=api.beats.id)

    async def _open_database(self, stack: AsyncExitStack) -> tuple[Pool, Store]:
        pool = await open_pool(self._dsn, max_size=API_CONNECTIONS)
        stack.push_async_callback(pool.close)
        store_pool = await open_pool(self._dsn, max_size=PROJECTION_CONNECTIONS, durable=False)
        stack.push_async_callback(store_pool.close)
        async with pool.acquire() as connection:
            if names := await schema.missing(connection):
                raise ConfigurationError(
                    f"the database lacks {', '.join(names)}: run `python -m tracker_service migrate`"
                )
        return pool, Store(store_pool)

    async def _open_kafka(self, stack: AsyncExitStack, reader: Reader) -> tuple[Admin, Producer]:
        admin = self._broker.admin()
        await admin.start()
        stack.push_async_callback(admin.stop)
        missing = sorted(reader.topics - (await admin.partitions(reader.topics)).keys())
        if missing:
            raise ConfigurationError(f"topics are missing ({', '.join(missing)}): run `muster topics apply`")
        producer = self._broker.producer(client_id="muster-tracker", linger_ms=0)
        await producer.start()
        stack.push_async_callback(producer.stop)
        return admin, producer

    async def _enter(self, stack: AsyncExitStack) -> tuple[Api, Projector, dict[str, Callable[[], Any]]]:
        settings, topics, clock, broker = self._settings, self._topics, self._clock, self._broker
        reader = Reader(topics)
        pool, store = await self._open_database(stack)
        admin, producer = await self._open_kafka(stack, reader)
        freshness = Freshness(clock, patience=3 * settings.beat_seconds)
        projector = Projector(broker, topics, store, freshness, clock)
        death = DeathClock(lease=settings.lease_seconds, longest_step=2 * settings.beat_seconds)
        beats = Beats(broker, producer, topics, settings, clock, death, freshness)
        originals = Originals(broker, clock)
        stack.push_async_callback(originals.stop)
        group = topics.group("tracker")
        leadership = Leadership(self._dsn, group)
        folded = reader.topics - {topics.workers, topics.catalog, topics.control}
        barrier = Barrier(broker, admin, folded, clock)
        fence = Fence(lambda: broker.transactional_producer(f"{group}.recovery"), group)
        scribe = Scribe(producer, reader, store, clock)
        recovery = Recovery(
            admin, barrier, fence, Redelivery(originals, fence, topics, clock),
            Revocations(admin, scribe, barrier, topics, clock, beats.id), leadership, death, topics, clock,
        )  # fmt: skip
        waiting = Waiting(pool, self._dsn)
        claims = open_claim_check(settings.claims)
        catalog = Catalog(pool, clock)
        turns = self._turns(pool, admin, folded, catalog, beats.id)
        tracker = self._tracker
        api = Api(
            settings=settings, tracker=tracker, topics=topics, clock=clock, pool=pool, store=store, reader=reader,
            broker=broker, producer=producer, admin=admin, freshness=freshness, beats=beats, waiting=waiting,
            catalog=catalog, callers=Callers(pool, tracker.secret_key),
            limit=RateLimit(tracker.rate_limit), refusals=RateLimit(tracker.refusal_limit), claims=claims,
        )  # fmt: skip
        jobs = {
            "beats": beats.run_sending, "beat watch": beats.run_watching, "recovery": recovery.run,
            "waiting": waiting.run, "retention": self._retention().run, **turns,
        }  # fmt: skip
        if claims is not None:
            jobs["payloads"] = self._sweeping(claims, pool, Barrier(broker, admin, folded, clock)).run
        return api, projector, jobs

    def _sweeping(self, claims: ClaimCheck, pool: Pool, barrier: Barrier) -> Sweeping:
        leadership = Leadership(self._dsn, self._topics.group("claim-check"))
        return Sweeping(claims.store, pool, leadership, barrier, self._settings.claims, self._clock)

    def _retention(self) -> Retention:
        leadership = Leadership(self._dsn, self._topics.group("retention"))
        own, payloads_kept = self._tracker, timedelta(days=self._settings.claims.keep_days)
        return Retention(leadership, own.retention_at, timedelta(days=own.keep_days), payloads_kept, self._clock)

    def _turns(
        self, pool: Pool, admin: Admin, folded: frozenset[str], catalog: Catalog, name: str
    ) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """The jobs that call tasks out of the waiting room."""
        broker, topics, clock = self._broker, self._topics, self._clock
        # A lock and a pen of its own: whoever leads the recovery need not call tasks too.
        group = topics.group("turns")
        fence = Fence(lambda: broker.transactional_producer(group), group)
        calling = Calling(fence, topics, catalog.find, name, clock)
        # A pause that was ordered must be known too.
        barrier = Barrier(broker, admin, folded | {topics.control}, clock)
        coordinator = Coordinator(Leadership(self._dsn, group), fence, barrier, calling, clock)
        clearing = Clearing(pool, admin, Barrier(broker, admin, folded, clock), topics, clock)
        return {"turns": coordinator.run, "clearing": clearing.run}

    def _uvicorn(self, api: Api) -> uvicorn.Config:
        return uvicorn.Config(
            create_app(api, live=self._alive), host=self._tracker.http_host, port=self._tracker.http_port,
            log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=int(DRAIN_SECONDS) - 5,
            server_header=False,
        )  # fmt: skip

    def _start(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._watched(name, job), name=name)
        self._parts.append(task)
        return task

    async def _watched(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A part that breaks takes the process down: its supervisor starts a whole one."""
        try:
            await job()
        except (Exception, SystemExit) as error:  # noqa: BLE001  uvicorn leaves by SystemExit when its port is taken
            if not self._failed.done():
                _log.error("A part of the tracker failed", action="tracker.failed", part=name, exc_info=error)
                self._failed.set_exception(BrokerError(f"{name} failed: {error}"))

    async def _until(self, stop: asyncio.Event) -> None:
        waiting = asyncio.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {waiting, self._failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._failed.done():
            self._failed.result()

    def _alive(self) -> bool:
        return not self._failed.done()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
