"""Dead letters, a database of the backend's shape, and processes of alerts that can be killed. Judges nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import rotc.alerts
import rotc.migrate
from alerting.sinks import Sinks
from muster.adapters.kafka import KafkaBroker
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.events import Heartbeat, encode_json
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.ports import LOOPBACK
from muster_local.processes import ProcessIdentity

ADMINS = 2
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV")
_PEOPLE = """
    INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
        (1, 'a', 'a@unit.example', '', 'admin', true, now()), (2, 'b', 'b@unit.example', '', 'admin', true, now()),
        (3, 'n', 'n@unit.example', '', 'admin', false, now()), (4, 'c', 'c@unit.example', '', 'cadet', true, now())"""
_RULES = """
[defaults]
window = "2s"
quiet = "1h"
[dead_man]
silent_for = "{silent_for}"
"""
BEAT_SECONDS = 2.0
_COUNTED = """
    SELECT coalesce(sum((facts->>'count')::bigint) FILTER (WHERE kind IN ('first', 'digest', 'regression')), 0)
    FROM muster.alerts"""


# Partitions without a leader yet, for the first moments of a topic.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class Impatient(Exception):
    """Something did not come to be in time; the message says what."""


class Installation:
    """One prefix of topics and one database; `stop` ends the processes."""

    def __init__(
        self, folder: Path, bootstrap: str, dsn: str, prefix: str, sinks: Sinks, *, silent_for: str = "1h"
    ) -> None:
        self.topics = Topics(prefix)
        self.pool: asyncpg.Pool[asyncpg.Record]
        self.kills = 0
        self._dsn = dsn
        self._broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap))
        self._log = folder / "alerts.log"
        rules = folder / "rules.toml"
        rules.write_text(_RULES.format(silent_for=silent_for))
        self._env = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "MUSTER_TOPIC_PREFIX": prefix, "DATABASE_URL": dsn,
            "ALERT_RULES": str(rules), "ALERT_URLS": sinks.hook_url, "EMAIL_HOST": LOOPBACK,
            "EMAIL_PORT": str(sinks.smtp_port), "EMAIL_USE_TLS": "false", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        self._running: list[ProcessIdentity] = []

    async def prepare(self) -> None:
        """Topics, the backend's tables with two approved admins, the tables of alerts."""
        admin = self._broker.admin()
        await admin.start()
        await admin.apply(self.topics.specs())
        await admin.stop()
        self.pool = await asyncpg.create_pool(self._dsn, min_size=1, max_size=2)
        async with self.pool.acquire() as connection:
            await rotc.migrate.migrate(connection)
            await rotc.alerts.ensure(connection)
            await connection.execute(_PEOPLE)

    def start(self) -> None:
        """One more process of alerts."""
        command = (sys.executable, "-m", "notify_service", "alerts")
        self._running.append(processes.start(command, log=self._log, env=self._env))

    def kill_one(self) -> None:
        """SIGKILL for the oldest process."""
        self.kills += 1
        oldest = self._running.pop(0)
        os.kill(oldest.pid, signal.SIGKILL)
        processes.stop(oldest, timeout_seconds=5)

    def freeze_one(self) -> None:
        """SIGSTOP for the oldest process: it knows nothing of the time that passes."""
        os.kill(self._running[0].pid, signal.SIGSTOP)

    def thaw_one(self) -> None:
        os.kill(self._running[0].pid, signal.SIGCONT)

    async def pipeline_alerts(self) -> list[str]:
        """What was told of the pipeline, in order."""
        sql = "SELECT kind, group_key FROM muster.alerts WHERE group_key LIKE 'pipeline/%' ORDER BY at"
        rows = await self.pool.fetch(sql)
        return [f"{row['kind']} {row['group_key']}" for row in rows]

    async def leader(self) -> str:
        """Who reads now."""
        return str(await self.pool.fetchval("SELECT holder FROM muster.alert_cursor WHERE held_until > now()"))

    async def stop(self) -> None:
        while self._running:
            await asyncio.to_thread(processes.stop, self._running.pop(), timeout_seconds=20)
        await self.pool.close()

    async def write(self, count: int, cause: str, *, of_many_kinds: bool = False) -> None:
        """So many dead letters of one cause, or each of a kind of its own, spread over the partitions."""
        producer = self._broker.producer(linger_ms=5)
        await producer.start()
        for number in range(count):
            task = TaskRecord(task_id=f"{cause}-{number}", task_type="compress_and_upload_image", body=b"{}", attempt=4)
            kind = f"{cause}-{number}" if of_many_kinds else cause
            failure = Failure(kind="error", error="StorageError", message=f"failed by {cause}", fingerprint=kind)
            why = provenance_of(
                task, failure, topic=self.topics.lane("media"), partition=0, offset=number, timestamp_ms=0,
                now=datetime.now(UTC),
            )  # fmt: skip
            headers = dead_letter_headers(task.headers(), why)
            await producer.send(self.topics.dead_letter, task.body, key=task.key, headers=headers)
        await producer.stop()

    async def beat_as_tracker(self) -> None:
        """Heartbeats of a tracker, until cancelled: no other part of the pipeline runs here."""
        producer = self._broker.producer()
        await producer.start()
        try:
            while True:
                beat = Heartbeat(
                    worker="tracker@bench", service="tracker", at=datetime.now(UTC), host="bench", version="1",
                    slots=0, running=0,
                )  # fmt: skip
                await (await producer.send(self.topics.workers, encode_json(beat), key=b"tracker@bench"))
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            await producer.stop()

    async def counted(self) -> int:
        """Failures that alerts tell of, so far."""
        return int(await self.pool.fetchval(_COUNTED))

    async def read(self) -> int:
        """Dead letters whose fold is committed."""
        return int(await self.pool.fetchval("SELECT coalesce(sum(next_offset), 0) FROM muster.alert_offsets"))

    async def undelivered(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM muster.alert_deliveries WHERE state <> 'sent'"))

    async def alerts_of(self, cause: str) -> list[tuple[str, int]]:
        """Kind and count of every alert about a cause, in order."""
        sql = """
            SELECT kind, (facts->>'count')::bigint AS count FROM muster.alerts
            WHERE facts->>'message' = $1 ORDER BY at"""
        rows = await self.pool.fetch(sql, f"failed by {cause}")
        return [(row["kind"], row["count"]) for row in rows]


async def until(what: str, condition: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> None:
    """Raises Impatient."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise Impatient(f"after {seconds:g} s: {what}")
        await asyncio.sleep(0.05)
