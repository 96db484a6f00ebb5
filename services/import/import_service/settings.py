"""What the import service alone reads from the environment; everything shared is in muster.settings and rotc."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr
from rotc.service_settings import StorageSettings


class ImportSettings(StorageSettings):
    """Frozen; field names are the environment names in lower case."""

    service: ClassVar[str] = "import"

    #: Where the Django backend caches; None: nowhere, and nothing has to be dropped.
    redis_url: SecretStr | None = None
    #: Comma-separated hosts that files may be fetched from; none when empty.
    import_allowed_hosts: str = ""
    #: Local demo only: fetch from private addresses and over plain http.
    import_allow_private_hosts: bool = False
