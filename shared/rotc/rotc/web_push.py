"""What a browser's push subscription and a VAPID key have to be. Pure: nothing is stored, sent or signed here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from muster.adapters.fetching import FetchRefused, FetchRules, check_url

from rotc.errors import InvalidSubscription, UnusableVapidKey

#: The push services behind the browsers there are: Chrome and its kin, Firefox, Edge, Safari.
PUSH_HOSTS = "fcm.googleapis.com,.push.services.mozilla.com,.notify.windows.com,.push.apple.com"
LONGEST_ENDPOINT = 2048
POINT_BYTES, AUTH_BYTES = 65, 16

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
# The curve P-256: y² = x³ - 3x + b (mod p).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
#: SHA-256 of public keys whose private halves anybody can read: the grading system's former pair, in its old history.
_COMPROMISED = frozenset({"ecf153eedc9a3927b8af607ea8fae98fa33e0b42fdebf4efa5d979bfcdb2dd89"})


@dataclass(frozen=True)
class Subscription:
    """Where a browser can be reached, and the keys only it can read with: none of it belongs into a log."""

    endpoint: str = field(repr=False)
    #: The browser's public key and the secret it shared, base64url.
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


def check_subscription(subscription: Subscription, rules: FetchRules) -> str:
    """The address to connect to, as the check understood it; `rules` say which hosts are push services.

    Raises InvalidSubscription, which names the field.
    """
    address = _checked_endpoint(subscription.endpoint, rules)
    if not is_point(decode(subscription.p256dh)):
        raise InvalidSubscription("keys.p256dh", "is no public key of the curve P-256: 65 bytes, base64url")
    if len(decode(subscription.auth)) != AUTH_BYTES:
        raise InvalidSubscription("keys.auth", f"has to be {AUTH_BYTES} bytes, base64url")
    return address


def _checked_endpoint(endpoint: str, rules: FetchRules) -> str:
    """Raises InvalidSubscription: the address is not one of a push service; what it is, is not repeated."""
    if not endpoint or len(endpoint) > LONGEST_ENDPOINT or not endpoint.isprintable() or " " in endpoint:
        raise InvalidSubscription("endpoint", f"has to be an address of at most {LONGEST_ENDPOINT} characters")
    try:
        return str(check_url(endpoint, rules))
    except FetchRefused:
        reason = "has to be the https:// address of a push service that is allowed here (PUSH_HOSTS)"
        raise InvalidSubscription("endpoint", reason) from None


def decode(text: str) -> bytes:
    """base64url with or without padding; empty for anything else."""
    if not _BASE64URL.fullmatch(text):
        return b""
    plain = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def encode(data: bytes) -> str:
    """base64url without padding, as browsers write keys."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def is_point(data: bytes) -> bool:
    """Whether these bytes are an uncompressed point of P-256; keys off the curve can draw secrets out of others."""
    if len(data) != POINT_BYTES or data[0] != 4:
        return False
    x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    return x < _P and y < _P and (y * y - x * x * x + 3 * x - _B) % _P == 0


def check_vapid_public_key(text: str) -> bytes:
    """The bytes of a VAPID public key as browsers take it (applicationServerKey).

    Raises UnusableVapidKey: it is none, or its private half is public.
    """
    data = decode(text)
    if not is_point(data):
        raise UnusableVapidKey("VAPID_PUBLIC_KEY is no public key of the curve P-256: 65 bytes, base64url")
    if hashlib.sha256(data).hexdigest() in _COMPROMISED:
        raise UnusableVapidKey(
            "VAPID_PUBLIC_KEY is the grading system's former key, whose private half is published: anybody could "
            "push in your name; make a new pair with `python -m notify_service vapid`"
        )
    return data
