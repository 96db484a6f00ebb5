"""Draws portraits of invented cadets, to upload as samples. No photo of anybody is used, and none is stored here."""

from collections.abc import Callable
from io import BytesIO
from random import Random

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
#: Draws with coordinates in thousandths of the picture's width, so that a portrait looks alike at every size.
Scaled = Callable[..., tuple[float, ...]]

SKINS: tuple[Colour, ...] = ((236, 198, 160), (222, 178, 138), (201, 152, 112), (176, 126, 90), (150, 104, 72))
BACKGROUNDS: tuple[Colour, ...] = ((214, 226, 238), (236, 236, 232), (196, 214, 204), (232, 220, 200), (170, 190, 214))
OLIVES: tuple[Colour, ...] = ((86, 96, 58), (94, 104, 68), (78, 88, 52))
HAIR: Colour = (32, 26, 24)

DEFAULT_SIZE = (1200, 1600)
GRAIN = 0.05  # as much noise as a phone in daylight: without it a JPEG would be unnaturally small


def portrait(seed: int, number: int, size: tuple[int, int] = DEFAULT_SIZE) -> Image.Image:
    """The portrait of one cadet, RGB, of this width and height in pixels; the same arguments draw the same picture."""
    chance = Random(f"{seed}/photo/{number}")  # noqa: S311 -- a drawing, nothing secret
    image = _backdrop(chance.choice(BACKGROUNDS), size)
    draw = ImageDraw.Draw(image)
    unit = size[0] / 1000

    def scaled(*thousandths: float) -> tuple[float, ...]:
        return tuple(value * unit for value in thousandths)

    olive, skin = chance.choice(OLIVES), chance.choice(SKINS)
    _body(draw, scaled, olive, skin, number)
    _head(draw, scaled, skin, chance)
    _cap(draw, scaled, olive)
    return _grainy(image.filter(ImageFilter.GaussianBlur(unit)), chance)


def portrait_jpeg(seed: int, number: int, size: tuple[int, int] = DEFAULT_SIZE, quality: int = 95) -> bytes:
    """The same as the bytes of a JPEG file; its compression may differ between versions of Pillow."""
    out = BytesIO()
    portrait(seed, number, size).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _darker(colour: Colour, share: float) -> Colour:
    red, green, blue = (int(channel * (1 - share)) for channel in colour)
    return red, green, blue


def _backdrop(colour: Colour, size: tuple[int, int]) -> Image.Image:
    """A wall, lit from above."""
    shade = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, _darker(colour, 0.35)), Image.new("RGB", size, colour), shade)


def _body(draw: ImageDraw.ImageDraw, scaled: Scaled, olive: Colour, skin: Colour, number: int) -> None:
    draw.rounded_rectangle(scaled(110, 960, 890, 1900), radius=scaled(190)[0], fill=olive)
    draw.polygon(scaled(400, 780, 600, 780, 620, 1010, 500, 1100, 380, 1010), fill=_darker(skin, 0.12))
    draw.polygon(scaled(375, 940, 500, 1120, 400, 1190, 310, 970), fill=_darker(olive, 0.2))
    draw.polygon(scaled(625, 940, 500, 1120, 600, 1190, 690, 970), fill=_darker(olive, 0.2))
    draw.line(scaled(500, 1120, 500, 1900), fill=_darker(olive, 0.3), width=max(1, int(scaled(8)[0])))
    for left in (210, 570):
        draw.rectangle(scaled(left, 1210, left + 220, 1262), fill=(28, 30, 22))
    size, above = max(1.0, scaled(40)[0]), scaled(1212)[0]
    draw.text((scaled(232)[0], above), f"CDT {number:03d}", fill=(226, 212, 140), font_size=size)
    draw.text((scaled(622)[0], above), "ROTC", fill=(226, 212, 140), font_size=size)


def _head(draw: ImageDraw.ImageDraw, scaled: Scaled, skin: Colour, chance: Random) -> None:
    width, length = chance.randint(172, 200), chance.randint(850, 885)
    if chance.random() < 0.45:  # long hair, tied behind
        draw.ellipse(scaled(500 - width - 34, 380, 500 + width + 34, 860), fill=HAIR)
    draw.ellipse(scaled(500 - width - 24, 590, 500 - width + 26, 700), fill=_darker(skin, 0.1))
    draw.ellipse(scaled(500 + width - 26, 590, 500 + width + 24, 700), fill=_darker(skin, 0.1))
    draw.ellipse(scaled(500 - width, 370, 500 + width, length), fill=skin)
    gap, smile = chance.randint(74, 90), chance.randint(8, 34)
    for middle in (500 - gap, 500 + gap):
        draw.ellipse(scaled(middle - 30, 604, middle + 30, 636), fill=(246, 244, 240))
        draw.ellipse(scaled(middle - 14, 604, middle + 14, 634), fill=(44, 30, 22))
        draw.line(scaled(middle - 38, 568, middle + 38, 568), fill=HAIR, width=max(1, int(scaled(13)[0])))
    draw.polygon(scaled(500, 630, 474, 716, 526, 716), fill=_darker(skin, 0.12))
    draw.chord(scaled(436, 752 - smile, 564, 772 + smile), 10, 170, fill=(160, 72, 66))


def _cap(draw: ImageDraw.ImageDraw, scaled: Scaled, olive: Colour) -> None:
    draw.chord(scaled(282, 250, 718, 740), 180, 360, fill=olive)
    draw.rectangle(scaled(284, 462, 716, 512), fill=_darker(olive, 0.2))
    draw.ellipse(scaled(296, 486, 704, 556), fill=_darker(olive, 0.4))
    draw.regular_polygon((*scaled(500, 400), scaled(42)[0]), 3, fill=(214, 178, 60))


def _grainy(image: Image.Image, chance: Random) -> Image.Image:
    half = (max(1, image.width // 2), max(1, image.height // 2))
    grain = Image.frombytes("L", half, chance.randbytes(half[0] * half[1])).resize(image.size)
    return Image.blend(image, Image.merge("RGB", (grain, grain, grain)), GRAIN)
