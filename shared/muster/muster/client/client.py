"""The asynchronous client: submit tasks, follow them. The blocking twin is sync.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from muster.client.api import TrackerApi
from muster.client.result import AsyncResult
from muster.client.submission import Submission, prepare
from muster.client.transports import Transport
from muster.contracts.topics import Lane

SUBMIT_SECONDS = 30.0


class SubmitOptions(TypedDict, total=False):
    """How a task is to be run; everything may be left out."""

    lane: Lane | str | None
    #: Seconds from now.
    countdown: float | None
    #: An aware instant, instead of `countdown`.
    eta: datetime | None
    #: Seconds from now, or an aware instant, after which the task may not start any more.
    expires: float | datetime | None
    #: users.id of who asked for it.
    submitter: int | None
    #: Tasks of one key run one after another, in the order in which they were submitted.
    order_key: str | None
    task_id: str | None
    #: Submitting the same key again names the same task.
    idempotency_key: str | None
    #: The service that runs the task type; left out, the catalog is asked.
    service: str | None


class Client:
    """Submits through a transport (Kafka or the API) and asks the API for states. Make one with `muster.connect`."""

    def __init__(self, transport: Transport, api: TrackerApi) -> None:
        self._transport, self.api = transport, api

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hand over what is under way, then disconnect."""
        await self._transport.close()
        await self.api.close()

    async def submit(
        self,
        task_type: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float = SUBMIT_SECONDS,
        **options: Unpack[SubmitOptions],
    ) -> AsyncResult:
        """Submit one task; when this returns, it is safely in Kafka.

        Raises:
            SubmitRefused: it cannot be run like this; `problems` names bad fields when the API knows them.
            BrokerError, Unreachable: nobody took it within `timeout` seconds.
        """
        by_reference = self._transport.refers_to_files
        submission = prepare(task_type, parameters, now=datetime.now(UTC), refers_to_files=by_reference, **options)
        task_id = await self._transport.submit(submission, timeout=timeout)
        return AsyncResult(task_id, self.api, submitted=True)

    async def submit_many(
        self, submissions: Iterable[Submission], *, timeout: float = SUBMIT_SECONDS
    ) -> list[AsyncResult]:
        """Submit many prepared tasks (`muster.client.prepare`), pipelined; all are safely in Kafka when this returns.

        Raises as `submit` does; some may have been taken then.
        """
        ids = await self._transport.submit_many(submissions, timeout=timeout)
        return [AsyncResult(task_id, self.api, submitted=True) for task_id in ids]

    def result(self, task_id: str) -> AsyncResult:
        """A task submitted by anyone, by its id."""
        return AsyncResult(task_id, self.api)
