"""The mail tasks on a real database and a real SMTP server: who gets what, once, and what is said of the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed
from muster_local.mail_sink import smtp_server
from muster_local.mail_store import MailStore, RefusalRules, StoredMail
from notify_service.mail.mailer import Mailer, mailer_of
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from pydantic import SecretStr
from rotc import sent_mails, unsubscription
from rotc.connection import connected
from rotc.migrate import migrate

NOW = datetime(2026, 1, 10, 17, 0, tzinfo=UTC)
KEY = "k" * 32
ROWS = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz', 'Ongoing', false, false, now() FROM generate_series(1, 4) n;
INSERT INTO users (id, username, email, password, role, is_approved, cadet_id, created_at) VALUES
    (1, 'u1', 'Ana@cadets.example', '', 'cadet', true, 1, now()),
    (2, 'u2', 'ben@cadets.example', '', 'cadet', true, 2, now()),
    (3, 'u3', 'cid@cadets.example', '', 'cadet', false, 3, now());
INSERT INTO user_settings (user_id, email_alerts, push_notifications, activity_updates, dark_mode, compact_mode,
    primary_color) VALUES (2, false, true, true, false, false, 'blue');
INSERT INTO excuse_letters (id, cadet_id, date_absent, reason, status, created_at) VALUES
    (1, 1, '2026-01-04', 'Fever', 'approved', now()), (2, 2, '2026-01-04', 'Fever', 'approved', now());
"""


@dataclass
class Cut:
    """Cancels a task when the server has taken so many mails."""

    task: asyncio.Future[Outcome]
    mails: int


class CuttingStore(MailStore):
    """A server that can cut short who is mailing."""

    taken: Cut | None = None

    def add(self, sender: str, recipients: list[str], data: bytes) -> StoredMail:
        mail = super().add(sender, recipients, data)
        if self.taken is not None and len(self.mails) >= self.taken.mails:
            self.taken.task.cancel()
        return mail


@dataclass
class Unit:
    harness: TaskHarness[NotifyResources]
    store: CuttingStore

    @property
    def mail(self) -> Mailer:
        assert self.harness.resources.mail is not None
        return self.harness.resources.mail

    async def one(self, to: str = "zoe@unit.example", attempt: int = 1, **more: Any) -> Outcome:
        parameters = {"recipient_email": to, "subject": "Parade", "message": "At eight.\n\nBring water.", **more}
        return await self.harness.run("send_email_notification", parameters, task_id="t1", attempt=attempt)

    async def many(self, *recipients: str, attempt: int = 1) -> Outcome:
        parameters = {"recipients": list(recipients), "subject": "Parade", "message": "At eight."}
        return await self.harness.run("send_bulk_email_notifications", parameters, task_id="t2", attempt=attempt)


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
        await sent_mails.ensure(connection)
    store = CuttingStore()
    async with smtp_server(store, 0) as port, await create_pool(postgres) as pool:
        settings = NotifySettings(
            database_url=SecretStr(postgres), email_host="127.0.0.1", email_port=port, email_use_tls=False,
            default_from_email="ROTC Unit <noreply@unit.example>", notify_public_url="https://api.unit.example/",
            unsubscribe_keys=SecretStr(KEY),
        )  # fmt: skip
        effects = EffectStore(pool)
        mail = mailer_of(settings, lambda: NOW)
        assert mail is not None
        resources = NotifyResources(pool, effects, settings, mail=mail)
        yield Unit(TaskHarness(app, resources, SystemClock()), store)
        await mail.pool.close()


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


async def test_a_mail_goes_to_one_address_once_however_often_its_task_runs(unit: Unit) -> None:
    first = result_of(await unit.one())

    assert result_of(await unit.one()) == first
    [mail] = unit.store.mails
    assert first == {
        "status": "sent", "recipient": "zoe@unit.example", "reason": None,
        "message_id": str(mail.message["Message-ID"]),
    }  # fmt: skip
    assert (mail.sender, mail.recipients) == ("noreply@unit.example", ("zoe@unit.example",))
    assert str(mail.message["From"]) == "ROTC Unit <noreply@unit.example>"
    assert str(mail.message["Subject"]) == "Parade"
    assert "At eight." in (mail.part("plain") or "")
    assert "Bring water." in (mail.part("html") or "")
    assert mail.message["List-Unsubscribe"] is None, "a stranger has no setting to turn off"


@pytest.mark.parametrize("submitter", [1, 99], ids=["a cadet", "nobody"])
async def test_cadets_do_not_mail_in_the_name_of_the_unit(unit: Unit, submitter: int) -> None:
    parameters = {"recipient_email": "zoe@unit.example", "subject": "Parade", "message": "At eight."}
    outcome = await unit.harness.run("send_email_notification", parameters, submitter=submitter)

    kind, message = refusal_of(outcome)
    assert kind == "permanent"
    assert message.startswith("not allowed: ")
    assert not unit.store.mails


async def test_html_of_the_caller_goes_out_as_it_is(unit: Unit) -> None:
    result_of(await unit.one(html_message="<p>At <b>eight</b>.</p>", from_email="S1 <s1@unit.example>"))

    [mail] = unit.store.mails
    assert (mail.part("html") or "").strip() == "<p>At <b>eight</b>.</p>"
    assert mail.sender == "s1@unit.example"


async def test_the_sender_of_another_domain_is_not_ours_to_use(unit: Unit) -> None:
    kind, message = refusal_of(await unit.one(from_email="president@bank.example"))

    assert kind == "permanent"
    assert message == "not allowed: from_email must be an address of unit.example"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"to": "zoe@unit.example\r\nBcc: all@unit.example"}, "recipient_email"),
        ({"to": "zoe"}, "recipient_email"),
        ({"subject": "Parade\r\nBcc: all@unit.example"}, "subject"),
        ({"subject": "Parade\u2028Bcc: all@unit.example"}, "subject"),
        ({"from_email": "Unit\nBcc: all@unit.example <noreply@unit.example>"}, "from_email"),
        ({"message": "with a \x00"}, "message"),
    ],
)
async def test_what_would_become_a_header_is_refused_by_field(
    unit: Unit, parameters: dict[str, Any], field: str
) -> None:
    outcome = await unit.one(**parameters)

    assert isinstance(outcome, DeadLetter)
    assert outcome.failure.kind == "invalid"
    assert [problem.field for problem in outcome.failure.problems] == [field]
    assert "Bcc" not in outcome.failure.message
    assert not unit.store.mails


async def test_who_turned_mail_off_is_skipped_with_the_reason(unit: Unit) -> None:
    result = result_of(await unit.one("BEN@cadets.example"))

    assert (result["status"], result["reason"]) == ("skipped", "the recipient has turned mail alerts off")
    assert not unit.store.mails


async def test_a_refusal_for_good_is_final_and_a_passing_one_is_tried_again(unit: Unit) -> None:
    unit.store.rules = RefusalRules(temporary="busy", permanent="gone")

    kind, message = refusal_of(await unit.one("gone@unit.example"))
    assert kind == "permanent"
    assert message.startswith("the mail server refused the mail to g***@unit.example: 550 5.1.1 <g***@unit.example>")
    unit.harness.progress.clear()
    outcome = await unit.one("busy@unit.example")
    assert isinstance(outcome, RetryAt), outcome
    assert "busy@" not in outcome.failure.message
    assert "451" in outcome.failure.message
    assert result_of(await unit.one("busy@unit.example", attempt=2))["status"] == "sent"


async def test_a_server_that_is_down_is_tried_again_and_then_a_failure_that_can_be_redriven(unit: Unit) -> None:
    down = mailer_of(unit.harness.resources.settings.model_copy(update={"email_port": 1}), lambda: NOW)
    harness = TaskHarness(app, replace(unit.harness.resources, mail=down), SystemClock())

    outcome = await replace(unit, harness=harness).many("a@unit.example", "b@unit.example")
    last = await replace(unit, harness=harness).many("a@unit.example", "b@unit.example", attempt=4)

    assert isinstance(outcome, RetryAt), outcome
    assert "the mail server 127.0.0.1:1 cannot be used" in outcome.failure.message
    assert isinstance(last, DeadLetter)
    assert result_of(await unit.many("a@unit.example", "b@unit.example"))["sent"] == 2


async def test_no_mail_server_is_said_at_once(unit: Unit) -> None:
    harness = TaskHarness(app, replace(unit.harness.resources, mail=None), SystemClock())

    kind, message = refusal_of(await replace(unit, harness=harness).one())

    assert (kind, message) == ("permanent", "no mail can be sent: EMAIL_HOST is not set")


async def test_many_get_one_mail_each_and_a_bad_address_fails_alone(unit: Unit) -> None:
    unit.store.rules = RefusalRules(temporary="busy", temporary_times=9, permanent="gone")
    everybody = (
        "a@unit.example",
        "A@unit.example",
        "nobody",
        "gone@unit.example",
        "busy@unit.example",
        "ben@cadets.example",
    )

    outcome = await unit.many(*everybody, "ana@cadets.example")
    assert isinstance(outcome, RetryAt), outcome
    assert outcome.failure.message.startswith("1 of 5 mails could not be handed in yet, one of them: 451 ")
    result = result_of(await unit.many(*everybody, "ana@cadets.example", attempt=4))

    failures = result.pop("failures")
    assert result == {"total": 7, "sent": 2, "skipped": 2, "failed": 3}
    assert [(one["recipient"], one["code"]) for one in failures] == [
        ("nobody", None), ("gone@unit.example", 550), ("busy@unit.example", 451),
    ]  # fmt: skip
    assert unit.store.recipients() == ["a@unit.example", "ana@cadets.example"]
    assert all(len(mail.recipients) == 1 for mail in unit.store.mails)
    done, total, message = unit.harness.progress[-1]
    assert (done, total, message) == (5, 5, "mails")


async def test_an_account_gets_a_link_that_turns_mail_off(unit: Unit) -> None:
    await unit.many("ana@cadets.example")

    [mail] = unit.store.mails
    link = unsubscription.link_of("https://api.unit.example", 1, KEY.encode())
    assert str(mail.message["List-Unsubscribe"]) == f"<{link}>"
    assert link in (mail.part("plain") or "")


async def test_a_task_cancelled_when_the_server_has_a_mail_sends_nobody_a_second_one(unit: Unit) -> None:
    """Like a worker that drains: twenty times, each just before a 250 of the server is read."""
    everybody = [f"c{number}@unit.example" for number in range(60)]
    for cut in range(1, 21):
        unit.store.taken = Cut(asyncio.ensure_future(unit.many(*everybody)), 3 * cut)
        await asyncio.wait({unit.store.taken.task})
    unit.store.taken = None

    result = result_of(await unit.many(*everybody))

    assert result["sent"] == 60
    assert unit.store.recipients() == sorted(everybody)


async def test_a_grade_is_told_to_the_cadet(unit: Unit) -> None:
    parameters = {"cadet_id": 1, "grade_type": "prelim", "new_value": 88.5}
    result = result_of(await unit.harness.run("send_grade_update_email", parameters))

    [mail] = unit.store.mails
    assert mail.recipients == ("Ana@cadets.example",)
    assert str(mail.message["Subject"]) == "Grade Update: Prelim"
    assert "Your Prelim has been updated to: 88.5" in (mail.part("plain") or "")
    assert result["recipient"] == "A***@cadets.example", "the caller did not name it"


@pytest.mark.parametrize(
    ("cadet", "reason"),
    [
        (2, "the recipient has turned mail alerts off"),
        (3, "the cadet has no approved account"),
        (4, "the cadet has no approved account"),
    ],
)
async def test_a_grade_is_not_told_to_who_does_not_want_it_or_may_not_hear_it(
    unit: Unit, cadet: int, reason: str
) -> None:
    parameters = {"cadet_id": cadet, "grade_type": "merit", "new_value": 5}
    result = result_of(await unit.harness.run("send_grade_update_email", parameters))

    assert (result["status"], result["reason"]) == ("skipped", reason)


async def test_a_decision_on_a_letter_is_told_with_its_reason(unit: Unit) -> None:
    parameters = {"excuse_letter_id": 1, "status": "rejected", "reason": "No signature."}
    result = result_of(await unit.harness.run("send_excuse_letter_status_email", parameters))

    [mail] = unit.store.mails
    assert result["status"] == "sent"
    assert str(mail.message["Subject"]) == "Excuse Letter Rejected"
    assert "for January 4, 2026 has been rejected.\nReason: No signature." in (mail.part("plain") or "").replace(
        "\r", ""
    )


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        ("send_grade_update_email", {"cadet_id": 99, "grade_type": "merit", "new_value": 5}, "No cadet has id 99."),
        (
            "send_excuse_letter_status_email",
            {"excuse_letter_id": 99, "status": "approved"},
            "No excuse letter has id 99.",
        ),
    ],
)
async def test_what_nobody_knows_is_final(unit: Unit, task: str, parameters: dict[str, Any], message: str) -> None:
    assert refusal_of(await unit.harness.run(task, parameters)) == ("permanent", message)
