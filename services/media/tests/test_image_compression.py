"""Every kind of picture that phones and scanners send, looked at pixel by pixel after compression."""

from __future__ import annotations

import io
import re
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_service.domain.compression import CompressedImage, CompressionOptions, compress_image
from media_service.domain.errors import UnreadableImage
from PIL import Image, ImageOps

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
Colour = tuple[int, ...]


def quarters(width: int = 120, height: int = 80) -> Image.Image:
    """Red and green above, blue and black below: tells every rotation and mirroring from every other."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(BLACK, (width // 2, height // 2, width, height))
    return image


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    output = io.BytesIO()
    image.save(output, format_, **options)
    return output.getvalue()


def decoded(result: CompressedImage) -> Image.Image:
    image = Image.open(io.BytesIO(result.data))
    image.load()
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (result.width, result.height))
    return image


def close(found: object, wanted: Colour, tolerance: int = 12) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


def corners(image: Image.Image) -> list[object]:
    x, y = image.width // 4, image.height // 4
    return [image.getpixel(at) for at in ((x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y))]


def assert_quarters(image: Image.Image) -> None:
    for found, wanted in zip(corners(image), (RED, GREEN, BLUE, BLACK), strict=True):
        assert close(found, wanted), f"{found} is not {wanted}"


def png(width: int, depth: int, colour_type: int, row: bytes, *chunks: tuple[bytes, bytes], height: int = 1) -> bytes:
    """A PNG written by hand, for the kinds that Pillow can read but not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height)
    middle = b"".join(chunk(*each) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phone_photo_comes_out_upright(orientation: int, format_: str) -> None:
    undo = UNDO[orientation]
    stored = quarters() if undo is None else quarters().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation

    result = compress_image(encoded(stored, format_, exif=exif), CompressionOptions(max_size=(60, 60)))

    assert (result.width, result.height) == (60, 40)
    assert_quarters(decoded(result))


def test_no_metadata_is_left() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a cadet's phone"
    exif.get_ifd(0x8825)[2] = (8.0, 0.0, 7.5)
    photo = encoded(quarters(), "JPEG", exif=exif, comment=b"taken at home", xmp=b"<x:xmpmeta/>", dpi=(72, 72))
    assert b"phone" in photo
    assert b"taken at home" in photo

    result = compress_image(photo, CompressionOptions())

    image = decoded(result)
    assert not image.getexif()
    assert {"exif", "comment", "xmp", "icc_profile"}.isdisjoint(image.info)
    assert not any(word in result.data for word in (b"phone", b"home", b"Exif", b"xmpmeta"))


def test_broken_metadata_does_not_spoil_a_good_picture() -> None:
    photo = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*garbage" + bytes(range(200)))

    assert_quarters(decoded(compress_image(photo, CompressionOptions())))


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    assert_quarters(decoded(compress_image(encoded(quarters().convert("CMYK"), "JPEG"), CompressionOptions())))


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_a_palette_becomes_true_colour(format_: str) -> None:
    assert_quarters(decoded(compress_image(encoded(quarters().quantize(8), format_), CompressionOptions())))


def test_16_bit_grey_keeps_its_shades() -> None:
    shades = (0, 0x4000, 0x8000, 0xFFFF)
    row = b"".join(struct.pack(">H", shade) * 8 for shade in shades)

    image = decoded(compress_image(png(32, 16, 0, row, height=16), CompressionOptions()))

    for index, wanted in enumerate((0, 64, 128, 255)):
        assert close(image.getpixel((8 * index + 4, 8)), (wanted,) * 3)


def test_16_bit_colour_keeps_its_colours() -> None:
    row = struct.pack(">3H", 0, 0x8000, 0xFFFF) * 16

    image = decoded(compress_image(png(16, 16, 2, row, height=16), CompressionOptions()))

    assert close(image.getpixel((8, 8)), (0, 128, 255))


@pytest.mark.parametrize(
    ("depth", "colour_type", "pixel", "key"),
    [
        (8, 0, b"\x40", struct.pack(">H", 0x40)),
        (16, 0, b"\x40\x40", b"\x40\x40"),
        (8, 2, b"\x01\x02\x03", struct.pack(">3H", 1, 2, 3)),
        (16, 2, struct.pack(">3H", 0, 0x8000, 0xFFFF), struct.pack(">3H", 0, 0x8000, 0xFFFF)),
    ],
    ids=["8-bit grey", "16-bit grey", "8-bit colour", "16-bit colour"],
)
def test_the_transparent_colour_of_a_png_is_white_paper(depth: int, colour_type: int, pixel: bytes, key: bytes) -> None:
    picture = png(16, depth, colour_type, pixel * 8 + bytes(len(pixel)) * 8, (b"tRNS", key), height=16)

    image = decoded(compress_image(picture, CompressionOptions()))

    assert close(image.getpixel((3, 8)), WHITE)
    assert close(image.getpixel((12, 8)), BLACK)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(mode: str) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 40))
    if mode == "P":
        picture = encoded(image.quantize(8, method=Image.Quantize.FASTOCTREE), "PNG")
    else:
        picture = encoded(image.convert(mode), "PNG")

    result = decoded(compress_image(picture, CompressionOptions(max_size=(60, 60))))

    assert close(corners(result)[0], WHITE)
    assert close(corners(result)[3], BLACK)


def test_a_half_transparent_colour_mixes_with_white() -> None:
    picture = encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 128)), "WEBP", lossless=True)

    assert close(decoded(compress_image(picture, CompressionOptions())).getpixel((8, 8)), (255, 127, 127))


def test_black_and_white_scans_are_read() -> None:
    result = decoded(
        compress_image(encoded(quarters().convert("1", dither=Image.Dither.NONE), "PNG"), CompressionOptions())
    )

    assert close(corners(result)[3], BLACK)


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "MPO"])
def test_an_animation_gives_its_first_frame(format_: str) -> None:
    frames = [ImageOps.invert(quarters()), Image.new("RGB", (120, 80), "yellow")]

    animation = encoded(quarters(), format_, save_all=True, append_images=frames, duration=100)

    assert_quarters(decoded(compress_image(animation, CompressionOptions())))


def swapped_profile() -> bytes:
    """An RGB colour profile in which red means blue and blue means red, by its three primaries."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139)
    xyz = b"XYZ \0\0\0\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, 0x0233, 0)
    tags = [(b"rXYZ", xyz + fixed(*blue)), (b"gXYZ", xyz + fixed(*green)), (b"bXYZ", xyz + fixed(*red))]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    tags += [(b"wtpt", xyz + fixed(0.9642, 1.0, 0.8249)), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    tags += [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(83))]
    table, body, offset = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content
    header = b"\0\0\0\0lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    whole = header.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_colour_profile_is_applied_and_dropped(format_: str) -> None:
    picture = encoded(quarters(), format_, icc_profile=swapped_profile())

    image = decoded(compress_image(picture, CompressionOptions()))

    assert "icc_profile" not in image.info
    for found, wanted in zip(corners(image), (BLUE, GREEN, RED, BLACK), strict=True):
        assert close(found, wanted, tolerance=16), f"{found} is not {wanted}"


@pytest.mark.parametrize("profile", [b"no profile at all", swapped_profile()[:150]])
def test_a_broken_profile_is_left_out(profile: bytes) -> None:
    assert_quarters(decoded(compress_image(encoded(quarters(), "PNG", icc_profile=profile), CompressionOptions())))


def test_a_profile_of_another_colour_model_is_left_out() -> None:
    grey = encoded(Image.new("L", (16, 16), 128), "PNG", icc_profile=swapped_profile())

    assert close(decoded(compress_image(grey, CompressionOptions())).getpixel((8, 8)), (128, 128, 128))


def test_a_small_picture_is_never_enlarged() -> None:
    result = compress_image(encoded(quarters(31, 17), "PNG"), CompressionOptions())

    assert (result.width, result.height) == (31, 17)


@pytest.mark.parametrize("quality", [1, 40, 89, 90, 94, 100])
def test_the_worst_picture_is_encoded_at_any_quality(quality: int) -> None:
    picture = encoded(Image.frombytes("RGB", (200, 200), bytes(range(256)) * 468 + bytes(192)), "PNG")

    assert decoded(compress_image(picture, CompressionOptions(quality=quality))).size == (200, 200)


WHOLE = {format_: encoded(quarters(), format_) for format_ in ("JPEG", "PNG", "GIF", "WEBP")}


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_bytes_are_a_picture_or_refused_with_one_sentence(data: st.DataObject) -> None:
    whole = WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))]
    start = data.draw(st.integers(0, len(whole)))
    hostile = whole[:start] + data.draw(st.binary(max_size=64)) + whole[data.draw(st.integers(start, len(whole))) :]

    try:
        result = compress_image(hostile, CompressionOptions(max_size=(64, 64)))
    except UnreadableImage as error:
        sentence = str(error)
    else:
        sentence = f"Quality {decoded(result) and result.quality}."
    assert re.fullmatch(r"[A-Z][^\n]*\.", sentence)
