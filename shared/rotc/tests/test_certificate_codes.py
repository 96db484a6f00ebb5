"""Verification codes: the same certificate has the same code, nobody without a key makes one, keys can be changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from rotc.certificates import Certificate, code_of, grouped, is_genuine, normal_code, parse_keys
from rotc.errors import WeakCertificateKey

OLD, NEW = b"o" * 32, b"n" * 32
CERTIFICATE = Certificate(1, "Parade", date(2026, 1, 5), "Peña, Ana")


def test_a_certificate_always_has_the_same_code() -> None:
    code = code_of(CERTIFICATE, NEW)

    assert code == code_of(replace(CERTIFICATE), NEW)
    assert len(code) == 20
    assert is_genuine(CERTIFICATE, code, [NEW])


@pytest.mark.parametrize(
    "changed",
    [
        replace(CERTIFICATE, activity_id=2),
        replace(CERTIFICATE, activity_title="Parade!"),
        replace(CERTIFICATE, activity_date=date(2026, 1, 6)),
        replace(CERTIFICATE, cadet_name="Peña, Ana "),
        # The words are the same when run together: what divides them is under the code, too.
        replace(CERTIFICATE, activity_title="Para", cadet_name="dePeña, Ana"),
    ],
)
def test_a_code_stands_for_every_word(changed: Certificate) -> None:
    assert not is_genuine(changed, code_of(CERTIFICATE, NEW), [NEW])


def test_after_a_change_of_keys_old_codes_hold_until_their_key_is_taken_out() -> None:
    code = code_of(CERTIFICATE, OLD)

    assert is_genuine(CERTIFICATE, code, [NEW, OLD])
    assert not is_genuine(CERTIFICATE, code, [NEW])


def test_a_code_is_read_as_people_write_it() -> None:
    code = code_of(CERTIFICATE, NEW)

    assert normal_code(grouped(code)) == code
    assert normal_code(f" {grouped(code).lower()} ") == code
    assert normal_code(code.replace("O", "0").replace("I", "1").replace("B", "8")) == code


@pytest.mark.parametrize("text", ["", "ABC", "A" * 21, "Ä" * 20, "A" * 5000, "\x00" * 20])
def test_what_cannot_be_a_code_is_none(text: str) -> None:
    assert normal_code(text) is None


def test_keys_are_a_list_of_long_secrets() -> None:
    assert parse_keys(f"{'n' * 32}, {'o' * 32},") == (NEW, OLD)
    assert parse_keys("") == ()
    with pytest.raises(WeakCertificateKey, match="CERTIFICATE_KEYS"):
        parse_keys(f"{'n' * 32},short")
