"""Which encoding a CSV file has: what its first bytes say, UTF-8, or Windows-1252 as Excel saves it. No other guess."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

from import_service.domain.file_refusals import DamagedFile, UnsupportedFile

#: Longest first: the mark of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CHUNK = 1 << 16
_SAMPLE = 4096


def encoding_of(data: bytes) -> str:
    """The encoding in which all of the bytes can be read.

    Raises: DamagedFile, UnsupportedFile.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            if _reads(data, name):
                return name
            raise DamagedFile("The text of the file is cut off or damaged: save it again as CSV UTF-8.")
    wide = _wide(data[:_SAMPLE])
    if wide:
        if _reads(data, wide):
            return wide
        raise UnsupportedFile("The file is not text: send CSV or an Excel workbook (.xlsx).")
    for name in ("utf-8", "cp1252"):
        if _reads(data, name):
            return name
    raise UnsupportedFile("The encoding of the file is not known: save it as CSV UTF-8.")


def _wide(sample: bytes) -> str | None:
    """Latin text in UTF-16 without a mark has a zero in every second byte, and only there."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.05 * half:
        return "utf-16-be"
    # A few zeros are a broken export, and a matter of their rows; a third of them is no text.
    if even + odd > len(sample) // 3:
        raise UnsupportedFile("The file is not text: send CSV or an Excel workbook (.xlsx).")
    return None


def _reads(data: bytes, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def opened(data: bytes, encoding: str) -> TextIO:
    """The text, decoded as it is read; line ends are left to the CSV reader, since quoted cells may hold them."""
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")
