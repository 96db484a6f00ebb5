"""What the reports service alone reads from the environment; everything shared is in muster.settings and rotc."""

from __future__ import annotations

from typing import ClassVar

from muster.contracts.errors import ConfigurationError
from pydantic import Field, SecretStr
from rotc.certificates import parse_keys
from rotc.errors import WeakCertificateKey
from rotc.service_settings import StorageSettings


class ReportsSettings(StorageSettings):
    """Frozen; field names are the environment names in lower case."""

    service: ClassVar[str] = "reports"

    #: Keys of verification codes, separated by commas: the first makes codes, all are accepted.
    certificate_keys: SecretStr
    #: Where people reach the API: verification links begin with it.
    reports_public_url: str = Field("http://localhost:8000", pattern=r"^https?://\S+$")
    reports_school: str = "Mindanao State University – Sultan Naga Dimaporo"
    reports_unit: str = "1002nd Community Defense Center"
    #: Who signs certificates: `name | office`, separated by semicolons; the name may be empty.
    reports_signatories: str = "| Commandant; | Commander, ROTC Unit"
    #: Comma-separated hosts that cadets' photos may be fetched from.
    reports_photo_hosts: str = "res.cloudinary.com"
    #: Local demo only: fetch from private addresses and over plain http.
    reports_allow_private_hosts: bool = False

    def keys(self) -> tuple[bytes, ...]:
        """At least one. Raises ConfigurationError."""
        try:
            keys = parse_keys(self.certificate_keys.get_secret_value())
        except WeakCertificateKey as error:
            raise ConfigurationError(str(error)) from None
        if not keys:
            raise ConfigurationError("CERTIFICATE_KEYS is empty: make a key with `openssl rand -hex 32`")
        return keys

    def signatories(self) -> tuple[tuple[str, str], ...]:
        """Name and office of each."""
        pairs = (part.rpartition("|") for part in self.reports_signatories.split(";") if part.strip())
        return tuple((name.strip(), office.strip()) for name, _, office in pairs)
