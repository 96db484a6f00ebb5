"""One process that mails, so that it can be killed: one attempt of the bulk task, or one connection for each mail.

Started by mail_bench.py with a job on its standard input; prints one line of JSON. Judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from email.headerregistry import Address
from typing import Any

import aiosmtplib
import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import RetryAt, Succeed
from notify_service.domain.mail_message import Mail, encode, message_id
from notify_service.domain.mail_texts import Stationery, message_words
from notify_service.mail.mailer import configured_mail
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from pydantic import SecretStr

SUBJECT = "Parade on Saturday, bring your ñame tags"
MESSAGE = "0600 at the parade ground.\n\nWho cannot come hands in an excuse letter: https://unit.example/letters"


async def bulk(job: dict[str, Any]) -> dict[str, Any]:
    """The task as a worker runs it, at one attempt."""
    settings = NotifySettings(
        database_url=SecretStr(job["dsn"]), email_host="127.0.0.1", email_port=job["smtp_port"], email_use_tls=False,
        email_connections=job["connections"], default_from_email="ROTC Yunit Ñ <noreply@unit.example>",
        unsubscribe_keys=SecretStr("k" * 32),
    )  # fmt: skip
    async with await create_pool(job["dsn"]) as pool, configured_mail(settings, lambda: datetime.now(UTC)) as mail:
        harness = TaskHarness(app, NotifyResources(pool, EffectStore(pool), settings, mail=mail), SystemClock())
        parameters = {"recipients": job["recipients"], "subject": SUBJECT, "message": MESSAGE}
        began = time.perf_counter()
        outcome = await harness.run(
            "send_bulk_email_notifications", parameters, task_id=job["task_id"], attempt=job["attempt"]
        )
        seconds = time.perf_counter() - began
    if isinstance(outcome, RetryAt):
        return {"retry": outcome.failure.message, "seconds": seconds}
    if not isinstance(outcome, Succeed):
        raise SystemExit(f"the mails ended as {outcome}")
    return {"result": json.loads(outcome.result), "seconds": seconds}


async def connection_per_mail(job: dict[str, Any]) -> dict[str, Any]:
    """The library's shortest way, as many at once as the pool has connections; nothing is written down."""
    waiting = iter(job["recipients"])

    async def work() -> None:
        for recipient in waiting:
            words = message_words(Stationery("School", "Unit"), SUBJECT, MESSAGE)
            mail = Mail(
                Address("Unit", addr_spec="noreply@unit.example"), recipient, words,
                message_id("naive", recipient, "unit.example"), datetime.now(UTC),
            )  # fmt: skip
            await aiosmtplib.send(
                encode(mail), sender="noreply@unit.example", recipients=[recipient], hostname="127.0.0.1",
                port=job["smtp_port"], start_tls=False, local_hostname="localhost",
            )  # fmt: skip

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(job["connections"]):
            group.create_task(work())
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answer = uvloop.run(bulk(asked) if asked["how"] == "bulk" else connection_per_mail(asked))
    sys.stdout.write(json.dumps(answer) + "\n")
