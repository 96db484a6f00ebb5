"""Alerts on the real Kafka and PostgreSQL: a batch is one transaction, of two processes one reads, nothing doubles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import rotc.alerts as tables
import rotc.migrate
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.adapters.postgres import create_pool
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from notify_service.alerts.addressing import Addressing
from notify_service.alerts.delivery import Delivering, Later, Refused, Taken
from notify_service.alerts.ledger import Fenced, Ledger, Pool
from notify_service.alerts.reading import Reading
from notify_service.domain.alert_rules import Failed, Rule, Rules
from notify_service.domain.alerting import Alert, Letter

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

RULES = Rules(Rule(channels=("notification", "mail", "webhook"), window=timedelta(seconds=1), quiet=timedelta(hours=1)))
PEOPLE = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@unit.example', '', 'admin', true, now()), (2, 'b', 'b@unit.example', '', 'admin', true, now()),
    (3, 'n', 'n@unit.example', '', 'admin', false, now()), (4, 'c', 'c@unit.example', '', 'cadet', true, now());
INSERT INTO user_settings (user_id, email_alerts, push_notifications, activity_updates, dark_mode, compact_mode,
    primary_color) VALUES (2, false, true, true, false, false, 'blue');
"""
HOOKS = {"d1": ("", "json://hooks.example/t")}


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[Pool]:
    """The backend's tables with two approved admins, one of whom wants no mail, and one who is not approved."""
    async with await create_pool(postgres) as pool:
        async with pool.acquire() as connection:
            await rotc.migrate.migrate(connection)
            await tables.ensure(connection)
            await connection.execute(PEOPLE)
        yield pool


@pytest.fixture
async def broker(kafka: str, topics: Topics) -> KafkaBroker:
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=kafka))
    admin = broker.admin()
    await admin.start()
    await admin.apply([spec for spec in topics.specs() if spec.name == topics.dead_letter])
    await admin.stop()
    return broker


@pytest.fixture
def topics(topic_prefix: str) -> Topics:
    return Topics(topic_prefix)


async def write(broker: KafkaBroker, topics: Topics, count: int, *, cause: str = "f") -> None:
    producer = broker.producer()
    await producer.start()
    for number in range(count):
        task = TaskRecord(task_id=f"{cause}-{number}", task_type="compress_and_upload_image", body=b"{}", attempt=4)
        failure = Failure(kind="error", error="StorageError", message="storage said no", fingerprint=cause)
        why = provenance_of(
            task, failure, topic=topics.lane("media"), partition=0, offset=number, timestamp_ms=0,
            now=datetime.now(UTC),
        )  # fmt: skip
        headers = dead_letter_headers(task.headers(), why)
        await producer.send(topics.dead_letter, task.body, key=task.key, headers=headers)
    await producer.stop()


def ledger(pool: Pool, topics: Topics, holder: str) -> Ledger:
    return Ledger(
        pool, topics.dead_letter, holder, RULES, Addressing({"mail", "webhook"}, HOOKS, "https://rotc.example", 3600)
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def counted(pool: Pool) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        sql = "SELECT coalesce(sum((facts->>'count')::int), 0) FROM muster.alerts WHERE kind <> 'escalation'"
        return int(await pool.fetchval(sql))

    return count


async def test_equal_failures_are_one_alert_and_digests_that_add_up(
    broker: KafkaBroker, topics: Topics, pool: Pool
) -> None:
    await write(broker, topics, 500)
    reading = Reading(broker, topics, ledger(pool, topics, "one"), SystemClock())
    running = asyncio.create_task(reading.run())
    count = counted(pool)

    async def all_told() -> bool:
        return await count() == 500

    await until(all_told)
    reading.stop()
    await running

    kinds = [row["kind"] for row in await pool.fetch("SELECT kind FROM muster.alerts ORDER BY at")]
    assert kinds[0] == "first"
    assert set(kinds[1:]) == {"digest"}
    # A row for each approved admin, a mail for who wants it, a webhook.
    assert await pool.fetchval("SELECT count(*) FROM notifications WHERE type = 'task_failure'") == 2 * len(kinds)
    sent = await pool.fetch("SELECT channel, recipient, count(*) FROM muster.alert_deliveries GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in sent] == [("mail", "user:1", len(kinds)), ("webhook", "d1", len(kinds))]


async def test_a_process_that_lost_the_lead_writes_nothing(broker: KafkaBroker, topics: Topics, pool: Pool) -> None:
    old, new = ledger(pool, topics, "old"), ledger(pool, topics, "new")
    assert await old.lead()
    assert not await new.lead()
    await pool.execute("UPDATE muster.alert_cursor SET held_until = now() - interval '1 second'")
    assert await new.lead()

    with pytest.raises(Fenced):
        await old.fold([], datetime.now(UTC), {0: 5})

    assert await new.offsets() == {}
    assert not old.leads
    await new.fold([], datetime.now(UTC), {0: 7})
    assert await new.offsets() == {0: 7}


async def test_what_was_not_committed_is_read_again_and_told_once(
    broker: KafkaBroker, topics: Topics, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(broker, topics, 40)
    first = ledger(pool, topics, "first")
    written = tables.write_offsets

    async def dies(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("killed in the middle")

    monkeypatch.setattr(tables, "write_offsets", dies)
    reading = Reading(broker, topics, first, SystemClock())
    running = asyncio.create_task(reading.run())

    async def led() -> bool:
        return bool(await pool.fetchval("SELECT version > 1 FROM muster.alert_cursor"))

    await until(led)
    assert await pool.fetchval("SELECT count(*) FROM muster.alerts") == 0
    assert await pool.fetchval("SELECT count(*) FROM notifications") == 0
    monkeypatch.setattr(tables, "write_offsets", written)
    count = counted(pool)

    async def all_told() -> bool:
        return await count() == 40

    await until(all_told)
    reading.stop()
    await running

    assert await pool.fetchval("SELECT count(*) FROM muster.alerts WHERE kind = 'first'") == 1
    assert await pool.fetchval("SELECT total FROM muster.alert_groups") == 40


async def test_too_many_kinds_of_failures_are_told_together_whatever_the_batches(topics: Topics, pool: Pool) -> None:
    book = ledger(pool, topics, "one")
    assert await book.lead()
    now = datetime.now(UTC)
    for start in range(0, 60, 12):
        letters = [
            Letter(f"id-{n}", Failed("media", f"task_{n}", "error", "E"), "f", "no", 1, now + timedelta(seconds=n))
            for n in range(start, start + 12)
        ]
        await book.fold(letters, letters[-1].at, {0: start + 12})

    firsts = await pool.fetch("SELECT facts->'failed'->>1 AS task FROM muster.alerts WHERE kind = 'first' ORDER BY at")
    assert [row["task"] for row in firsts] == [*(f"task_{n}" for n in range(30)), "several kinds of tasks"]
    assert await pool.fetchval("SELECT total FROM muster.alert_groups WHERE kind = 'storm'") == 30


class Moody:
    """A channel that fails before it delivers."""

    def __init__(self, *moods: Exception | None) -> None:
        self.moods = list(moods)
        self.got: list[tuple[str, str]] = []

    async def send(self, alert: Alert, recipient: str, taken: Taken) -> None:
        if self.moods and (mood := self.moods.pop(0)) is not None:
            raise mood
        self.got.append((str(alert.kind), recipient))
        await taken()


@pytest.fixture
async def addressed(broker: KafkaBroker, topics: Topics, pool: Pool) -> None:
    """One alert on its way to a mailbox and a webhook."""
    await write(broker, topics, 1)
    reading = Reading(broker, topics, ledger(pool, topics, "one"), SystemClock())
    running = asyncio.create_task(reading.run())
    count = counted(pool)

    async def told() -> bool:
        return await count() == 1

    await until(told)
    reading.stop()
    await running


@pytest.mark.usefixtures("addressed")
async def test_a_delivery_that_failed_is_made_later_and_no_other_again(pool: Pool) -> None:
    mail, hook = Moody(Later("451"), Later("451")), Moody()
    delivering = Delivering(pool, {"mail": mail, "webhook": hook}, SystemClock())

    await delivering.turn()
    assert (mail.got, hook.got) == ([], [("first", "d1")])
    for _ in range(2):
        assert await delivering.turn() == 0, "not before its time"
        await pool.execute("UPDATE muster.alert_deliveries SET next_try = now()")
        assert await delivering.turn() == 1

    assert (mail.got, hook.got) == ([("first", "user:1")], [("first", "d1")])
    assert await pool.fetchval("SELECT count(*) FROM muster.alert_deliveries WHERE state = 'sent'") == 2


@pytest.mark.usefixtures("addressed")
async def test_a_delivery_ends_when_it_is_refused_or_too_old(pool: Pool) -> None:
    mail, hook = Moody(Refused("550 for somebody@unit.example")), Moody(Later("down"))
    await pool.execute(
        "UPDATE muster.alert_deliveries SET expires_at = now() - interval '1 s' WHERE channel = 'webhook'"
    )

    await Delivering(pool, {"mail": mail, "webhook": hook}, SystemClock()).turn()

    rows = await pool.fetch("SELECT channel, state, error FROM muster.alert_deliveries ORDER BY channel")
    assert [tuple(row) for row in rows] == [("mail", "refused", "550 for [email]"), ("webhook", "expired", "down")]
