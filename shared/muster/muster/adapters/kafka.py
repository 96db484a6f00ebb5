"""Kafka as the engine's Broker, on aiokafka: how to reach the cluster, and makers of its clients.

The clients themselves are kafka_producer, kafka_transaction, kafka_consumer and kafka_admin.
"""

from __future__ import annotations

from typing import Any

from aiokafka.helpers import create_ssl_context

from muster.adapters.kafka_admin import KafkaAdmin
from muster.adapters.kafka_consumer import ConsumerOptions, KafkaConsumer
from muster.adapters.kafka_producer import KafkaProducer
from muster.adapters.kafka_transaction import KafkaTransactionalProducer
from muster.contracts.errors import ConfigurationError
from muster.settings import KafkaSettings


class KafkaBroker:
    """Clients of one Kafka cluster (ports.Broker); making one connects to nothing, `start` does.

    Raises:
        ConfigurationError: the security settings contradict each other.
    """

    def __init__(self, settings: KafkaSettings | None = None) -> None:
        self._connection = connection_options(settings or KafkaSettings())

    def producer(self, *, client_id: str = "muster", linger_ms: int = 2) -> KafkaProducer:
        return KafkaProducer(self._connection, client_id=client_id, linger_ms=linger_ms)

    def transactional_producer(self, transactional_id: str) -> KafkaTransactionalProducer:
        return KafkaTransactionalProducer(self._connection, transactional_id)

    def consumer(
        self,
        *,
        group: str | None = None,
        client_id: str = "muster",
        group_instance_id: str | None = None,
        from_beginning: bool = True,
        session_timeout: float = 10.0,
        committed_only: bool = True,
    ) -> KafkaConsumer:
        """With a `group_instance_id`, `stop` keeps the partitions reserved until the session times out."""
        options = ConsumerOptions(group, client_id, group_instance_id, from_beginning, session_timeout, committed_only)
        return KafkaConsumer(self._connection, options)

    def admin(self) -> KafkaAdmin:
        return KafkaAdmin(self._connection)


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """aiokafka's keyword arguments for reaching the cluster; the TLS files are read here.

    Raises:
        ConfigurationError: the security settings contradict each other or a file cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.bootstrap_servers.split(",") if address.strip()],
        "security_protocol": settings.security_protocol,
    }
    if not options["bootstrap_servers"]:
        raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS names no broker: set it to host:port, several with commas")
    if settings.security_protocol.startswith("SASL_"):
        options |= _sasl(settings)
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    return options


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    given = {
        "KAFKA_SASL_MECHANISM": settings.sasl_mechanism,
        "KAFKA_SASL_USERNAME": settings.sasl_username,
        "KAFKA_SASL_PASSWORD": settings.sasl_password,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing or settings.sasl_password is None:
        protocol = settings.security_protocol
        raise ConfigurationError(f"KAFKA_SECURITY_PROTOCOL is {protocol}, which also needs {' and '.join(missing)}")
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password.get_secret_value(),
    }


def _tls(settings: KafkaSettings) -> Any:
    if (settings.ssl_certfile is None) != (settings.ssl_keyfile is None):
        raise ConfigurationError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE belong together: set both or neither")
    try:
        return create_ssl_context(
            cafile=settings.ssl_cafile, certfile=settings.ssl_certfile, keyfile=settings.ssl_keyfile
        )
    except OSError as error:  # ssl.SSLError is one
        files = [path for path in (settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile) if path]
        raise ConfigurationError(f"the TLS files for Kafka ({', '.join(files)}) cannot be used: {error}") from error
