"""What the tracker alone reads from the environment. What all services share is muster.settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from muster.contracts.errors import InvalidSchedule
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from rotc.errors import UnusableVapidKey
from rotc.web_push import PUSH_HOSTS, check_vapid_public_key, encode

from tracker_service.retention import next_round

SHORTEST_KEY = 50
#: What `django-admin startproject` writes, and what the backend falls back to: both are public.
_KNOWN_KEY_MARKS = ("django-insecure-", "change-me", "changeme", "your-secret-key")


class TrackerSettings(BaseSettings):
    """Address, keys and limits of the API."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True, env_prefix="TRACKER_"
    )

    http_host: str = "0.0.0.0"  # noqa: S104  callers come from other hosts
    http_port: int = Field(8000, ge=0, le=65535)
    #: The Django backend's own key: its JWTs are verified with it. None: only API keys are accepted.
    secret_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("DJANGO_SECRET_KEY", "SECRET_KEY", "secret_key")
    )
    allow_weak_key: bool = Field(False, validation_alias=AliasChoices("MUSTER_ALLOW_WEAK_KEY", "allow_weak_key"))
    #: Requests of one caller, in the notation of the library `limits`.
    rate_limit: str = "100/second;3000/minute"
    #: Refused identities of one address.
    refusal_limit: str = "60/minute"
    #: Days for which tasks that ended are known, at least; at most after 14 their last records have left the lanes.
    keep_days: float = Field(90.0, ge=16, le=3650)
    #: When those of longer ago are deleted: five fields of cron, and their time zone.
    retention_at: str = "0 4 * * * Asia/Manila"
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024)

    #: Keys of certificates, as the reports service has them; empty: nobody's code can be proved here.
    certificate_keys: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("CERTIFICATE_KEYS", "certificate_keys")
    )

    #: What browsers subscribe with; empty: nobody can.
    vapid_public_key: str = Field("", validation_alias=AliasChoices("VAPID_PUBLIC_KEY", "vapid_public_key"))
    #: Comma-separated hosts of push services: browsers may subscribe with these only.
    push_hosts: str = Field(PUSH_HOSTS, validation_alias=AliasChoices("PUSH_HOSTS", "push_hosts"))
    #: Local demo only: push services at private addresses and over plain http.
    push_allow_private_hosts: bool = Field(
        False, validation_alias=AliasChoices("PUSH_ALLOW_PRIVATE_HOSTS", "push_allow_private_hosts")
    )

    #: Keys of the unsubscribe links in mails, as the notify service has them; empty: such links lead nowhere.
    unsubscribe_keys: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("UNSUBSCRIBE_KEYS", "unsubscribe_keys")
    )

    @field_validator("retention_at")
    @classmethod
    def _some_time(cls, at: str) -> str:
        try:
            next_round(at, datetime.now(UTC))
        except InvalidSchedule as error:
            raise ValueError(str(error)) from None
        return at

    @field_validator("vapid_public_key")
    @classmethod
    def _own_vapid_key(cls, key: str) -> str:
        try:
            return encode(check_vapid_public_key(key)) if key else ""
        except UnusableVapidKey as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _strong_key(self) -> Self:
        if self.secret_key is None or self.allow_weak_key:
            return self
        key = self.secret_key.get_secret_value()
        if len(key) < SHORTEST_KEY or any(mark in key.lower() for mark in _KNOWN_KEY_MARKS):
            raise ValueError(
                f"DJANGO_SECRET_KEY is shorter than {SHORTEST_KEY} characters or a public default: whoever knows it "
                "can sign tokens; set the backend's real key (MUSTER_ALLOW_WEAK_KEY=1 for a local demo only)"
            )
        return self
