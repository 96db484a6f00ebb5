"""Web-push subscriptions: the key browsers subscribe with, and whose browser is whose. Pushing is notify's."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from muster.adapters.fetching import FetchRules
from muster.contracts.errors import Problem
from pydantic import BaseModel, ConfigDict, Field
from rotc import push_subscriptions
from rotc.errors import InvalidSubscription, UnknownEntity
from rotc.web_push import LONGEST_ENDPOINT, Subscription, check_subscription

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.callers import Caller
from tracker_service.api.context import TheApi, TheCaller
from tracker_service.api.errors import ApiError, json_response

MAX_BYTES = 16 * 1024
_ENDPOINT = "https://fcm.googleapis.com/fcm/send/d7Yx0gVn2kA:APA91bF0"
# The keys of the example in RFC 8291.
_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
_BROWSER = {"endpoint": _ENDPOINT, "expirationTime": None, "keys": {"p256dh": _KEY, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


class Keys(BaseModel):
    """What a browser tells of its keys, base64url."""

    model_config = ConfigDict(hide_input_in_errors=True)

    p256dh: str = Field(max_length=200)
    auth: str = Field(max_length=100)


class Browser(BaseModel):
    """Body of POST /notifications/subscribe: a PushSubscription as `JSON.stringify` writes it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint: str = Field(max_length=LONGEST_ENDPOINT)
    keys: Keys


class Endpoint(BaseModel):
    """Body of POST /notifications/unsubscribe; a whole PushSubscription will do."""

    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint: str = Field(min_length=1, max_length=LONGEST_ENDPOINT, pattern=r"^[^\x00]+$")


@router.get("/vapid-key", responses=examples.answers({"publicKey": _KEY}, 403, 503))
async def vapid_key(api: TheApi, caller: TheCaller) -> Response:
    """The key to give to `pushManager.subscribe` as `applicationServerKey`."""
    if not api.tracker.vapid_public_key:
        raise ApiError(503, "web push is not configured here: VAPID_PUBLIC_KEY is not set")
    return json_response({"publicKey": api.tracker.vapid_public_key})


@router.post(
    "/subscribe", status_code=201,
    responses=examples.answers({"message": "subscribed", "created": True}, 403, 413, 422, status=201),
    openapi_extra=examples.body(Browser, _BROWSER),
)  # fmt: skip
async def subscribe(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Have this browser told. One that is known already (200) is updated, and is the caller's from now on.

    Of one person, the ten newest browsers are kept.
    """
    user_id = _person(caller)
    body = await read_body(request, Browser, MAX_BYTES)
    browser = Subscription(body.endpoint, body.keys.p256dh, body.keys.auth)
    rules = FetchRules.parse(api.tracker.push_hosts, allow_private=api.tracker.push_allow_private_hosts)
    try:
        check_subscription(browser, rules)
    except InvalidSubscription as error:
        problem = Problem(error.field, error.reason, "invalid_subscription")
        raise ApiError(422, f"the subscription is not valid: {error}", [problem]) from None
    async with api.pool.acquire() as connection:
        try:
            created = await push_subscriptions.subscribe(connection, user_id, browser)
        except UnknownEntity as error:
            raise ApiError(401, "the token's user no longer exists") from error
    return json_response({"message": "subscribed", "created": created}, 201 if created else 200)


@router.post(
    "/unsubscribe", responses=examples.answers({"message": "unsubscribed", "removed": True}, 403, 413, 422),
    openapi_extra=examples.body(Endpoint, {"endpoint": _ENDPOINT}),
)  # fmt: skip
async def unsubscribe(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Have this browser told nothing any more; one that is not the caller's stays as it is."""
    user_id = _person(caller)
    body = await read_body(request, Endpoint, MAX_BYTES)
    async with api.pool.acquire() as connection:
        removed = await push_subscriptions.unsubscribe(connection, user_id, body.endpoint)
    return json_response({"message": "unsubscribed", "removed": removed})


def _person(caller: Caller) -> int:
    if caller.user_id is None:
        raise ApiError(403, "an API key has no browser: subscribe as a person")
    return caller.user_id
