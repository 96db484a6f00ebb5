"""Files that are refused: each for its own reason, told in one sentence."""

from __future__ import annotations

import copy
import io
import struct
import zipfile
import zlib

import pytest
from media_service.domain.compression import CompressionOptions, compress_image
from media_service.domain.entities import MB, EntityType, accept, public_id
from media_service.domain.errors import (
    EmptyFile,
    FileTooLarge,
    RefusedFile,
    UnreadableDocument,
    UnreadableImage,
    UnsupportedType,
)
from media_service.domain.filetypes import FileType, sniff
from media_service.domain.preparation import prepare_file
from PIL import Image

PROFILE, ACTIVITY, LETTER = EntityType.PROFILE_PIC, EntityType.ACTIVITY_IMAGE, EntityType.EXCUSE_LETTER
PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\ntrailer <<>>\nstartxref\n9\n%%EOF\n"
DOC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1024) + "WordDocument".encode("utf-16-le") + bytes(64)


def picture(format_: str, size: tuple[int, int] = (200, 160)) -> bytes:
    output = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(output, format_)
    return output.getvalue()


def archive(*names: str) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        for name in names:
            file.writestr(name, "<xml/>")
    return output.getvalue()


DOCX = archive("[Content_Types].xml", "word/document.xml")


def header_only_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size: what a decompression bomb looks like from outside."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, pixels)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (picture("JPEG"), FileType.JPEG),
        (picture("PNG"), FileType.PNG),
        (picture("GIF"), FileType.GIF),
        (picture("WEBP"), FileType.WEBP),
        (PDF, FileType.PDF),
        (b"\xef\xbb\xbf" + PDF, FileType.PDF),
        (DOC, FileType.DOC),
        (DOCX, FileType.DOCX),
        (archive("xl/workbook.xml"), None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"MZ\x90\x00", None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"", None),
    ],
)
def test_the_type_is_told_from_the_bytes(data: bytes, wanted: FileType | None) -> None:
    assert sniff(data) is wanted


@pytest.mark.parametrize(
    ("data", "entity_type", "error", "sentence"),
    [
        (b"", PROFILE, EmptyFile, "The file is empty."),
        (b"hello", PROFILE, UnsupportedType, "The file is of no known type: profile_pic takes a JPEG, PNG, GIF or"),
        (PDF, PROFILE, UnsupportedType, "The file is of type PDF: profile_pic takes a JPEG, PNG, GIF or WebP picture."),
        (DOCX, ACTIVITY, UnsupportedType, "The file is of type DOCX: activity_image takes"),
        (bytes(11 * MB), PROFILE, FileTooLarge, "The file has 11.0 MB, at most 10 MB are accepted for profile_pic."),
        (bytes(21 * MB), LETTER, FileTooLarge, "The file has 21.0 MB, at most 20 MB are accepted for excuse_letter."),
        (PDF[:40], LETTER, UnreadableDocument, "The PDF is cut off before its end"),
        (DOCX[:140], LETTER, UnreadableDocument, "The DOCX document is cut off before its end"),
    ],
)
def test_a_file_that_its_entity_does_not_take(
    data: bytes, entity_type: EntityType, error: type[RefusedFile], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        accept(data, entity_type)

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_truncated_picture_is_refused_with_one_sentence(format_: str, kept: float) -> None:
    whole = picture(format_)

    with pytest.raises(UnreadableImage) as caught:
        compress_image(whole[: max(12, int(len(whole) * kept))], CompressionOptions())

    assert str(caught.value) == f"The {format_} picture is truncated or damaged: export it again and resend it."


def test_a_picture_damaged_in_the_middle_is_refused() -> None:
    damaged = bytearray(picture("PNG"))  # the one format with checksums
    middle = len(damaged) // 2
    damaged[middle : middle + 400] = bytes(400)

    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        compress_image(bytes(damaged), CompressionOptions())


@pytest.mark.parametrize("size", [(20_000, 10_000), (9_000, 9_000), (7_100, 7_100), (2_000_000_000, 2)])
def test_too_many_pixels_are_refused_before_any_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(UnreadableImage, match=f"has {size[0] * size[1] / 1e6:.1f} megapixels, at most 50"):
        compress_image(header_only_png(*size), CompressionOptions())


def test_text_is_not_a_picture() -> None:
    with pytest.raises(UnreadableImage, match="not a JPEG, PNG, GIF or WebP picture"):
        compress_image(b"just text", CompressionOptions())


@pytest.mark.parametrize(("data", "extension"), [(PDF, "pdf"), (DOC, "doc"), (DOCX, "docx")])
def test_a_document_goes_up_unchanged(data: bytes, extension: str) -> None:
    ready = prepare_file(data, LETTER, 7, CompressionOptions())

    assert (ready.data, ready.resource_type, ready.format) == (data, "raw", extension)
    assert (ready.width, ready.height, ready.saved_percent) == (None, None, 0.0)
    assert ready.public_id == f"rotc/excuse_letter/excuse_letter_7.{extension}"


def test_a_photographed_letter_is_compressed_like_any_picture() -> None:
    ready = prepare_file(picture("PNG"), LETTER, 7, CompressionOptions(max_size=(100, 100)))

    assert (ready.resource_type, ready.format, ready.width, ready.height) == ("image", "jpg", 100, 80)
    assert ready.public_id == "rotc/excuse_letter/excuse_letter_7"
    assert ready.saved_percent > 50


def test_pictures_of_one_activity_have_names_of_their_own() -> None:
    names = [public_id(ACTIVITY, 3, content, FileType.JPEG) for content in (b"one", b"two", b"one")]

    assert names[0] == "rotc/activity_image/activity_image_3_7692c3ad3540"
    assert names[0] == names[2] != names[1]


def test_every_refusal_survives_the_way_back_from_a_child_process() -> None:
    error = copy.copy(UnreadableImage("One sentence."))  # copied by the same protocol as pickled

    assert str(error) == "One sentence."
