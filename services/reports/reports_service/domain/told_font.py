"""reportlab's TrueType font, which also tells readers what its private characters stand for. Chooses no glyphs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reportlab.pdfbase.ttfonts import SUBSETN, TTFont

#: PDF readers need not take more at a time.
_MOST_ENTRIES = 100


class ToldFont(TTFont):  # type: ignore[misc]  # reportlab has no types
    """A font whose part in a file says which text each of its characters is, also several and those beyond U+FFFF."""

    def __init__(self, name: str, data: bytes, meanings: Mapping[int, str]) -> None:
        super().__init__(name, io.BytesIO(data), shapable=False)
        #: Text by character; other characters stand for themselves.
        self._meanings = meanings

    def addObjects(self, doc: Any) -> None:
        subsets = [list(subset) for subset in self.state[doc].subsets] if doc in self.state else []
        super().addObjects(doc)
        for number, subset in enumerate(subsets):
            name = b"".join((SUBSETN(number), b"+", self.face.name, self.face.subfontNameX)).decode("pdfdoc")
            texts = [self._meanings.get(code) or chr(code) for code in subset]
            # reportlab writes its own with one character each, and in a way that fails beyond U+FFFF.
            doc.idToObject[f"toUnicodeCMap:{name}"].content = to_unicode_map(name, texts)


def to_unicode_map(name: str, texts: Sequence[str]) -> str:
    """The text of each code from 0 on, as PDF wants it (ISO 32000-1, 9.10.3)."""
    return "\n".join(
        [
            "/CIDInit /ProcSet findresource begin",
            "12 dict begin",
            "begincmap",
            f"/CIDSystemInfo << /Registry ({name}) /Ordering ({name}) /Supplement 0 >> def",
            f"/CMapName /{name} def",
            "/CMapType 2 def",
            "1 begincodespacerange",
            f"<00> <{len(texts) - 1:02X}>",
            "endcodespacerange",
            *_blocks([f"<{code:02X}> <{_hex(text)}>" for code, text in enumerate(texts)]),
            "endcmap",
            "CMapName currentdict /CMap defineresource pop",
            "end",
            "end",
        ]
    )


def _blocks(entries: Sequence[str]) -> Iterator[str]:
    for first in range(0, len(entries), _MOST_ENTRIES):
        block = entries[first : first + _MOST_ENTRIES]
        yield "\n".join([f"{len(block)} beginbfchar", *block, "endbfchar"])


def _hex(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").hex().upper()
