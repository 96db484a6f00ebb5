"""What a caller may send to the tasks and what comes back: names, types and ranges. Nothing is done with it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from muster.worker.files import FileReference
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from media_service.domain.compression import CompressionOptions
from media_service.domain.entities import MB, ROOT_FOLDER, EntityType

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
LONGEST_TEXT = 28 * MB  # 20 MB in base64 with line breaks
MAX_BATCH = 100


class _Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _form(value: object) -> str:
    return "reference" if isinstance(value, Mapping | FileReference) else "text"


#: base64 text, a `data:` URL, an `https:` URL, or `{"ref": ...}`, which muster.client.File becomes.
ImageData = Annotated[
    Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_TEXT), Tag("text")]
    | Annotated[FileReference, Tag("reference")],
    Discriminator(_form),
    Field(repr=False),
]
EntityId = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
Side = Annotated[int, Field(strict=True, ge=1, le=10_000)]


class ImageOfEntity(_Parameters):
    """One file and where it belongs."""

    image_data: ImageData
    entity_type: EntityType
    entity_id: EntityId


class CompressImage(ImageOfEntity):
    """Parameters of compress_and_upload_image."""

    #: Width and height in pixels; the picture is fitted in, never enlarged.
    max_size: tuple[Side, Side] = (1920, 1080)
    #: JPEG quality.
    quality: Annotated[int, Field(strict=True, ge=1, le=100)] = 85
    #: Lower the quality, at most to 40, until the picture is this small.
    target_bytes: Annotated[int, Field(strict=True, ge=1024)] | None = None

    @property
    def options(self) -> CompressionOptions:
        return CompressionOptions(self.max_size, self.quality, self.target_bytes)


class BatchImages(_Parameters):
    """Parameters of batch_compress_images."""

    image_list: Annotated[list[ImageOfEntity], Field(min_length=1, max_length=MAX_BATCH)]


class DeleteImage(_Parameters):
    """Parameters of delete_cloudinary_image."""

    #: As in the upload's result, e.g. `rotc/profile_pic/profile_pic_12`; documents with their extension.
    public_id: Annotated[
        str,
        # Every part begins with a letter or digit: no `..`, no hidden name, no empty part.
        StringConstraints(strict=True, max_length=255, pattern=rf"^{ROOT_FOLDER}(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$"),
    ]


class UploadedImage(BaseModel):
    """Result of compress_and_upload_image; sizes in bytes and pixels (null for a document)."""

    url: str
    public_id: str
    #: Extension of the stored file: jpg, or the document's own.
    format: str
    width: int | None
    height: int | None
    bytes: int
    original_bytes: int
    #: Negative when a tiny picture grew.
    saved_percent: float


class BatchedImage(UploadedImage):
    """One success of a batch; `index` is its place in image_list, from 0."""

    index: int


class BatchError(BaseModel):
    """One failure of a batch; `index` is its place in image_list, from 0."""

    index: int
    error: str


class BatchResult(BaseModel):
    """Result of batch_compress_images, both lists in the order of image_list."""

    total: int
    success_count: int
    error_count: int
    results: list[BatchedImage]
    errors: list[BatchError]


class DeletedImage(BaseModel):
    """Result of delete_cloudinary_image."""

    result: Literal["ok", "not found"]
    public_id: str
