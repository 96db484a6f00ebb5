"""Marries the client and its adapters, as bootstrap.py does for workers: what web processes and the CLI import."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from muster.adapters.claim_store import open_claim_check
from muster.adapters.signed import broker_of
from muster.client.api import REQUEST_SECONDS, TrackerApi
from muster.client.catalog import CatalogReader
from muster.client.client import Client
from muster.client.settings import ClientSettings
from muster.client.sync import SyncClient
from muster.client.transports import HttpTransport, KafkaTransport, Transport
from muster.contracts.errors import ConfigurationError
from muster.contracts.topics import Topics
from muster.observability.tracing import configure_tracing
from muster.ports import Broker

S = TypeVar("S", bound=BaseSettings)


def read_environment(kind: type[S]) -> S:
    """Settings of this kind from the environment.

    Raises:
        ConfigurationError: one of them cannot work.
    """
    try:
        return kind()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        prefix = "KAFKA_" if error.title == "KafkaSettings" else kind.model_config.get("env_prefix", "")
        name = f"{prefix}{'_'.join(map(str, first['loc']))}".upper()
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(message if "MUSTER_" in message else f"{name}: {message}") from None


def read_settings() -> ClientSettings:
    """The client's settings from the environment. Raises as `read_environment` does."""
    return read_environment(ClientSettings)


def reach(settings: ClientSettings) -> tuple[Broker, Topics]:
    """The cluster, signed and checked where there are keys, and the names of the installation's topics."""
    return broker_of(settings.kafka, settings.signing, settings.topic_prefix), Topics(settings.topic_prefix)


def connect(settings: ClientSettings | None = None, *, patience: float = REQUEST_SECONDS) -> Client:
    """A client for the running event loop; submissions go the settings' way, questions always to the API.

    `patience` is how many seconds a tracker that does not answer is asked again.
    """
    settings = settings or read_settings()
    configure_tracing(settings.tracing, "client")
    api = TrackerApi(settings, patience=patience)
    transport: Transport
    if settings.way == "api":
        transport = HttpTransport(api)
    else:
        broker, topics = reach(settings)
        claims = open_claim_check(settings.claims)
        transport = KafkaTransport(broker, topics, CatalogReader(broker, topics), claims)
    return Client(transport, api)


def connect_sync(settings: ClientSettings | None = None) -> SyncClient:
    """A blocking client; it connects when it is first used."""

    async def make() -> Client:
        return connect(settings)

    return SyncClient(make)


@cache
def default_client() -> SyncClient:
    """The blocking client of this process, shared by all stubs."""
    return connect_sync()
