"""Settings of every process, read once from the environment and frozen.

What a service alone needs lives in that service.
"""

from __future__ import annotations

import socket
import uuid
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from muster.contracts.signature import parse_keys
from muster.contracts.topics import Lane

_CONFIG = SettingsConfigDict(
    frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True,
    # A setting that cannot work may be a secret.
    hide_input_in_errors=True,
)  # fmt: skip


class KafkaSettings(BaseSettings):
    """How to reach Kafka; SASL and TLS take effect through `security_protocol`."""

    model_config = _CONFIG | SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str = "localhost:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None


class ClaimCheckSettings(BaseSettings):
    """Where parameters lie that are too large for a record; everything stays in Kafka while `url` is not set."""

    model_config = _CONFIG | SettingsConfigDict(env_prefix="MUSTER_CLAIMS_", hide_input_in_errors=True)

    #: file:///srv/payloads or s3://bucket/prefix; the same store for clients, API and workers.
    url: str | None = Field(None, pattern=r"^(file:///|s3://[^/?#@]).*")
    #: Parameters of more bytes than this go to the store.
    threshold_bytes: int = Field(256 * 1024, ge=1024)
    #: No payload of more bytes is read.
    max_bytes: int = Field(128 * 1024 * 1024, ge=1024)
    #: Payloads of tasks that succeeded or were revoked are removed after so many days; of failed ones after 100.
    keep_days: float = Field(7.0, ge=0, le=3650)
    #: An S3-compatible server that is not AWS; without keys, those of the machine's role or AWS_* are used.
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None


class SigningSettings(BaseSettings):
    """Who may have tasks run; without keys, whoever may write to the topics."""

    model_config = _CONFIG | SettingsConfigDict(env_prefix="MUSTER_")

    #: `k2:<hex>,k1:<hex>`: the first signs, all are accepted.
    signing_keys: SecretStr | None = None
    #: Believe what has no signature, for the time in which not everybody signs yet.
    accept_unsigned: bool = False

    @field_validator("signing_keys")
    @classmethod
    def _usable(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            parse_keys(keys.get_secret_value())
        return keys

    @property
    def keys(self) -> dict[str, bytes]:
        """The keys by their ids; none: signatures are neither written nor checked."""
        return parse_keys(self.signing_keys.get_secret_value()) if self.signing_keys is not None else {}


class TracingSettings(BaseSettings):
    """OpenTelemetry's own variables, as far as they decide whether spans are recorded at all."""

    model_config = _CONFIG | SettingsConfigDict(env_prefix="OTEL_")

    #: otlp, console or none; otlp when only an endpoint is set.
    traces_exporter: Literal["otlp", "console", "none"] | None = None
    exporter_otlp_endpoint: str | None = None
    exporter_otlp_traces_endpoint: str | None = None
    #: muster-<service> when empty.
    service_name: str | None = None
    sdk_disabled: bool = False

    @property
    def enabled(self) -> bool:
        """An exporter is configured."""
        if self.sdk_disabled or self.traces_exporter == "none":
            return False
        endpoint = self.exporter_otlp_endpoint or self.exporter_otlp_traces_endpoint
        return self.traces_exporter is not None or endpoint is not None


class Settings(BaseSettings):
    """What every service shares. Times in seconds."""

    model_config = _CONFIG | SettingsConfigDict(env_prefix="MUSTER_")

    topic_prefix: str = ""
    replication_factor: int = Field(1, ge=1)
    #: Tasks one worker process runs at the same time.
    slots: int = Field(4, ge=1, le=10_000)
    #: Lanes that this worker serves; somebody must serve the others.
    lanes: Annotated[tuple[Lane, ...], NoDecode] = tuple(Lane)
    #: Child processes for blocking work; 0: one per CPU.
    processes: int = Field(0, ge=0, le=512)
    #: Private memory (MB) that a function may take in a child process before it fails alone; 0: as much as there is.
    child_memory_mb: int = Field(0, ge=0)
    beat_seconds: float = Field(2.0, gt=0)
    #: A worker whose beat was not acknowledged this long stops itself.
    fence_seconds: float = Field(20.0, gt=0)
    #: A worker silent this long is dead to the tracker; must be longer than the fence.
    lease_seconds: float = Field(30.0, gt=0)
    #: Kafka gives a silent consumer's partitions to others after this long; its accepted tasks are the lease's matter.
    session_seconds: float = Field(10.0, ge=6, le=1800)
    #: How long a stopping worker lets its tasks run before it hands them back.
    grace_seconds: float = Field(30.0, ge=0)
    http_host: str = "0.0.0.0"  # noqa: S104  probes and Prometheus come from other hosts
    #: Port of /livez, /readyz and /metrics; 0 turns them off.
    http_port: int = Field(0, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    #: Worker name in heartbeats; a new suffix is added at every start.
    worker_name: str = Field(default_factory=socket.gethostname)
    database_url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("MUSTER_DATABASE_URL", "DATABASE_URL", "database_url")
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    claims: ClaimCheckSettings = Field(default_factory=ClaimCheckSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    signing: SigningSettings = Field(default_factory=SigningSettings)

    @field_validator("lanes", mode="before")
    @classmethod
    def _lanes_by_name(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        names = [name.strip() for name in given.split(",")]
        known = [lane.value for lane in Lane]
        if not set(names) <= set(known) or len(set(names)) < len(names):
            raise ValueError(f"MUSTER_LANES ({given}) must name each lane at most once, of {', '.join(known)}")
        return tuple(names)

    @field_validator("lease_seconds")
    @classmethod
    def _lease_outlives_fence(cls, lease: float, info: object) -> float:
        fence = getattr(info, "data", {}).get("fence_seconds", 0.0)
        if lease <= fence:
            raise ValueError(f"MUSTER_LEASE_SECONDS ({lease:g}) must be longer than MUSTER_FENCE_SECONDS ({fence:g})")
        return lease

    def new_worker_id(self, service: str) -> str:
        """An id no process had before: `media@host-1a2b3c4d`."""
        return f"{service}@{self.worker_name}-{uuid.uuid4().hex[:8]}"
