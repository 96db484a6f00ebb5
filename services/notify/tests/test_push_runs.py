"""Runs over many browsers: a service that is down is left alone, and what a cancelled run did is written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
from muster.adapters.postgres import create_pool
from notify_service.domain.push_answers import PATIENCE, Answer, Outcome
from notify_service.push_client import PARALLEL
from notify_service.push_run import Push, PushRun
from rotc import push_deliveries
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.push_deliveries import PAGE, Audience
from rotc.web_push import Subscription

BROWSERS = 2 * PAGE + 1
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'a', 'a@x', '', 'cadet', true, now());
INSERT INTO push_subscriptions (id, user_id, endpoint, keys, created_at)
    SELECT n, 1, CASE WHEN n % 2 = 0 THEN 'https://even.example/' ELSE 'https://odd.example/' END || n, '{}', now()
    FROM generate_series(1, $1::int) n
"""


class Answering:
    """Push services that answer as they are told, each call counted by its service."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: Counter[str] = Counter()
        #: Pushes that are answered before the others wait for ever; and that it came to that.
        self.until = 1_000_000
        self.waiting = asyncio.Event()

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Answer:
        if self.asked.total() >= self.until:
            self.waiting.set()
            await asyncio.Event().wait()
        host = subscription.endpoint.split("/")[2].split(".")[0]
        self.asked[host] += 1
        await asyncio.sleep(0)
        return self.answers.get(host, Answer(Outcome.SENT))


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    async with connected(postgres) as connection:
        await migrate(connection)
        users, browsers = ROWS.split(";")
        await connection.execute(users)
        await connection.execute(browsers, BROWSERS)
        await push_deliveries.ensure(connection)
    async with await create_pool(postgres) as pool:
        yield pool


def run(pool: asyncpg.Pool, client: Answering) -> PushRun:
    async def no_progress(done: float, total: float | None, message: str) -> None:
        """Nobody looks."""

    return PushRun(pool, client, Push("t1", b"{}", Audience(), BROWSERS), no_progress)


async def recorded(pool: asyncpg.Pool) -> dict[str, int]:
    async with pool.acquire() as connection:
        return await push_deliveries.count_deliveries(connection, "t1")


async def test_every_browser_of_every_page_is_asked_once(pool: asyncpg.Pool) -> None:
    client = Answering()

    leftover = await run(pool, client).run()

    assert client.asked == {"odd": PAGE + 1, "even": PAGE}
    assert (leftover.later, await recorded(pool)) == (0, {"sent": BROWSERS})


async def test_a_service_that_is_down_is_left_alone_and_the_other_is_not(pool: asyncpg.Pool) -> None:
    client = Answering(even=Answer(Outcome.LATER, 30.0))

    leftover = await run(pool, client).run()

    assert client.asked["even"] <= PATIENCE + PARALLEL
    assert (leftover.later, leftover.after) == (PAGE, 30.0)
    assert await recorded(pool) == {"sent": PAGE + 1}

    client.answers.clear()
    await run(pool, client).run()

    assert client.asked["odd"] == PAGE + 1
    assert await recorded(pool) == {"sent": BROWSERS}


async def test_what_a_cancelled_run_did_is_written_down(pool: asyncpg.Pool) -> None:
    client = Answering()
    client.until = 60
    running = asyncio.create_task(run(pool, client).run())
    await client.waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await recorded(pool) == {"sent": client.until}


async def test_browsers_that_are_gone_are_deleted_but_not_when_they_subscribed_again_meanwhile(
    pool: asyncpg.Pool,
) -> None:
    await pool.execute('UPDATE push_subscriptions SET keys = \'{"auth": "old"}\' WHERE id % 2 = 0')
    again = asyncio.Event()

    class Renewing(Answering):
        async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Answer:
            if not again.is_set():
                await pool.execute('UPDATE push_subscriptions SET keys = \'{"auth": "new"}\' WHERE id = 2')
                again.set()
            return await super().send(subscription, payload, topic)

    await run(pool, Renewing(even=Answer(Outcome.EXPIRED))).run()

    kept = await pool.fetch("SELECT id FROM push_subscriptions WHERE id % 2 = 0")
    assert [row["id"] for row in kept] == [2]
