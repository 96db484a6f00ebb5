"""Which keys are points of the curve, and which VAPID key is nobody's any more."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rotc import web_push
from rotc.errors import UnusableVapidKey
from rotc.web_push import Subscription, check_vapid_public_key, decode, encode, is_point


def point() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def test_points_of_the_curve_are_told_from_other_bytes() -> None:
    good = point()
    moved = good[:-1] + bytes([good[-1] ^ 1])

    assert is_point(good)
    assert not any(is_point(bad) for bad in (moved, good[1:], b"\x02" + good[1:], b"\4" + bytes(64), b""))


def test_keys_are_read_with_and_without_padding_and_nothing_else_is() -> None:
    data = b"0123456789abcdef"

    assert decode(encode(data)) == decode(encode(data) + "==") == data
    assert [decode(text) for text in ("", "a b", "+/", "MDEy\n", "a")] == [b""] * 5


def test_a_key_whose_private_half_is_published_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    published = point()
    monkeypatch.setattr(web_push, "_COMPROMISED", {hashlib.sha256(published).hexdigest()})

    with pytest.raises(UnusableVapidKey, match="private half is published"):
        check_vapid_public_key(encode(published))


def test_a_subscription_shows_nothing_of_itself() -> None:
    shown = repr(Subscription("https://push.example/secret", "key-of-it", "auth-of-it"))

    assert not any(word in shown for word in ("secret", "key-of-it", "auth-of-it"))
