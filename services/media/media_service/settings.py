"""What the media service alone reads from the environment; everything shared is in muster.settings and rotc."""

from __future__ import annotations

from typing import ClassVar

from rotc.service_settings import StorageSettings


class MediaSettings(StorageSettings):
    """Frozen; field names are the environment names in lower case."""

    service: ClassVar[str] = "media"

    #: Comma-separated hosts that files may be fetched from; none when empty.
    media_allowed_hosts: str = ""
    #: Local demo only: fetch from private addresses and over plain http.
    media_allow_private_hosts: bool = False
