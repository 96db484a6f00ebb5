"""The alerts' process: starts its parts, watches them, ends them. What the parts do is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import rotc.alerts as tables
from muster import __version__
from muster.adapters.postgres import create_pool
from muster.contracts.errors import StoreError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import BUILD
from muster.observability.server import AdminServer, CheckResult
from muster.ports import Broker, Clock
from muster.settings import Settings
from rotc.connection import portable_dsn

from notify_service.alerts.addressing import Addressing
from notify_service.alerts.delivery import Delivering
from notify_service.alerts.ledger import Ledger, Pool
from notify_service.alerts.pipeline import Pipeline
from notify_service.alerts.reading import Reading
from notify_service.alerts.rules import read_rules
from notify_service.alerts.settings import AlertSettings
from notify_service.alerts.sight import Lookout
from notify_service.alerts.ways import open_channels
from notify_service.settings import NotifySettings

SERVICE = "alerts"
MAX_CONNECTIONS = 8
STATEMENT_SECONDS = 30.0
#: A batch under way is finished within this time.
DRAIN_SECONDS = 15.0
FORGET_SECONDS = 3600.0
#: Longer without a look at the dead letters is not ready.
STUCK_SECONDS = 30.0

_log = get_logger(__name__)


class Alerts:
    """One process of alerts. Several may run: one reads, all deliver."""

    def __init__(
        self, settings: Settings, own: NotifySettings, alerts: AlertSettings, broker: Broker, clock: Clock
    ) -> None:
        self._settings = settings
        self._own = own
        self._alerts = alerts
        self._broker = broker
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish the batch under way.

        Raises:
            ConfigurationError: the rules cannot be used.
            StoreError: PostgreSQL was not there at the start.
        """
        rules = read_rules(self._alerts.rules)
        holder = self._settings.new_worker_id(SERVICE)
        async with self._database() as pool, open_channels(self._own, self._alerts, pool) as channels:
            addressing = Addressing(
                channels, self._alerts.hooks, self._own.notify_public_url, self._alerts.expire_seconds
            )
            topics = Topics(self._settings.topic_prefix)
            ledger = Ledger(pool, topics.dead_letter, holder, rules, addressing)
            reading = Reading(self._broker, topics, ledger, self._clock)
            pipeline = Pipeline(
                Lookout(self._broker, topics), ledger, reading, rules.dead_man,
                self._alerts.heartbeat_url.get_secret_value(), self._clock,
            )  # fmt: skip
            delivering = Delivering(pool, channels, self._clock)
            jobs = (reading.run, delivering.run, pipeline.run, lambda: self._forget(ledger))
            async with self._probes(reading):
                _log.info(
                    "Alerts are up", action="alerts.up", holder=holder, rules=len(rules.rules) + 1,
                    channels=sorted(channels),
                )  # fmt: skip
                await self._work(jobs, reading, stop)
        _log.info("Alerts have stopped", action="alerts.stopped", holder=holder)

    async def _work(
        self, jobs: tuple[Callable[[], Coroutine[Any, Any, None]], ...], reading: Reading, stop: asyncio.Event
    ) -> None:
        """A part that breaks ends all: the supervisor starts a whole process."""
        parts = [asyncio.ensure_future(job()) for job in jobs]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([*parts, stopping], return_when=asyncio.FIRST_COMPLETED)
            reading.stop()
            await asyncio.wait(parts[:1], timeout=DRAIN_SECONDS)
        finally:
            for part in (*parts, stopping):
                part.cancel()
            ended = await asyncio.gather(*parts, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Pool]:
        pool = await create_pool(
            portable_dsn(self._own.database_url.get_secret_value()), max_size=MAX_CONNECTIONS,
            application_name="muster-alerts", statement_timeout=STATEMENT_SECONDS,
        )  # fmt: skip
        async with pool:
            async with pool.acquire() as connection:
                if names := await tables.ensure(connection):
                    _log.info("Tables of alerts were made", action="alerts.migrated", applied=names)
            yield pool

    @asynccontextmanager
    async def _probes(self, reading: Reading) -> AsyncIterator[None]:
        async def check_reading() -> CheckResult:
            turned = reading.turned
            if turned is None or self._clock.monotonic() - turned > STUCK_SECONDS:
                return False, "dead letters cannot be read, or what they say not be kept"
            return True, ""

        server = AdminServer(self._settings, {"reading": check_reading}, lambda: True)
        await server.start()
        BUILD.info({"version": __version__, "service": SERVICE})
        try:
            yield
        finally:
            await server.stop()

    async def _forget(self, ledger: Ledger) -> None:
        while True:
            await self._clock.sleep(FORGET_SECONDS)
            try:
                await ledger.forget()
            except (StoreError, OSError) as error:
                _log.warning("Old alerts were not deleted", action="alerts.unforgotten", error=str(error)[:300])
