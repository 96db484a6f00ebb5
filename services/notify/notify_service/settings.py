"""What the notify service alone reads from the environment; everything shared is in muster.settings and rotc."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator
from rotc.service_settings import ServiceSettings
from rotc.web_push import PUSH_HOSTS


class NotifySettings(ServiceSettings):
    """Frozen; field names are the environment names in lower case. The EMAIL_ names are Django's."""

    service: ClassVar[str] = "notify"

    #: The mail server; empty: mail tasks fail and say so.
    email_host: str = ""
    email_port: int = Field(587, ge=1, le=65535)
    #: STARTTLS, and nothing is sent without it.
    email_use_tls: bool = True
    #: TLS from the first byte, usually on port 465; excludes email_use_tls.
    email_use_ssl: bool = False
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    #: Seconds one answer of the mail server may take.
    email_timeout: float = Field(30.0, gt=0, le=600)
    #: Connections one worker keeps to the mail server at most.
    email_connections: int = Field(4, ge=1, le=50)
    #: Who mails come from: `noreply@unit.example` or `ROTC Unit <noreply@unit.example>`.
    default_from_email: str = "noreply@rotc.edu"

    #: Where people reach the status API: unsubscribe links begin with it.
    notify_public_url: str = Field("http://localhost:8000", pattern=r"^https?://\S+$")
    #: Where people reach the app: mails have a button to it; empty: no button.
    notify_app_url: str = Field("", pattern=r"^(https?://\S+)?$")
    notify_school: str = "Mindanao State University – Sultan Naga Dimaporo"
    notify_unit: str = "1002nd Community Defense Center"
    #: Keys of unsubscribe links, separated by commas: the first signs, all are accepted; empty: no such links.
    unsubscribe_keys: SecretStr = SecretStr("")

    #: The key pair of web push, base64url, and whom push services may ask (mailto:); all empty: push tasks fail.
    vapid_public_key: str = ""
    vapid_private_key: SecretStr = SecretStr("")
    vapid_subject: str = ""
    #: Comma-separated hosts of push services: nothing is sent to any other.
    push_hosts: str = PUSH_HOSTS
    #: Local demo only: push services at private addresses and over plain http.
    push_allow_private_hosts: bool = False

    @model_validator(mode="after")
    def _one_way_of_tls_and_no_password_without(self) -> Self:
        if self.email_use_ssl and "email_use_tls" in self.model_fields_set and self.email_use_tls:
            raise ValueError("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other")
        if self.email_host_password.get_secret_value() and not (self.email_use_tls or self.email_use_ssl):
            raise ValueError(
                "EMAIL_HOST_PASSWORD would go over the wire in the clear: set EMAIL_USE_TLS or EMAIL_USE_SSL"
            )
        return self
