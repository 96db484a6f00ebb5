"""One process that mails, so that it can be killed: one attempt of the bulk task.

Started by mail_bench.py with a job on its standard input; prints one line of JSON. Judges nothing.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import RetryAt, Succeed
from notify_service.mail.mailer import configured_mail
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from pydantic import SecretStr

SUBJECT = "Parade on Saturday, bring your ñame tags"
MESSAGE = "0600 at the parade ground.\n\nWho cannot come hands in an excuse letter: https://unit.example/letters"


async def bulk(job: dict[str, Any]) -> dict[str, Any]:
    """The task as a worker runs it, at one attempt; a connection ends after so many mails as the job says."""
    settings = NotifySettings(
        database_url=SecretStr(job["dsn"]), email_host="127.0.0.1", email_port=job["smtp_port"], email_use_tls=False,
        email_connections=job["connections"], default_from_email="ROTC Yunit Ñ <noreply@unit.example>",
        unsubscribe_keys=SecretStr("k" * 32),
    )  # fmt: skip
    async with await create_pool(job["dsn"]) as pool, configured_mail(settings, lambda: datetime.now(UTC)) as mail:
        assert mail is not None
        if most := job.get("mails_per_connection"):
            mail = replace(mail, pool=replace(mail.pool, limits=replace(mail.pool.limits, mails=most)))
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


if __name__ == "__main__":
    answer = uvloop.run(bulk(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(answer) + "\n")
