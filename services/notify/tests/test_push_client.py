"""One push on the wire: what is sent, what is not followed, which keys keep the service from starting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from muster.adapters.fetching import FetchRules
from muster.contracts.errors import ConfigurationError
from muster_local.ports import free_port
from muster_local.push_crypto import BrowserKeys, check_proof
from notify_service.domain.push_answers import Outcome
from notify_service.push_client import PushClient, configured_push, push_client
from notify_service.settings import NotifySettings
from notify_service.vapid import Proofs, new_pair
from pydantic import SecretStr
from rotc.web_push import Subscription

PAIR = new_pair()
KEYS = BrowserKeys(4321, b"k" * 16)
LOCAL = FetchRules.parse("127.0.0.1", allow_private=True)


class Recorded:
    """A server that keeps what it was sent, and sends everybody from /moved to /push."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.headers), await request.read()))
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": "/push"})
        if request.path == "/rambling":
            answer = web.StreamResponse(status=201)
            await answer.prepare(request)
            await answer.write(b"x" * 10_000)
            raise ConnectionResetError  # in the middle of its body
        return web.Response(status=201)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{name}", self.take)
        return app


@pytest.fixture
async def client() -> AsyncIterator[PushClient]:
    async with push_client(Proofs(PAIR, "mailto:unit@example.org"), LOCAL) as client:
        yield client


def at(address: str) -> Subscription:
    return Subscription(address, **KEYS.told())


async def test_a_push_carries_its_proof_and_nothing_readable(client: PushClient) -> None:
    recorded = Recorded()
    async with TestServer(recorded.app(), host="127.0.0.1") as server:
        answer = await client.send(at(str(server.make_url("/push"))), b'{"title":"T"}', "topic-1")
        origin = str(server.make_url("")).rstrip("/")

    [(_, headers, body)] = recorded.requests
    assert answer.outcome is Outcome.SENT
    assert check_proof(headers["Authorization"], origin).key == PAIR.public
    assert (headers["TTL"], headers["Topic"], headers["Content-Encoding"]) == ("86400", "topic-1", "aes128gcm")
    assert b"title" not in body
    assert KEYS.decrypt(body) == b'{"title":"T"}'


async def test_a_redirect_is_not_followed(client: PushClient) -> None:
    recorded = Recorded()
    async with TestServer(recorded.app(), host="127.0.0.1") as server:
        answer = await client.send(at(str(server.make_url("/moved"))), b"{}", "t")

    assert answer.outcome is Outcome.FAILED
    assert [path for path, _, _ in recorded.requests] == ["/moved"]


async def test_a_push_that_was_taken_stays_taken_however_its_answer_ends(client: PushClient) -> None:
    async with TestServer(Recorded().app(), host="127.0.0.1") as server:
        answer = await client.send(at(str(server.make_url("/rambling"))), b"{}", "t")

    assert answer.outcome is Outcome.SENT


async def test_a_push_service_that_is_down_is_tried_again_later(client: PushClient) -> None:
    answer = await client.send(at(f"http://127.0.0.1:{free_port()}/push"), b"{}", "t")

    assert answer.outcome is Outcome.LATER


@pytest.mark.parametrize(
    "subscription",
    [
        at("https://elsewhere.example/push"),
        Subscription("http://127.0.0.1/push", "damaged", KEYS.told()["auth"]),
        Subscription("http://127.0.0.1/push", KEYS.told()["p256dh"], ""),
        Subscription("", "", ""),
    ],
)
async def test_a_stored_row_that_cannot_be_pushed_to_fails_alone(
    client: PushClient, subscription: Subscription
) -> None:
    assert (await client.send(subscription, b"{}", "t")).outcome is Outcome.FAILED


def settings(public: str, private: str, subject: str = "mailto:unit@example.org") -> NotifySettings:
    return NotifySettings(
        database_url=SecretStr("postgresql://localhost/x"), vapid_public_key=public,
        vapid_private_key=SecretStr(private), vapid_subject=subject,
    )  # fmt: skip


async def test_without_keys_there_is_no_client_and_with_a_pair_there_is_one() -> None:
    async with configured_push(settings("", "")) as none, configured_push(settings(PAIR.public, PAIR.private)) as one:
        assert none is None
        assert one is not None


@pytest.mark.parametrize(
    "wrong",
    [settings(PAIR.public, ""), settings("", PAIR.private), settings(PAIR.public, PAIR.private, "")],
)
async def test_half_a_pair_keeps_the_service_from_starting(wrong: NotifySettings) -> None:
    with pytest.raises(ConfigurationError, match="VAPID_"):
        async with configured_push(wrong):
            pass
