"""A push service and its browsers on this machine: takes web pushes as the real ones do, and shows what arrived.

Run as `python -m muster_local.push_service --port 8091 --folder FILES`. Nothing leaves the machine.

    POST /subscriptions {"count": 2, "application_server_key": "..."}   browsers: endpoint and keys of each
    PUT  /subscriptions/{id}/answer {"status": 429, "retry_after": 30, "times": 1}   how its next pushes are answered
    GET  /messages?browser=ID&after=NUMBER                              what arrived, decrypted
    GET  /figures                                                       how many, and how often each status was answered
    POST /push/{id}                                                     the endpoint: RFC 8030, 8291 and 8292
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from muster_local.ports import LOOPBACK
from muster_local.push_crypto import Proof, Unproved, Unreadable, check_proof
from muster_local.push_inbox import Answer, Browser, Inbox, Message

LARGEST_BODY_BYTES = 4096
MOST_BROWSERS = 100_000
_LONGEST_TOPIC = 32


class Refusal(Exception):
    """A push that is not taken."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


def create_app(folder: Path, answer_seconds: float = 0.0) -> Starlette:
    """The ASGI application; `folder` keeps the browsers over restarts, each push is answered after so long."""
    service = _Service(Inbox.load(folder), answer_seconds)
    return Starlette(
        routes=[
            Route("/push/{id}", service.push, methods=["POST"]),
            Route("/subscriptions", service.subscribe, methods=["POST"]),
            Route("/subscriptions/{id}/answer", service.answer, methods=["PUT"]),
            Route("/messages", service.messages),
            Route("/figures", service.figures),
            Route("/livez", _alive),
            Route("/readyz", _alive),
        ],
    )


class _Service:
    def __init__(self, inbox: Inbox, answer_seconds: float) -> None:
        self._inbox, self._answer_seconds = inbox, answer_seconds

    async def push(self, request: Request) -> Response:
        try:
            message = await self._take(request)
        except Refusal as refusal:
            self._inbox.count(refusal.status)
            return PlainTextResponse(str(refusal), refusal.status, headers=refusal.headers)
        self._inbox.count(201)
        await asyncio.sleep(self._answer_seconds)  # as far away as the real ones are
        return Response(status_code=201, headers={"Location": f"{request.base_url}messages/{message.number}"})

    async def _take(self, request: Request) -> Message:
        body = await _body(request)
        browser = self._inbox.browsers.get(request.path_params["id"])
        if browser is None:
            raise Refusal(404, "there is no such subscription")
        if (answer := browser.next_answer()) is not None:
            headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
            raise Refusal(answer.status, "as it was told to answer", headers)
        proof = _proof(request, browser)
        ttl = _ttl(request)
        topic = request.headers.get("topic")
        if topic is not None and len(topic) > _LONGEST_TOPIC:
            raise Refusal(400, f"a Topic has at most {_LONGEST_TOPIC} characters")
        if request.headers.get("content-encoding") != "aes128gcm":
            raise Refusal(415, "only Content-Encoding: aes128gcm is taken")
        try:
            plain = browser.keys.decrypt(body)
        except Unreadable as error:
            raise Refusal(400, str(error)) from error
        now = datetime.now(UTC).isoformat()
        urgency = request.headers.get("urgency")
        number = self._inbox.received + 1
        message = Message(number, browser.id, now, _parsed(plain), ttl, topic, urgency, proof.claims)
        self._inbox.keep(message)
        return message

    async def subscribe(self, request: Request) -> Response:
        asked = json.loads(await request.body() or b"{}")
        count = int(asked.get("count", 1))
        if not 0 < count <= MOST_BROWSERS - len(self._inbox.browsers):
            return JSONResponse({"error": f"at most {MOST_BROWSERS} browsers"}, 422)
        added = self._inbox.add(count, str(asked.get("application_server_key", "")).rstrip("="))
        told = [
            {"id": browser.id, "endpoint": f"{request.base_url}push/{browser.id}", "keys": browser.keys.told()}
            for browser in added
        ]
        return JSONResponse({"subscriptions": told}, 201)

    async def answer(self, request: Request) -> Response:
        browser = self._inbox.browsers.get(request.path_params["id"])
        if browser is None:
            return JSONResponse({"error": "there is no such subscription"}, 404)
        asked = json.loads(await request.body())
        browser.answer = Answer(int(asked["status"]), asked.get("retry_after"), asked.get("times"))
        return JSONResponse({"id": browser.id})

    async def messages(self, request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        told = list(self._inbox.told(request.query_params.get("browser"), after))
        return JSONResponse({"messages": told})

    async def figures(self, _request: Request) -> Response:
        inbox = self._inbox
        most = max((browser.messages for browser in inbox.browsers.values()), default=0)
        reached = sum(1 for browser in inbox.browsers.values() if browser.messages)
        return JSONResponse(
            {
                "browsers": len(inbox.browsers), "reached": reached, "most_per_browser": most,
                "received": inbox.received, "answered": {str(status): n for status, n in inbox.answered.items()},
            }
        )  # fmt: skip


async def _body(request: Request) -> bytes:
    """Read to the end even where it is refused: a closed connection would hide the answer."""
    body = await request.body()
    if len(body) > LARGEST_BODY_BYTES:
        raise Refusal(413, f"a message has at most {LARGEST_BODY_BYTES} bytes")
    return body


def _proof(request: Request, browser: Browser) -> Proof:
    authorization = request.headers.get("authorization", "")
    if not authorization:
        raise Refusal(401, "this subscription wants a VAPID proof")
    try:
        proof = check_proof(authorization, str(request.base_url).rstrip("/"))
    except Unproved as error:
        raise Refusal(403, str(error)) from error
    if browser.sender not in ("", proof.key):
        raise Refusal(403, "the subscription was made for another sender's key")
    return proof


def _ttl(request: Request) -> int:
    ttl = request.headers.get("ttl", "")
    if not ttl.isdecimal():
        raise Refusal(400, "the TTL header is missing: how many seconds the message is worth keeping")
    return int(ttl)


def _parsed(plain: bytes) -> Any:
    try:
        return json.loads(plain)
    except ValueError:
        return plain.decode(errors="replace")


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok")


def main() -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m muster_local.push_service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the browsers are kept")
    parser.add_argument("--answer-ms", type=float, default=0.0, help="how long an answer takes, as over the internet")
    arguments = parser.parse_args()
    app = create_app(arguments.folder, arguments.answer_ms / 1000)
    uvicorn.run(app, host=LOOPBACK, port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
