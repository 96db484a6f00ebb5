"""The receiving side of web push: keys of a browser, decryption (RFC 8291), the sender's VAPID proof (RFC 8292).

Written against the RFCs and not with the library that sends, so that an error of that one shows. Stores nothing.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LONGEST_VAPID_SECONDS = 24 * 3600
_SALT, _RECORD_SIZE, _POINT, _TAG = 16, 4, 65, 16
_HEADER = _SALT + _RECORD_SIZE + 1 + _POINT
_CURVE = ec.SECP256R1()


class Unreadable(Exception):
    """A message that no browser could read."""


class Unproved(Exception):
    """A sender that does not prove who it is."""


@dataclass(frozen=True)
class BrowserKeys:
    """What a browser keeps to itself, and what of it it tells."""

    private: int = field(repr=False)
    auth: bytes = field(repr=False)

    @cached_property
    def p256dh(self) -> bytes:
        return _raw(self._key.public_key())

    def told(self) -> dict[str, str]:
        """`keys` of the browser's PushSubscription."""
        return {"p256dh": encode(self.p256dh), "auth": encode(self.auth)}

    def decrypt(self, body: bytes) -> bytes:
        """The plain message of an aes128gcm body. Raises Unreadable."""
        if len(body) < _HEADER + _TAG + 1 or body[_HEADER - _POINT - 1] != _POINT:
            raise Unreadable("the body has no header of aes128gcm with a public key")
        salt, sender = body[:_SALT], body[_HEADER - _POINT : _HEADER]
        record_size = int.from_bytes(body[_SALT : _SALT + _RECORD_SIZE], "big")
        if len(body) - _HEADER > record_size:
            raise Unreadable("the body has more than one record")
        try:
            shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, sender))
            secret = _derive(shared, self.auth, b"WebPush: info\0" + self.p256dh + sender, 32)
            key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
            nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
            padded = AESGCM(key).decrypt(nonce, body[_HEADER:], None).rstrip(b"\0")
        except (ValueError, InvalidTag) as error:
            raise Unreadable("the body was not encrypted for this subscription") from error
        if padded[-1:] != b"\2":
            raise Unreadable("the body has no end mark")
        return padded[:-1]

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self.private, _CURVE)


@dataclass(frozen=True)
class Proof:
    """Who sent a message, as the sender proved it."""

    #: The sender's public key, base64url: what the page subscribed with.
    key: str
    claims: dict[str, Any]


def check_proof(authorization: str, origin: str) -> Proof:
    """The proof in an Authorization header, for a push service at `origin`. Raises Unproved."""
    scheme, _, rest = authorization.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme.lower() != "vapid" or not fields.get("t") or not fields.get("k"):
        raise Unproved("the Authorization header is no `vapid t=..., k=...`")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, decode(fields["k"]))
        claims = jwt.decode(
            fields["t"], key, algorithms=["ES256"], audience=origin, options={"require": ["aud", "exp", "sub"]}
        )
    except (ValueError, jwt.InvalidTokenError) as error:
        raise Unproved(f"the VAPID token is not valid: {error}") from error
    if claims["exp"] > time.time() + LONGEST_VAPID_SECONDS:
        raise Unproved("the VAPID token is valid for more than 24 hours")
    if not str(claims["sub"]).startswith(("mailto:", "https:")):
        raise Unproved("sub is no mailto: or https: address")
    return Proof(encode(_raw(key)), claims)


def encode(data: bytes) -> str:
    """base64url without padding, as the Push API writes it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _raw(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
