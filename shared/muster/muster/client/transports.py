"""The two ways a submission takes: a record straight to Kafka, or a request to the API. Checks were made before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from muster.claim_check import ClaimCheck, hand_in, required
from muster.client.api import TrackerApi
from muster.client.catalog import CatalogReader
from muster.client.submission import Submission
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError, PayloadUnavailable, Unreachable
from muster.contracts.topics import Lane, Topics
from muster.observability.tracing import sending
from muster.ports import Broker, Position, Producer


class Transport(Protocol):
    """Hands submissions over; when a method returns, the other side has them safely."""

    @property
    def refers_to_files(self) -> bool:
        """Files may go to the store and be named by reference: there is one, and this side chooses the task's id."""

    async def submit(self, submission: Submission, *, timeout: float) -> str:
        """The task's id.

        Raises:
            SubmitRefused: it was read and refused.
            BrokerError, Unreachable: nobody took it within `timeout` seconds.
        """

    async def submit_many(self, submissions: Iterable[Submission], *, timeout: float) -> list[str]:
        """The ids, in order; `timeout` bounds the whole."""

    async def close(self) -> None:
        """Hand over what is under way, then disconnect."""


class HttpTransport:
    """Submits through POST /api/tasks, which validates parameters before it answers."""

    refers_to_files = False
    #: Requests under way at a time in `submit_many`.
    PARALLEL = 32

    def __init__(self, api: TrackerApi) -> None:
        self._api = api

    async def submit(self, submission: Submission, *, timeout: float) -> str:
        return await self._api.submit(submission.request(), timeout=timeout)

    async def submit_many(self, submissions: Iterable[Submission], *, timeout: float) -> list[str]:
        gate = asyncio.Semaphore(self.PARALLEL)

        async def one(submission: Submission) -> str:
            async with gate:
                return await self.submit(submission, timeout=timeout)

        tasks = [asyncio.ensure_future(one(submission)) for submission in submissions]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def close(self) -> None:
        """The API's connections are the client's to close."""


class KafkaTransport:
    """Writes task records to their lanes, or to where they wait: for a turn in `tasks.keyed`, else in `tasks.retry`."""

    def __init__(
        self, broker: Broker, topics: Topics, catalog: CatalogReader, claims: ClaimCheck | None = None
    ) -> None:
        self._broker, self._topics, self._catalog, self._claims = broker, topics, catalog, claims
        self.refers_to_files = claims is not None
        self._producer: Producer | None = None
        self._starting = asyncio.Lock()

    async def submit(self, submission: Submission, *, timeout: float) -> str:
        async with _bounded(timeout):
            await (await self._send(submission))
        return submission.task_id

    async def submit_many(self, submissions: Iterable[Submission], *, timeout: float) -> list[str]:
        ids: list[str] = []
        pending: list[asyncio.Future[Position]] = []
        async with _bounded(timeout):
            for submission in submissions:
                pending.append(await self._send(submission))
                ids.append(submission.task_id)
            await asyncio.gather(*pending)
        return ids

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _send(self, submission: Submission) -> asyncio.Future[Position]:
        producer = self._producer or await self._start()
        service, lane = submission.service, submission.lane
        if service is None:
            description = await self._catalog.find(submission.task_type)
            service, lane = description.service, lane or Lane(description.default_lane)
        lane_topic = self._topics.lane(service, lane or Lane.DEFAULT)
        record = submission.record(lane_topic, now=datetime.now(UTC))
        if self._claims is not None or submission.files:
            record = await self._handed_in(submission, record)
        topic = submission.topic(self._topics, lane_topic)
        with sending(record, topic) as span:
            if span.traceparent is not None:
                record = msgspec.structs.replace(record, traceparent=span.traceparent)
            return await producer.send(topic, record.body, key=record.key, headers=record.headers())

    async def _handed_in(self, submission: Submission, record: TaskRecord) -> TaskRecord:
        """The record once everything that it refers to is in the store: a worker may read it the moment it is sent."""
        try:
            for reference, data in submission.files:
                await required(self._claims).store.put(reference.key, data)
            return await hand_in(self._claims, record, now=datetime.now(UTC))
        except PayloadUnavailable as error:
            raise Unreachable(str(error)) from error

    async def _start(self) -> Producer:
        async with self._starting:
            if self._producer is None:
                # Nobody waits behind a lone submission; many of them fill batches while a request is under way.
                producer = self._broker.producer(client_id="muster-client", linger_ms=0)
                await producer.start()
                self._producer = producer
            return self._producer


@asynccontextmanager
async def _bounded(timeout: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError:
        raise BrokerError(
            f"Kafka did not acknowledge the submission within {timeout:g} s; it may still be written later"
        ) from None
