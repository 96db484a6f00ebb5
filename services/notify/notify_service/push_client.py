"""Sends one encrypted message to one browser. Whom to, and what becomes of the answer, is the others'."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
from muster.adapters.fetching import FetchRules, is_public
from muster.contracts.errors import ConfigurationError
from pywebpush import WebPusher
from rotc.errors import InvalidSubscription, UnusableVapidKey
from rotc.web_push import Subscription, check_subscription
from yarl import URL

from notify_service.domain.push_answers import Answer, Outcome, judge
from notify_service.settings import NotifySettings
from notify_service.vapid import KeyPair, Proofs

#: Pushes of one run on their way at the same time.
PARALLEL = 100
TTL_SECONDS = 86_400
_SECONDS = 10.0
#: Read of an answer, so that its connection can be used again; a longer one costs its connection.
_ANSWER_BYTES = 4096


class _NotPublic(OSError):
    """A name led to an address inside our own network."""


class PushClient:
    """Reuses connections; made by `push_client`.

    Of pywebpush the encryption only: its own sending follows redirects and reads answers of any length.
    """

    def __init__(self, session: aiohttp.ClientSession, proofs: Proofs, rules: FetchRules) -> None:
        self._session, self._proofs, self._rules = session, proofs, rules

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Answer:
        """What became of the push; a topic replaces an undelivered message of the same one.

        Never raises for what a stranger's subscription or push service does.
        """
        try:
            # The parser that decides is not the one that connects: that one gets what was understood, as it stands.
            target = URL(check_subscription(subscription, self._rules), encoded=True)
            body = _encrypted(subscription, payload)
        except (InvalidSubscription, ValueError):
            return Answer(Outcome.FAILED)
        headers = {
            **_extra(target), "Authorization": self._proofs.header(str(target.origin())),
            "Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream",
            "TTL": str(TTL_SECONDS), "Topic": topic,
        }  # fmt: skip
        try:
            request = self._session.post(target, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                answer = judge(response.status, response.headers.get("Retry-After", ""), datetime.now(UTC))
                with suppress(aiohttp.ClientError, TimeoutError):  # the status has come, and it counts
                    await response.content.read(_ANSWER_BYTES)
                return answer
        except aiohttp.ClientConnectorError as error:
            return Answer(Outcome.FAILED if isinstance(error.os_error, _NotPublic) else Outcome.LATER)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(Outcome.LATER)


@asynccontextmanager
async def push_client(proofs: Proofs, rules: FetchRules) -> AsyncIterator[PushClient]:
    """A client for as long as the block lasts; `rules` say which hosts are push services."""
    # No limit: waiting for a connection would count as the push service's time, and each run has PARALLEL pushes only.
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, socket_factory=_guard(rules))
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield PushClient(session, proofs, rules)


@asynccontextmanager
async def configured_push(own: NotifySettings) -> AsyncIterator[PushClient | None]:
    """The client of the settings; None when they name no key.

    Raises:
        ConfigurationError: the keys cannot be used, or anybody has them.
    """
    private = own.vapid_private_key.get_secret_value()
    if not (own.vapid_public_key or private):
        yield None
        return
    try:
        proofs = Proofs(KeyPair(own.vapid_public_key, private), own.vapid_subject)
    except UnusableVapidKey as error:
        raise ConfigurationError(f"the notify service cannot start: {error}") from None
    async with push_client(
        proofs, FetchRules.parse(own.push_hosts, allow_private=own.push_allow_private_hosts)
    ) as push:
        yield push


def _extra(target: URL) -> dict[str, str]:
    """What one push service wants beyond the RFCs: Edge's answers 400 to a TTL without a policy (pywebpush#162)."""
    edge = (target.host or "").endswith(".notify.windows.com")
    return {"X-WNS-Cache-Policy": "cache"} if edge else {}


def _encrypted(subscription: Subscription, payload: bytes) -> bytes:
    told = {"endpoint": subscription.endpoint, "keys": {"p256dh": subscription.p256dh, "auth": subscription.auth}}
    body: bytes = WebPusher(told).encode(payload)["body"]
    return body


def _guard(rules: FetchRules) -> Callable[[Any], socket.socket]:
    """Asked with each address before it is connected to: what a name leads to is known only then."""

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not rules.allow_private and not is_public(str(address[0])):
            raise _NotPublic("the address is not public")
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    return open_socket
