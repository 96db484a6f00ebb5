"""Names of any script as glyphs: which font, joined and stacked how, broken where. Pages are elsewhere."""

from __future__ import annotations

import pytest
from reports_service.domain.families import FAMILIES, REPLACEMENT
from reports_service.domain.pieces import COMMON, GAP, begins_cluster, pieces_of
from reports_service.domain.told_font import to_unicode_map
from reports_service.domain.typefaces import REGULAR, faces
from reports_service.domain.typesetting import Line, Typesetter, characters_of


def line_of(text: str) -> Line:
    with faces(characters_of([text])) as made:
        return Typesetter(made).line(text, False)


def fonts_of(text: str) -> list[str]:
    names = {COMMON: "common", GAP: "gap"}
    return [names.get(piece.family) or FAMILIES[piece.family].beginning.rstrip("[") for piece in pieces_of(text)]


@pytest.mark.parametrize(
    ("text", "fonts"),
    [
        ("Peña, Ana", ["common"]),
        ("Ana 李", ["common", "NotoSansSC"]),
        ("ไทย हिन्दी", ["NotoSansThai", "common", "NotoSansDevanagari"]),
        ("ខ្មែរ", ["NotoSansKhmer"]),
        ("😀👍🏽", ["NotoEmoji"]),
        ("ᜊ", ["gap"]),
        ("\u200e\ufe0f", ["common"]),
    ],
)
def test_each_script_has_its_own_font(text: str, fonts: list[str]) -> None:
    assert fonts_of(text) == fonts


@pytest.mark.parametrize(
    ("text", "glyphs"),
    [("क्ष", 1), ("ក្ក", 2), ("👩‍👩‍👧", 1), ("🇵🇭", 1), ("❤️‍🔥", 1), ("👍🏽", 1)],
    ids=["a conjunct", "a letter below", "a family", "a flag", "a heart on fire", "a tone of skin"],
)
def test_letters_that_belong_together_become_one_glyph(text: str, glyphs: int) -> None:
    [run] = line_of(text).runs

    assert len(run.characters) == glyphs


def test_a_reader_is_told_the_text_where_the_glyphs_do_not_tell_it() -> None:
    texts = ["ที่", "محمد", "😀👩‍👩‍👧", "👍🏽"]

    assert [run.meant for text in texts for run in line_of(text).runs] == ["ที่", "محمد", "", ""]


def test_a_glyph_that_stood_for_something_else_does_not_tell_the_text() -> None:
    with faces(characters_of(["👍🏽👍"])) as made:
        first, second = (Typesetter(made).line(text, False).runs[0] for text in ("👍🏽", "👍"))

    assert first.characters == second.characters, "in outlines, skin has no colour"
    assert (first.meant, second.meant) == ("", "👍")


def test_the_map_of_texts_takes_several_characters_and_those_beyond_the_first_plane() -> None:
    told = to_unicode_map("Name", ["a", "😀", "क्ष"])

    assert "3 beginbfchar\n<00> <0061>\n<01> <D83DDE00>\n<02> <0915094D0937>\nendbfchar" in told


def test_a_vowel_sign_stands_before_the_letter_it_follows() -> None:
    """U+093F is written after its consonant and drawn before it; the consonant is then the second glyph."""
    [sign_first], [alone] = line_of("कि").runs, line_of("क").runs
    with faces(characters_of(["कि"])) as made:
        shaper = made.face(next(piece.family for piece in pieces_of("कि")), REGULAR, "कि").shaper
        assert shaper is not None
        consonant = shaper.shape("क", from_right=False).characters

    assert len(alone.characters) == 1
    assert sign_first.characters[-1] == consonant


def test_a_tone_mark_is_lifted_above_the_vowel_below_it() -> None:
    [run] = line_of("ที่").runs

    assert run.places is not None
    assert len(run.places) == 3
    assert sum(place.onward for place in run.places) == pytest.approx(0, abs=0.01), "marks do not move the pen"


def test_a_word_from_the_right_is_joined_and_numbers_in_it_stay_in_order() -> None:
    joined, apart = line_of("سلمان"), [line_of(letter) for letter in "سلمان"]

    assert set(joined.runs[0].characters).isdisjoint(apart[1].runs[0].characters), "joined forms are other glyphs"
    assert [piece.text for piece in pieces_of("سلمان محمد")] == ["محمد", " ", "سلمان"]


def test_a_gap_is_drawn_as_such_and_keeps_its_text() -> None:
    [_, gap] = line_of("Ana ᜊᜌ").runs

    assert (gap.characters, gap.meant) == (REPLACEMENT * 2, "ᜊᜌ")


def test_a_text_without_spaces_is_broken_between_letters_and_never_before_a_mark() -> None:
    text = "ที่น้ำ" * 20
    with faces(characters_of([text])) as made:
        lines = Typesetter(made).wrap(text, 60, 10)

    assert len(lines) > 3
    assert "".join(line.text for line in lines) == text
    starts = [sum(len(line.text) for line in lines[:number]) for number in range(1, len(lines))]
    assert all(begins_cluster(text, place) for place in starts)
    assert not begins_cluster("👍🏽", 1)
    assert not begins_cluster("👩‍👧", 2)
