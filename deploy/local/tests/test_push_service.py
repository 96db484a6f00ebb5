"""The local push service: it reads what RFC 8291 wrote, and takes what a sender proves, and nothing else."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from muster_local.push_crypto import BrowserKeys, Unreadable, decode, encode
from muster_local.push_service import create_app
from pywebpush import WebPusher

ORIGIN = "http://127.0.0.1:8091"
SENDER = ec.generate_private_key(ec.SECP256R1())
SENDER_KEY = encode(SENDER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


async def browser(service: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    told: dict[str, Any] = (await service.post("/subscriptions", json=asked)).json()["subscriptions"][0]
    return told


def proof(**changed: Any) -> dict[str, str]:
    claims = {"aud": ORIGIN, "exp": int(time.time()) + 3600, "sub": "mailto:unit@example.org", **changed}
    token = jwt.encode({name: value for name, value in claims.items() if value is not None}, SENDER, "ES256")
    return {"Authorization": f"vapid t={token}, k={SENDER_KEY}", "TTL": "60", "Content-Encoding": "aes128gcm"}


def sealed(subscription: dict[str, Any], text: str = '{"title": "Drill"}') -> bytes:
    body: bytes = WebPusher(subscription).encode(text.encode())["body"]
    return body


def test_the_example_of_the_rfc_is_read() -> None:
    # RFC 8291, section 5: the browser's keys and the body that stand there.
    private = int.from_bytes(decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    keys = BrowserKeys(private, decode("BTBZMqHH6r4Tts7J_aSIgg"))
    body = decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )

    assert keys.decrypt(body) == b"When I grow up, I want to be a watermelon"
    assert encode(keys.p256dh).startswith("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-")


async def test_a_proved_push_is_decrypted_and_shown(service: httpx.AsyncClient) -> None:
    subscription = await browser(service, application_server_key=SENDER_KEY)

    answer = await service.post(subscription["endpoint"], content=sealed(subscription), headers=proof())

    shown = (await service.get("/messages", params={"browser": subscription["id"]})).json()["messages"]
    assert answer.status_code == 201
    assert [message["payload"] for message in shown] == [{"title": "Drill"}]
    assert shown[0]["ttl"] == 60
    assert shown[0]["vapid"]["sub"] == "mailto:unit@example.org"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        (proof(aud="https://elsewhere.example"), 403),  # what a shared dict of claims leads to
        (proof(exp=int(time.time()) + 25 * 3600), 403),
        (proof(exp=int(time.time()) - 120), 403),
        (proof(sub=None), 403),
        (proof(sub="somebody"), 403),
        ({"TTL": ""}, 400),
        ({"Content-Encoding": "aesgcm"}, 415),
    ],
)
async def test_a_push_that_breaks_a_rule_is_refused(
    service: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    subscription = await browser(service)

    answer = await service.post(subscription["endpoint"], content=sealed(subscription), headers={**proof(), **headers})

    assert answer.status_code == status
    assert (await service.get("/figures")).json()["received"] == 0


async def test_a_proof_by_another_key_than_the_one_subscribed_with_is_refused(service: httpx.AsyncClient) -> None:
    subscription = await browser(service, application_server_key=encode(b"\4" + bytes(64)))

    answer = await service.post(subscription["endpoint"], content=sealed(subscription), headers=proof())

    assert answer.status_code == 403


async def test_a_message_for_another_browser_cannot_be_read(service: httpx.AsyncClient) -> None:
    mine, other = await browser(service), await browser(service)

    answer = await service.post(mine["endpoint"], content=sealed(other), headers=proof())

    assert answer.status_code == 400
    with pytest.raises(Unreadable):
        BrowserKeys(1, b"a" * 16).decrypt(b"too short")


async def test_more_than_4096_bytes_are_refused(service: httpx.AsyncClient) -> None:
    subscription = await browser(service)
    largest, larger = sealed(subscription, "a" * 3993), sealed(subscription, "a" * 3994)

    answers = [
        await service.post(subscription["endpoint"], content=body, headers=proof()) for body in (largest, larger)
    ]

    assert [len(largest), len(larger)] == [4096, 4097]
    assert [answer.status_code for answer in answers] == [201, 413]


async def test_a_browser_answers_as_it_was_told_to(service: httpx.AsyncClient) -> None:
    subscription = await browser(service)
    path = f"/subscriptions/{subscription['id']}/answer"
    await service.put(path, json={"status": 429, "retry_after": 30, "times": 1})

    first = await service.post(subscription["endpoint"], content=sealed(subscription), headers=proof())
    second = await service.post(subscription["endpoint"], content=sealed(subscription), headers=proof())
    unknown = await service.post("/push/nobody", content=b"x", headers=proof())

    assert (first.status_code, first.headers["retry-after"]) == (429, "30")
    assert (second.status_code, unknown.status_code) == (201, 404)
    assert (await service.get("/figures")).json()["answered"] == {"429": 1, "201": 1, "404": 1}


async def test_browsers_outlive_the_process(tmp_path: Path) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(tmp_path)), base_url=ORIGIN) as before:
        subscription = await browser(before)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(tmp_path)), base_url=ORIGIN) as after:
        answer = await after.post(subscription["endpoint"], content=sealed(subscription), headers=proof())

    assert answer.status_code == 201
    assert base64.urlsafe_b64decode(subscription["keys"]["auth"] + "==")
