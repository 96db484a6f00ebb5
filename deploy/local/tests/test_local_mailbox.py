"""The local mail server's pages: what was taken can be read, safely, and addresses can be refused by rule."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from muster_local.mail_store import MailStore, RefusalRules
from muster_local.mail_web import create_app

MAIL = b"""From: Unit <a@unit.example>\r
To: b@cadets.example\r
Subject: =?utf-8?q?Parade_=3Cb=3E?=\r
Message-ID: <1@unit.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="x"\r
\r
--x\r
Content-Type: text/plain; charset="utf-8"\r
\r
At eight.\r
--x\r
Content-Type: text/html; charset="utf-8"\r
\r
<p>At eight.<script>alert(1)</script></p>\r
--x--\r
"""


@pytest.fixture
def store() -> MailStore:
    store = MailStore()
    store.add("a@unit.example", ["b@cadets.example"], MAIL)
    store.add("a@unit.example", ["c@cadets.example"], b"Subject: plain\r\n\r\nText only\r\n")
    return store


@pytest.fixture
async def web(store: MailStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://mail") as client:
        yield client


async def test_the_list_shows_the_newest_first_and_leads_to_each(web: httpx.AsyncClient) -> None:
    page = (await web.get("/")).text

    assert page.index('<a href="/messages/2">plain</a>') < page.index('<a href="/messages/1">Parade &lt;b&gt;</a>')
    assert "c@cadets.example" in page


async def test_a_mail_is_shown_with_its_headers_and_its_html_shut_in(web: httpx.AsyncClient) -> None:
    page, html = (await web.get("/messages/1")), (await web.get("/messages/1/html"))

    assert "At eight." in page.text
    assert "script" not in page.text
    assert '<iframe src="/messages/1/html" sandbox' in page.text
    assert "&lt;1@unit.example&gt;" in page.text
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "iframe" not in (await web.get("/messages/2")).text


async def test_the_bytes_can_be_had_as_they_came(web: httpx.AsyncClient) -> None:
    answer = await web.get("/messages/1.eml")

    assert answer.content == MAIL
    assert answer.headers["content-disposition"] == 'attachment; filename="1.eml"'


async def test_programs_read_json_and_may_ask_for_one_recipient(web: httpx.AsyncClient) -> None:
    [found] = (await web.get("/api/messages", params={"to": "b@cadets.example"})).json()
    whole = (await web.get("/api/messages/1")).json()

    assert (found["id"], found["subject"], found["message_id"]) == (1, "Parade <b>", "<1@unit.example>")
    assert whole["text"].strip() == "At eight."
    assert (await web.get("/api/messages/9")).status_code == 404
    assert (await web.delete("/api/messages")).status_code == 204
    assert (await web.get("/api/messages")).json() == []
    assert "No mail yet." in (await web.get("/")).text


async def test_rules_refuse_some_for_good_and_some_for_now(web: httpx.AsyncClient, store: MailStore) -> None:
    asked = {"temporary": "^busy", "temporary_times": 2, "permanent": "^gone"}

    assert (await web.put("/api/rules", json=asked)).json() == asked
    assert (await web.put("/api/rules", json={"temporary": "("})).status_code == 400
    assert (await web.put("/api/rules", json={"sometimes": "x"})).status_code == 400
    assert (store.rules.answer("gone@x.example") or "").startswith("550")
    answers = [store.rules.answer("busy@x.example") for _ in range(3)]
    assert [answer and answer[:3] for answer in answers] == ["451", "451", None]
    assert RefusalRules().answer("gone@x.example") is None
