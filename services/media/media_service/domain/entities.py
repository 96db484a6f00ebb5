"""What a file may belong to, what each may hold, and the name its file gets. Reads no table and stores nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from media_service.domain.errors import EmptyFile, FileTooLarge, UnsupportedType
from media_service.domain.filetypes import DOCUMENT_TYPES, IMAGE_TYPES, FileType, check_document, sniff

MB = 1024 * 1024
ROOT_FOLDER = "rotc"


class EntityType(StrEnum):
    """Where a file is shown in the grading system."""

    PROFILE_PIC = "profile_pic"
    ACTIVITY_IMAGE = "activity_image"
    EXCUSE_LETTER = "excuse_letter"


@dataclass(frozen=True)
class Acceptance:
    """What an entity takes."""

    types: frozenset[FileType]
    max_bytes: int
    #: For the sentence that refuses anything else.
    wanted: str


_PICTURES = Acceptance(IMAGE_TYPES, 10 * MB, "a JPEG, PNG, GIF or WebP picture")
ACCEPTED = {
    EntityType.PROFILE_PIC: _PICTURES,
    EntityType.ACTIVITY_IMAGE: _PICTURES,
    EntityType.EXCUSE_LETTER: Acceptance(
        IMAGE_TYPES | DOCUMENT_TYPES, 20 * MB, "a JPEG, PNG, GIF, WebP, PDF, DOC or DOCX file"
    ),
}


def accept(data: bytes, entity_type: EntityType) -> FileType:
    """The type of a file that its entity takes; raises the RefusedFile that says why not."""
    rule = ACCEPTED[entity_type]
    if not data:
        raise EmptyFile("The file is empty.")
    if len(data) > rule.max_bytes:
        raise FileTooLarge(
            f"The file has {len(data) / MB:.1f} MB, at most {rule.max_bytes // MB} MB are accepted for {entity_type}."
        )
    file_type = sniff(data)
    if file_type is None or file_type not in rule.types:
        found = "of no known type" if file_type is None else f"of type {file_type.name}"
        raise UnsupportedType(f"The file is {found}: {entity_type} takes {rule.wanted}.")
    if file_type in DOCUMENT_TYPES:
        check_document(data, file_type)
    return file_type


def public_id(entity_type: EntityType, entity_id: int, data: bytes, file_type: FileType) -> str:
    """The stored name: the same file sent twice for the same entity gets the same one, so a retry overwrites.

    An activity has many pictures, hence part of the content's hash in the name. A document keeps its extension,
    since it is delivered as it is and the browser goes by the name.
    """
    name = f"{entity_type}_{entity_id}"
    if entity_type is EntityType.ACTIVITY_IMAGE:
        name += f"_{hashlib.sha256(data).hexdigest()[:12]}"
    if file_type in DOCUMENT_TYPES:
        name += f".{file_type}"
    return f"{ROOT_FOLDER}/{entity_type}/{name}"
