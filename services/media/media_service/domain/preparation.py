"""What is done to a file between arriving and being stored: one decision and the computing it needs. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from media_service.domain.compression import CompressionOptions, compress_image, saved_percent
from media_service.domain.entities import EntityType, accept, public_id
from media_service.domain.filetypes import IMAGE_TYPES


@dataclass(frozen=True)
class PreparedFile:
    """A file ready to be stored."""

    data: bytes
    public_id: str
    #: As the storage calls it: image, or raw for what is delivered unchanged.
    resource_type: str
    #: Extension without the dot.
    format: str
    #: Pixels; None for a document.
    width: int | None
    height: int | None
    original_bytes: int

    @property
    def saved_percent(self) -> float:
        """How much smaller than what was sent, in percent."""
        return saved_percent(self.original_bytes, len(self.data))


def prepare_file(data: bytes, entity_type: EntityType, entity_id: int, options: CompressionOptions) -> PreparedFile:
    """Accept, name and compress one file; raises a RefusedFile. Runs in a child process that may be killed."""
    file_type = accept(data, entity_type)
    name = public_id(entity_type, entity_id, data, file_type)
    if file_type not in IMAGE_TYPES:
        return PreparedFile(data, name, "raw", file_type.value, None, None, len(data))
    image = compress_image(data, options)
    return PreparedFile(image.data, name, "image", "jpg", image.width, image.height, len(data))
