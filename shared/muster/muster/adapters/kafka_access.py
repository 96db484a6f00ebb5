"""Why a cluster lets nobody in: one sentence that names the setting to look at, and none of their secrets.

aiokafka tells only that it could not bootstrap, and the reason to its log.
"""

from __future__ import annotations

import ssl
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from muster.adapters.kafka_errors import broker_error
from muster.contracts.errors import BrokerError, ConfigurationError, MusterError

PROBE_MS = 5000
_SASL_REFUSALS = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError)
_CONNECTION = (
    "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password",
)  # fmt: skip


async def not_started(options: dict[str, Any], doing: str, error: BaseException) -> MusterError:
    """What to raise when a client with these options could not start; `doing` completes "Kafka could not ..."."""
    if not isinstance(error, KafkaConnectionError):
        return broker_error(doing, error)
    chosen = {name: options[name] for name in _CONNECTION if name in options}
    for host, port, _ in collect_hosts(options["bootstrap_servers"]):
        try:
            connection = await create_conn(host, port, request_timeout_ms=PROBE_MS, **chosen)
        except (KafkaError, OSError, TimeoutError) as refusal:
            if (known := _explained(f"{host}:{port}", options, refusal)) is not None:
                return known
        else:
            connection.close()
    return broker_error(doing, error)


def _explained(address: str, options: dict[str, Any], refusal: BaseException) -> MusterError | None:
    protocol = options.get("security_protocol", "PLAINTEXT")
    if isinstance(refusal, _SASL_REFUSALS):
        user, mechanism = options.get("sasl_plain_username"), options.get("sasl_mechanism")
        return ConfigurationError(
            f"Kafka at {address} does not let {user} in by {mechanism}: check KAFKA_SASL_USERNAME, "
            "KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
        )
    if isinstance(refusal, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"the certificate of Kafka at {address} is not trusted ({refusal.verify_message}): check "
            "KAFKA_SSL_CAFILE, and the host's name in KAFKA_BOOTSTRAP_SERVERS"
        )
    if isinstance(refusal, (KafkaConnectionError, ssl.SSLError, ConnectionResetError)):
        certificate = "" if protocol == "PLAINTEXT" else ", and does it ask for a client certificate"
        return BrokerError(
            f"Kafka at {address} closed the connection: is KAFKA_SECURITY_PROTOCOL={protocol} "
            f"what this port speaks{certificate}?"
        )
    return None
