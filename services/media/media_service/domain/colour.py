"""Every pixel format to plain sRGB on white. Decodes and encodes nothing."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
#: Pillow cuts 16-bit grey off at 255 when asked for 8 bits: the high byte is what we want.
_HIGH_BYTE = [value >> 8 for value in range(65536)]
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})


def to_plain_mode(image: Image.Image) -> Image.Image:
    """Grey, RGB (both with or without alpha) or CMYK in 8 bits: what can be resized without false colours."""
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    transparent = image.info.get("transparency")
    if image.mode in {"P", "PA"}:
        return image.convert("RGB" if image.mode == "P" and transparent is None else "RGBA")
    if transparent is not None and image.mode in {"1", "L", "RGB"}:
        image.info["transparency"] = _colour_key(transparent)
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    return image if image.mode in _PLAIN else image.convert("L" if image.mode == "1" else "RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    wide = image.convert("I")
    grey = wide.point(_HIGH_BYTE, "L")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        opaque = [0 if value == transparent else 255 for value in range(65536)]
        grey.putalpha(wide.point(opaque, "L"))
    return grey


def _colour_key(transparent: object) -> object:
    """The key of a 16-bit RGB picture has 16-bit values, the pixels that Pillow gives have 8."""
    if isinstance(transparent, tuple) and any(value > 255 for value in transparent):
        return tuple(value >> 8 for value in transparent)
    return transparent


def on_white(image: Image.Image) -> Image.Image:
    """The picture without its alpha channel, as it looks on white paper."""
    if image.mode not in {"LA", "RGBA"}:
        return image
    opaque = image.convert(image.mode[:-1])
    paper = Image.new(opaque.mode, image.size, "white")
    paper.paste(opaque, mask=image.getchannel("A"))
    return paper


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB as browsers show it without a profile; one that is broken or of another colour model is left out."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            return image.convert("RGB")
        if converted is not None:
            return converted
    return image.convert("RGB")
