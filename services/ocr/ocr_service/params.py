"""What a caller may send to the tasks and what comes back: names, types and ranges. Nothing is done with it here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
LONGEST_URL = 4096
MAX_BATCH = 100
DEFAULT_LANGUAGE = "eng+fil"


class _Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


FileUrl = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_URL)]
LetterId = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
#: As Tesseract names them, joined by `+`.
Language = Annotated[
    str,
    StringConstraints(strict=True, max_length=60, pattern=r"^[a-z]{3}(_[a-z]{3,5})?(\+[a-z]{3}(_[a-z]{3,5})?){0,4}$"),
]


class DocumentOfLetter(_Parameters):
    """One file, and the letter whose text it is."""

    file_url: FileUrl
    excuse_letter_id: LetterId | None = None


class ReadDocument(DocumentOfLetter):
    """Parameters of process_ocr_document."""

    language: Language = DEFAULT_LANGUAGE


class BatchDocuments(_Parameters):
    """Parameters of batch_process_ocr."""

    #: A pair is [file_url, excuse_letter_id].
    file_urls_and_ids: Annotated[
        list[DocumentOfLetter | tuple[FileUrl, LetterId | None]], Field(min_length=1, max_length=MAX_BATCH)
    ]

    @property
    def documents(self) -> list[DocumentOfLetter]:
        """All of them in the same form."""
        return [
            DocumentOfLetter(file_url=entry[0], excuse_letter_id=entry[1]) if isinstance(entry, tuple) else entry
            for entry in self.file_urls_and_ids
        ]


class ReadPage(BaseModel):
    """How one page was read."""

    number: int
    #: 0-100; 100 for text that the document carries itself.
    confidence: float
    source: Literal["text", "ocr"]


class DocumentText(BaseModel):
    """Result of process_ocr_document."""

    text: str
    #: Mean over all characters, 0-100.
    confidence: float
    word_count: int
    #: What pictures were read with; less than was asked for where the data is missing.
    language: str
    pages: list[ReadPage]
    #: Whether the same bytes had been read before.
    cached: bool
    processing_ms: int
    #: Sentences for the person who asked.
    warnings: list[str] = []


class BatchedText(BaseModel):
    """One success of a batch; `index` is its place in the list that was sent, from 0."""

    index: int
    excuse_letter_id: int | None
    #: The beginning, where a hundred whole texts would be too long; the letters' rows hold all of it.
    text: str
    truncated: bool
    confidence: float
    word_count: int
    language: str
    pages: int
    cached: bool


class BatchError(BaseModel):
    """One failure of a batch."""

    index: int
    excuse_letter_id: int | None
    error: str


class BatchResult(BaseModel):
    """Result of batch_process_ocr, both lists in the order of what was sent."""

    total: int
    success_count: int
    error_count: int
    results: list[BatchedText]
    errors: list[BatchError]
