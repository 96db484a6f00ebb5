"""Verification codes of certificates: made from what a certificate says and a key. Pure; rows are issued_certificates'.

A code is 100 bits of HMAC-SHA-256 over the certificate's own words, written as four groups of five letters. The same
certificate always has the same code, and nobody without a key can make one. What a code stands for is looked up by the
code and then proved with it, so that a row that was changed in the database is not believed either.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from rotc.errors import WeakCertificateKey

SHORTEST_KEY = 32
_LETTERS, _GROUP = 20, 5
#: Base32 has no 0, 1 or 8; who types them means these.
_MISREAD = str.maketrans("018", "OIB")
_CODE = re.compile(rf"[A-Z2-7]{{{_LETTERS}}}")
_PURPOSE = b"rotc certificate v1\n"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; all of it is under the code."""

    activity_id: int
    activity_title: str
    activity_date: date
    cadet_name: str


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Keys from one setting, separated by commas: the first makes codes, all of them prove them.

    Raises: WeakCertificateKey.
    """
    keys = tuple(part.strip().encode() for part in text.split(",") if part.strip())
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise WeakCertificateKey(SHORTEST_KEY)
    return keys


def code_of(certificate: Certificate, key: bytes) -> str:
    """Twenty letters and digits; `grouped` makes them readable."""
    said = (
        certificate.activity_id,
        certificate.activity_title,
        certificate.activity_date.isoformat(),
        certificate.cadet_name,
    )
    mac = hmac.digest(key, _PURPOSE + msgspec.json.encode(said), "sha256")
    return base64.b32encode(mac).decode()[:_LETTERS]


def is_genuine(certificate: Certificate, code: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys gives this certificate this code."""
    return any([hmac.compare_digest(code_of(certificate, key), code) for key in keys])


def grouped(code: str) -> str:
    """As it is printed: ABCDE-FGHIJ-KLMNO-PQRST."""
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def normal_code(text: str) -> str | None:
    """The code as it is stored, from what a person typed; None when it cannot be one."""
    if len(text) > 2 * _LETTERS:
        return None
    plain = re.sub(r"[\s-]", "", text).upper().translate(_MISREAD)
    return plain if _CODE.fullmatch(plain) else None
