"""Marries the client and its adapters, as bootstrap.py does for workers: what web processes and the CLI import."""

from __future__ import annotations

from functools import cache

from pydantic import ValidationError

from muster.adapters.kafka import KafkaBroker
from muster.client.api import TrackerApi
from muster.client.catalog import CatalogReader
from muster.client.client import Client
from muster.client.settings import ClientSettings
from muster.client.sync import SyncClient
from muster.client.transports import HttpTransport, KafkaTransport, Transport
from muster.contracts.errors import ConfigurationError
from muster.contracts.topics import Topics


def read_settings() -> ClientSettings:
    """The client's settings from the environment.

    Raises:
        ConfigurationError: one of them cannot work.
    """
    try:
        return ClientSettings()
    except (ValidationError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ConfigurationError(first.removeprefix("Value error, ")) from None


def connect(settings: ClientSettings | None = None) -> Client:
    """A client for the running event loop: through the API when MUSTER_API_URL is set, else straight to Kafka."""
    settings = settings or read_settings()
    api = TrackerApi(settings)
    transport: Transport
    if settings.api_url is not None:
        transport = HttpTransport(api)
    else:
        topics, broker = Topics(settings.topic_prefix), KafkaBroker(settings.kafka)
        transport = KafkaTransport(broker, topics, CatalogReader(broker, topics))
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
