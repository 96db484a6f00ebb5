"""A worker killed twice among sixty mails: the tracker hands them out again, and who had a mail gets no other.

Each kill is at the worst moment: the server has a mail on every connection, and the worker has not heard of it.
"""

from __future__ import annotations

from collections import Counter

import httpx
import pytest
from muster_local.ports import LOOPBACK

from .api import Api, wait_until
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
BULK = "send_bulk_email_notifications"
RECIPIENTS = [f"zoe{number}@unit.example" for number in range(60)]
CONNECTIONS = 2
PATIENCE_SECONDS = 90.0


def test_mails_go_on_where_a_killed_worker_stopped(system: System, api: Api) -> None:
    system.mail.start()
    worker = system.notify(EMAIL_CONNECTIONS=str(CONNECTIONS)).start()
    api.knows(BULK)
    with httpx.Client(base_url=f"http://{LOOPBACK}:{system.mail_port}", trust_env=False, timeout=30) as mail:

        def taken() -> int:
            return int(mail.get("/api/count").json()["mails"])

        mail.put("/api/hold", json={"at": 20}).raise_for_status()
        task_id = api.submit(BULK, {"recipients": RECIPIENTS, "subject": "Parade", "message": "At eight."})
        for held_at, next_hold in ((20, 40), (40, 0)):
            wait_until(lambda at=held_at: taken() >= at, f"{held_at} mails were taken", PATIENCE_SECONDS)  # type: ignore[misc]
            worker.kill()
            mail.put("/api/hold", json={"at": next_hold}).raise_for_status()
            worker.start()
        wait_until(lambda: api.status(task_id).get("status") == "SUCCESS", "the mails are sent", PATIENCE_SECONDS)
        got = Counter(recipient for one in mail.get("/api/messages").json() for recipient in one["to"])

    result = api.status(task_id)["result"]
    assert (result["total"], result["sent"], result["failures"]) == (60, 60, [])
    assert set(got) == set(RECIPIENTS), "nobody was left out"
    twice = sum(count - 1 for count in got.values())
    assert twice <= 2 * CONNECTIONS, "only what was between the server's 250 and the record"
    attempts = {attempt["attempt"] for attempt in api.details(task_id)["attempts"]}
    assert attempts == {1}, "a lost worker burns no attempt"
