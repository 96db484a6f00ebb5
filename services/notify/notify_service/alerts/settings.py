"""What the alerts alone read from the environment. Database, mail and push are the notify service's settings."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_NAMED = re.compile(r"([a-z0-9_-]{1,40})=(\w[\w+.-]*://.+)")


class AlertSettings(BaseSettings):
    """Frozen; the addresses of webhooks are secrets, since most of them hold a token."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        env_prefix="ALERT_",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    #: A TOML file; the packaged rules.toml when empty.
    rules: Path | None = None
    #: Webhooks and chats in the notation of the library apprise, separated by spaces; `name=` before one lets rules
    #: reach it alone, as `webhook:name`.
    urls: SecretStr = SecretStr("")
    #: Asked every minute while the alerts themselves work: whoever watches it notices when they do not.
    heartbeat_url: SecretStr = SecretStr("")
    #: Seconds after which a delivery is given up.
    expire_seconds: float = Field(3 * 86_400, ge=60, le=30 * 86_400)

    @field_validator("urls")
    @classmethod
    def _addresses(cls, urls: SecretStr) -> SecretStr:
        for word in urls.get_secret_value().split():
            if "://" not in word:
                raise ValueError("every webhook is an address with a scheme, such as json://host/path")
        return urls

    @property
    def hooks(self) -> dict[str, tuple[str, str]]:
        """(name, address) by a digest of the address, under which deliveries are kept; the name may be empty."""
        found = {}
        for word in self.urls.get_secret_value().split():
            named = _NAMED.fullmatch(word)
            name, url = (named[1], named[2]) if named else ("", word)
            found[hashlib.sha256(url.encode()).hexdigest()[:16]] = (name, url)
        return found
