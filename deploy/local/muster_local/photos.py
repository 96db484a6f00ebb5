"""Twelve photos of different kinds, drawn at random, so that the repository holds no one's face. Sends nothing."""

import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

_GPS_IFD = 0x8825
_ORIENTATION = 0x0112
_Draw = Callable[[random.Random], bytes]


@dataclass(frozen=True)
class Photo:
    """One photo as a phone or a scanner would hand it over."""

    kind: str
    data: bytes = field(repr=False)
    #: Width and height as a person sees it, EXIF orientation applied.
    upright: tuple[int, int]


def draw_photos(seed: int | None = None) -> list[Photo]:
    """All kinds, in the order of `KINDS`; the same seed gives the same photos."""
    rng = random.Random(seed)  # noqa: S311 - pictures, not secrets
    return [Photo(kind, draw(rng), size) for kind, (size, draw) in KINDS.items()]


def portrait(rng: random.Random, width: int, height: int) -> Image.Image:
    """A person before a sky: gradient, head and shoulders, grain like a camera's."""
    # Drawn small and enlarged: 24 megapixels take a fifth of a second instead of ten.
    scale = max(1, math.ceil(max(width, height) / 1500))
    small = (max(1, width // scale), max(1, height // scale))
    picture = _sky(rng, *small)
    _person(rng, picture)
    grain = Image.frombytes("L", small, rng.randbytes(small[0] * small[1])).convert("RGB")
    return Image.blend(picture, grain, rng.uniform(0.03, 0.06)).resize((width, height), Image.Resampling.BICUBIC)


def _sky(rng: random.Random, width: int, height: int) -> Image.Image:
    top, bottom = ([rng.randint(60, 255) for _ in range(3)] for _ in range(2))
    picture = Image.linear_gradient("L").resize((width, height))
    channels = [
        picture.point([round(a + (b - a) * v / 255) for v in range(256)]) for a, b in zip(top, bottom, strict=True)
    ]
    return Image.merge("RGB", channels)


def _person(rng: random.Random, picture: Image.Image) -> None:
    width, height = picture.size
    size = min(width, height)
    draw, x, y = ImageDraw.Draw(picture), width / 2, height * 0.45
    skin = rng.choice([(141, 85, 36), (198, 134, 66), (224, 172, 105), (241, 194, 125), (255, 219, 172)])
    uniform = rng.choice([(60, 72, 50), (34, 49, 63), (90, 80, 60)])
    draw.ellipse((x - size * 0.38, y + size * 0.2, x + size * 0.38, y + size * 1.0), fill=uniform)
    draw.ellipse((x - size * 0.16, y - size * 0.2, x + size * 0.16, y + size * 0.24), fill=skin)
    draw.rectangle((x - size * 0.18, y - size * 0.22, x + size * 0.18, y - size * 0.1), fill=uniform)
    for side in (-1, 1):
        eye = x + side * size * 0.06
        draw.ellipse((eye - size * 0.015, y - size * 0.03, eye + size * 0.015, y), fill=(20, 20, 20))
    picture.paste(picture.filter(ImageFilter.SMOOTH))


def _save(picture: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def _jpeg(width: int, height: int, mode: str = "RGB", exif: Callable[[], Image.Exif] | None = None) -> _Draw:
    def draw(rng: random.Random) -> bytes:
        options: dict[str, Any] = {"exif": exif()} if exif else {}
        return _save(portrait(rng, width, height).convert(mode), "JPEG", quality=93, **options)

    return draw


def _jpeg_turned(rng: random.Random) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # the camera was held upright: whoever shows the picture must turn it clockwise
    return _save(portrait(rng, 1200, 1600).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=93, exif=exif)


def _with_position() -> Image.Exif:
    exif = Image.Exif()
    # Rizal Park, Manila: what a phone tells about its owner without asking.
    exif[_GPS_IFD] = {1: "N", 2: (14.0, 34.0, 57.0), 3: "E", 4: (120.0, 58.0, 43.0)}
    return exif


def _png_16_bit(rng: random.Random) -> bytes:
    grey = portrait(rng, 900, 1200).convert("L")
    samples = bytearray(2 * 900 * 1200)
    samples[1::2] = grey.tobytes()
    samples[0::2] = rng.randbytes(900 * 1200)
    return _save(Image.frombytes("I;16", grey.size, bytes(samples)), "PNG")


def _png_transparent(rng: random.Random) -> bytes:
    picture = portrait(rng, 1000, 1000)
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse((60, 60, 940, 940), fill=255)
    picture.putalpha(mask)
    return _save(picture, "PNG")


def _png_palette(rng: random.Random) -> bytes:
    return _save(portrait(rng, 800, 1000).quantize(64), "PNG")


def _webp(rng: random.Random) -> bytes:
    return _save(portrait(rng, 1600, 1200), "WEBP", quality=90)


def _gif(rng: random.Random) -> bytes:
    still = portrait(rng, 480, 480)
    frames = [still.rotate(4 * turn).quantize(128) for turn in range(6)]
    return _save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=90, loop=0)


def _icon(rng: random.Random) -> bytes:
    return _save(portrait(rng, 16, 16), "PNG")


#: What is drawn: the size a person sees, and how it is drawn.
KINDS: dict[str, tuple[tuple[int, int], _Draw]] = {
    "JPEG turned by EXIF": ((1200, 1600), _jpeg_turned),
    "JPEG with GPS position": ((1280, 960), _jpeg(1280, 960, exif=_with_position)),
    "JPEG, CMYK": ((1000, 1400), _jpeg(1000, 1400, "CMYK")),
    "JPEG, greyscale": ((900, 1200), _jpeg(900, 1200, "L")),
    "JPEG, 24 megapixels": ((6000, 4000), _jpeg(6000, 4000)),
    "JPEG, wide panorama": ((6000, 600), _jpeg(6000, 600)),
    "PNG, 16 bit": ((900, 1200), _png_16_bit),
    "PNG, transparent": ((1000, 1000), _png_transparent),
    "PNG, palette": ((800, 1000), _png_palette),
    "PNG, tiny icon": ((16, 16), _icon),
    "WebP": ((1600, 1200), _webp),
    "GIF, animated": ((480, 480), _gif),
}
