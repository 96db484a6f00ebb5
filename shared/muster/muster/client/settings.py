"""How a caller reaches the platform. What services need beside it is `muster.settings`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from muster.settings import ClaimCheckSettings, KafkaSettings, SigningSettings, TracingSettings

#: Where the tracker listens when nothing else is said (TRACKER_HTTP_PORT).
DEFAULT_API_URL = "http://localhost:8000"


class ClientSettings(BaseSettings):
    """Read from the environment: MUSTER_API_URL, MUSTER_API_KEY or MUSTER_TOKEN, MUSTER_SUBMIT_VIA, KAFKA_*."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_prefix="MUSTER_", env_ignore_empty=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    #: The tracker's address; None: submit straight to Kafka, and ask DEFAULT_API_URL for states.
    api_url: str | None = None
    api_key: SecretStr | None = None
    #: A JWT of the Django backend.
    token: SecretStr | None = None
    #: Which way submissions take; None: the API when its address is set, else Kafka.
    submit_via: Literal["api", "kafka"] | None = None
    topic_prefix: str = ""
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    claims: ClaimCheckSettings = Field(default_factory=ClaimCheckSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    signing: SigningSettings = Field(default_factory=SigningSettings)

    @field_validator("api_url")
    @classmethod
    def _http_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError(f"MUSTER_API_URL is {url[:80]!r}: write it as http://host:port or https://host")
        return url and url.rstrip("/").removesuffix("/api")

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.api_key is not None and self.token is not None:
            raise ValueError("set MUSTER_API_KEY (machines) or MUSTER_TOKEN (a person's JWT), not both")
        return self

    @property
    def way(self) -> Literal["api", "kafka"]:
        """The way submissions take."""
        return self.submit_via or ("api" if self.api_url is not None else "kafka")
