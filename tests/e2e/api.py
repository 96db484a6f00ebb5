"""The REST API as a caller of the system under test uses it. Starts and kills nothing."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import jwt
from muster_local.ports import LOOPBACK

from .system import System

ADMIN = 1
_TOKEN_SECONDS = 3600
Body = dict[str, Any]


def wait_until(condition: Callable[[], bool], description: str, seconds: float = 60) -> None:
    """Return when the condition holds; a service that is away for the moment counts as not yet."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain until {description}")
        time.sleep(0.1)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except httpx.TransportError:
        return False


class Api:
    """The API with the token of one user."""

    def __init__(self, system: System, user_id: int = ADMIN) -> None:
        now = int(time.time())
        claims = {"token_type": "access", "custom_user_id": user_id, "iat": now, "exp": now + _TOKEN_SECONDS}
        token = jwt.encode({**claims, "jti": uuid.uuid4().hex}, system.secret, "HS256")
        self.client = httpx.Client(
            base_url=f"http://{LOOPBACK}:{system.api_port}/api",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )

    def knows(self, name: str) -> None:
        """Wait until a task type may be submitted: a worker announces it, and the tracker hears of it."""

        def listed() -> bool:
            catalog = self.client.get("/catalog").json()
            return name in [entry["task_type"] for entry in catalog["task_types"]]

        wait_until(listed, f"{name} stands in the catalog")

    def submit(self, name: str, parameters: Body, **options: Any) -> str:
        """The id of the accepted task."""
        answer = self.client.post("/tasks", json={"name": name, "parameters": parameters, **options})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["task_id"])

    def status(self, task_id: str) -> Body:
        """The status answer; {} while the task is not known."""
        answer = self.client.get(f"/tasks/{task_id}/status")
        assert answer.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND), answer.text
        body: Body = answer.json()
        return body if answer.status_code == httpx.codes.OK else {}

    def state(self, task_id: str) -> str | None:
        return self.status(task_id).get("status")

    def details(self, task_id: str) -> Body:
        answer = self.client.get(f"/tasks/{task_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        body: Body = answer.json()
        return body

    def revoke(self, task_id: str, *, terminate: bool = False) -> httpx.Response:
        return self.client.post(f"/tasks/{task_id}/revoke", json={"terminate": terminate})

    def counts(self, name: str) -> Counter[str]:
        """How many tasks of a type are in each state."""
        answer = self.client.get("/tasks", params={"name": name, "limit": 1})
        assert answer.status_code == httpx.codes.OK, answer.text
        return Counter(answer.json()["facets"]["state"])

    def ended(self, task_id: str, seconds: float = 60) -> Body:
        """The status answer once the task has ended."""
        wait_until(lambda: self.status(task_id).get("ready", False), f"task {task_id} has ended", seconds)
        return self.status(task_id)

    def wait_for_state(self, task_id: str, state: str, seconds: float = 60) -> None:
        wait_until(lambda: self.state(task_id) == state, f"task {task_id} is {state}", seconds)

    def states(self, task_ids: Iterable[str]) -> Counter[str]:
        """The states of these tasks, asked one by one as a caller would."""
        return Counter(self.state(task_id) or "unknown" for task_id in task_ids)

    def close(self) -> None:
        self.client.close()
