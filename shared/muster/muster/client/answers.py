"""What an answer of the API means: a JSON value, an error of ours, or "ask again". Sending is api.py's."""

from __future__ import annotations

from typing import Any, NoReturn

import httpx
import msgspec

from muster.contracts.errors import ClientError, NotAllowed, Problem, SubmitRefused, TaskEnded, UnknownTask

#: Answers of a tracker, or of a proxy before it, that is not ready: the same request may succeed in a moment.
_LATER = frozenset({429, 502, 503, 504})


class NotNow(Exception):
    """The tracker cannot serve this request yet; `after` (seconds) is what it asked for, if anything."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def read_answer(response: httpx.Response) -> Any:
    """The JSON value of a good answer.

    Raises:
        NotNow: the same request may succeed soon.
        ClientError: the error that the status stands for.
    """
    if response.status_code in _LATER:
        raise NotNow(f"it answered {response.status_code}: {_message(response)}", _retry_after(response))
    if not response.is_success:
        _refuse(response)
    try:
        return msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        raise ClientError(
            f"{response.request.url} answered with something that is no JSON: is MUSTER_API_URL a tracker's address?"
        ) from None


def _refuse(response: httpx.Response) -> NoReturn:
    message, status = _message(response), response.status_code
    if status in (401, 403):
        raise NotAllowed(f"{message} (HTTP {status}): set MUSTER_API_KEY, or MUSTER_TOKEN to a valid JWT")
    if status == 404:
        raise UnknownTask(message)
    if status == 409 and response.request.url.path.rstrip("/").endswith("/revoke"):
        raise TaskEnded(message)
    if response.request.method == "POST" and status in (400, 409, 413, 422):
        raise SubmitRefused(message, _problems(response))
    raise ClientError(f"{response.request.method} {response.request.url.path} was answered {status}: {message}")


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(response: httpx.Response) -> str:
    body = _body(response)
    text = body.get("message") or body.get("detail") or response.reason_phrase or "no reason was given"
    return str(text)[:500]


def _problems(response: httpx.Response) -> tuple[Problem, ...]:
    """Each bad field, from `details`: a list of {field, message, code}, alone or as its member `problems`."""
    details = _body(response).get("details")
    if isinstance(details, dict):
        details = details.get("problems")
    if not isinstance(details, list):
        return ()
    return tuple(
        Problem(str(item.get("field", "?")), str(item.get("message", "")), str(item.get("code", "invalid")))
        for item in details
        if isinstance(item, dict)
    )


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
