"""The client against the API's answers, good and bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from muster.client import AsyncResult, Client, ClientSettings, TrackerApi, prepare
from muster.client.transports import HttpTransport
from muster.contracts.errors import (
    ClientError,
    NotAllowed,
    SubmitRefused,
    TaskEnded,
    TaskFailed,
    UnknownTask,
    Unreachable,
    WaitTimeout,
)
from pydantic import SecretStr, ValidationError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


async def no_sleep(_: float) -> None:
    return None


def api_of(handler: Handler, **settings: Any) -> TrackerApi:
    chosen = ClientSettings(api_url="http://tracker:8000", **settings)
    return TrackerApi(chosen, transport=httpx.MockTransport(handler), sleep=no_sleep)


def answering(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Handler:
    return lambda _: httpx.Response(status, json=body if body is not None else {}, headers=headers)


def task(status: str, **fields: Any) -> dict[str, Any]:
    return {"task_id": "t1", "status": status, **fields}


async def test_a_submission_is_one_post_with_its_identity() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"task_id": "t1", "status_url": "/api/tasks/t1/status"})

    async with Client(HttpTransport(api := api_of(handler, api_key=SecretStr("k3y"))), api) as client:
        result = await client.submit("greet", {"name": "Juan", "photo": b"\x00"}, lane="high")

    assert result.id == "t1"
    assert str(seen[0].url) == "http://tracker:8000/api/tasks"
    assert seen[0].headers["X-API-Key"] == "k3y"
    body = json.loads(seen[0].content)
    assert body.pop("idempotency_key")
    assert body == {"name": "greet", "parameters": {"name": "Juan", "photo": "AA=="}, "lane": "high"}


async def test_a_repeated_request_carries_the_same_idempotency_key() -> None:
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(json.loads(request.content)["idempotency_key"])
        if len(keys) < 3:
            raise httpx.ReadTimeout("the answer got lost", request=request)
        return httpx.Response(202, json={"task_id": "t1"})

    async with Client(HttpTransport(api := api_of(handler)), api) as client:
        await client.submit("greet", {})
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_tracker_that_restarts_is_waited_for() -> None:
    answers = [httpx.Response(503), httpx.Response(502), httpx.Response(429), httpx.Response(200, json=task("STARTED"))]
    result = AsyncResult("t1", api_of(lambda _: answers.pop(0)))
    assert (await result.status()).status == "STARTED"


async def test_a_tracker_that_stays_away_is_named_with_what_to_set() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(Unreachable, match=r"http://tracker:8000 .*connection refused.*MUSTER_API_URL"):
        await AsyncResult("t1", api_of(handler)).status(timeout=0.2)


async def test_refused_parameters_name_each_field() -> None:
    body = {
        "error": True,
        "message": "2 parameters are wrong",
        "code": "VALIDATION_ERROR",
        "details": [{"field": "quality", "message": "must be <= 100", "code": "le"}, {"field": "x", "message": "no"}],
    }
    api = api_of(answering(422, body))
    with pytest.raises(SubmitRefused, match="2 parameters are wrong") as caught:
        await Client(HttpTransport(api), api).submit("greet", {})
    assert [(p.field, p.code) for p in caught.value.problems] == [("quality", "le"), ("x", "invalid")]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, NotAllowed), (403, NotAllowed), (404, UnknownTask), (409, ClientError), (418, ClientError)],
)
async def test_every_refusal_has_its_error(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await AsyncResult("t1", api_of(answering(status, {"message": "no"}))).status()


async def test_an_answer_that_is_no_json_hints_at_the_address() -> None:
    with pytest.raises(ClientError, match="is MUSTER_API_URL a tracker's address"):
        await AsyncResult("t1", api_of(lambda _: httpx.Response(200, text="<html>"))).status()


async def test_a_revocation_that_comes_too_late_says_so() -> None:
    with pytest.raises(TaskEnded, match="ended already"):
        await AsyncResult("t1", api_of(answering(409, {"message": "t1 ended already"}))).revoke(terminate=True)


async def test_get_returns_the_result_of_a_task_that_succeeded() -> None:
    answers = [task("PENDING"), task("STARTED"), task("SUCCESS", result={"url": "x"})]
    result = AsyncResult("t1", api_of(lambda _: httpx.Response(200, json=answers.pop(0))))
    assert await result.get(timeout=5) == {"url": "x"}


@pytest.mark.parametrize("error", ["not an image", {"message": "not an image", "kind": "permanent"}])
async def test_get_raises_what_a_failed_task_said(error: object) -> None:
    result = AsyncResult("t1", api_of(answering(200, task("FAILURE", error=error))))
    with pytest.raises(TaskFailed, match="t1 ended in FAILURE: not an image"):
        await result.get(timeout=5)


async def test_get_gives_up_after_its_timeout() -> None:
    with pytest.raises(WaitTimeout, match=r"task t1 was STARTED after 0.1 s"):
        await AsyncResult("t1", api_of(answering(200, task("STARTED")))).get(timeout=0.1)


async def test_progress_is_told_while_waiting() -> None:
    answers = [
        task("STARTED", progress={"done": 1, "total": 3, "message": "first"}),
        task("SUCCESS", result=1),
    ]
    told: list[float] = []
    result = AsyncResult("t1", api_of(lambda _: httpx.Response(200, json=answers.pop(0))))
    await result.get(timeout=5, on_progress=lambda status: told.append(status.progress.done if status.progress else -1))
    assert told == [1, -1]


async def test_a_task_just_submitted_is_pending_before_the_projection_has_seen_it() -> None:
    answers = [httpx.Response(404, json={"message": "unknown"})] * 3 + [
        httpx.Response(200, json=task("SUCCESS", result=2))
    ]
    mine = AsyncResult("t1", api_of(lambda _: answers.pop(0)), submitted=True)
    assert (await mine.status()).status == "PENDING"
    assert await mine.get(timeout=5) == 2


async def test_the_id_of_a_stranger_is_unknown_at_once() -> None:
    with pytest.raises(UnknownTask):
        await AsyncResult("nope", api_of(answering(404, {"message": "no such task"}))).get(timeout=5)


async def test_many_submissions_keep_their_order() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(202, json={"task_id": json.loads(request.content)["idempotency_key"]})

    api = api_of(handler)
    wanted = [prepare("greet", {"n": n}, now=NOW) for n in range(100)]
    results = await Client(HttpTransport(api), api).submit_many(wanted)
    assert [result.id for result in results] == [submission.task_id for submission in wanted]


def test_two_identities_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="not both"):
        ClientSettings(api_key=SecretStr("a"), token=SecretStr("b"))


@pytest.mark.parametrize("url", ["http://t:8000/", "http://t:8000/api", "http://t:8000/api/"])
def test_the_address_may_be_written_with_api_or_without(url: str) -> None:
    assert ClientSettings(api_url=url).api_url == "http://t:8000"


def test_submissions_go_to_the_api_where_there_is_one_unless_told_otherwise() -> None:
    assert ClientSettings().way == "kafka"
    assert ClientSettings(api_url="http://t:8000").way == "api"
    assert ClientSettings(api_url="http://t:8000", submit_via="kafka").way == "kafka"


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValidationError, match="write it as http://host:port"):
        ClientSettings(api_url="tracker:8000")
