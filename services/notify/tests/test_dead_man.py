"""The dead-man switch on a real database: told once whoever looks, told when it is over, and a pulse for outside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime

import pytest
import rotc.alerts as tables
import rotc.migrate
from aiohttp import web
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.adapters.postgres import create_pool
from muster.contracts.errors import BrokerError
from muster.contracts.topics import Topics
from muster_local.ports import LOOPBACK
from notify_service.alerts.addressing import Addressing
from notify_service.alerts.ledger import Ledger, Pool
from notify_service.alerts.pipeline import HEARTBEAT_SECONDS, LOOK_SECONDS, Pipeline
from notify_service.alerts.reading import Reading
from notify_service.alerts.sight import Lookout
from notify_service.domain.alert_rules import DeadMan, Rule, Rules
from notify_service.domain.pulse import Sight

pytestmark = pytest.mark.postgres

Projected = Callable[[Collection[str]], Awaitable[Mapping[tuple[str, int], int]]]


class Scripted(Lookout):
    """Sees what the test says; `None`: Kafka does not answer."""

    sight: Sight | None = None

    async def see(self, now: datetime, position: int, behind: int, projected: Projected) -> Sight:
        if self.sight is None:
            raise BrokerError("no broker")
        return Sight(now, beats={"tracker": now} if self.sight.beats else {})


class Stage:
    """One process of alerts without its reader, on a clock of the test's."""

    def __init__(self, pool: Pool, clock: FakeClock, url: str = "") -> None:
        broker, topics = MemoryBroker(clock), Topics("t.")
        self.lookout = Scripted(broker, topics)
        addressing = Addressing((), {}, "", 3600)
        rules = Rules(Rule(), (), DeadMan(channels=("notification",)))
        self.ledger = Ledger(pool, topics.dead_letter, f"h{id(self)}", rules, addressing)
        self.reading = Reading(broker, topics, self.ledger, clock)
        self.pipeline = Pipeline(self.lookout, self.ledger, self.reading, rules.dead_man, url, clock)


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[Pool]:
    async with await create_pool(postgres) as pool:
        async with pool.acquire() as connection:
            await rotc.migrate.migrate(connection)
            await tables.ensure(connection)
            await connection.execute(
                "INSERT INTO users (id, username, email, password, role, is_approved, created_at) "
                "VALUES (1, 'a', 'a@x', '', 'admin', true, now())"
            )
        yield pool


async def looks(stage: Stage, clock: FakeClock, seconds: float) -> None:
    """Let it look for so long."""
    for _ in range(int(seconds / LOOK_SECONDS)):
        await stage.pipeline.look()
        await clock.advance(LOOK_SECONDS)


async def told(pool: Pool) -> list[str]:
    return [row["message"] for row in await pool.fetch("SELECT message FROM notifications ORDER BY id")]


async def test_a_silent_tracker_is_told_once_also_by_the_next_process_and_when_it_is_back(pool: Pool) -> None:
    clock = FakeClock()
    first, second = Stage(pool, clock), Stage(pool, clock)
    living, silent = Sight(clock.now(), beats={"tracker": clock.now()}), Sight(clock.now())
    assert await first.ledger.lead()
    first.lookout.sight = living
    await looks(first, clock, 60)
    first.lookout.sight = silent
    await looks(first, clock, 300)
    assert len(await told(pool)) == 1

    await first.ledger.resign()
    assert await second.ledger.lead()
    second.lookout.sight = silent
    await looks(second, clock, 300)
    assert len(await told(pool)) == 1
    second.lookout.sight = living
    await looks(second, clock, 60)

    silence, recovery = await told(pool)
    assert silence.startswith("Background work: No tracker says that it lives")
    assert recovery.startswith("Background work: The tracker works again, after ")


async def test_a_kafka_that_is_away_is_told(pool: Pool) -> None:
    clock = FakeClock()
    stage = Stage(pool, clock)
    assert await stage.ledger.lead()

    await looks(stage, clock, 300)

    (message,) = await told(pool)
    assert "Kafka does not answer" in message


async def test_the_pulse_for_outside_stops_with_the_reading(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pings = []

    async def pinged(request: web.Request) -> web.Response:
        pings.append(request.path)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/s3cret", pinged)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    port = runner.addresses[0][1]
    clock = FakeClock()
    stage = Stage(pool, clock, f"http://{LOOPBACK}:{port}/s3cret")
    stage.lookout.sight = Sight(clock.now(), beats={"tracker": clock.now()})
    assert await stage.ledger.lead()

    await looks(stage, clock, 10)
    assert pings == [], "nothing was read yet"
    stage.reading.turned = clock.monotonic()
    await looks(stage, clock, 10 * HEARTBEAT_SECONDS)
    await runner.cleanup()

    assert pings == ["/s3cret"], "the reading stood still after its first turn"
    assert "s3cret" not in caplog.text
