"""The VAPID key pair: made, checked, and used to prove to push services who sends. Sends nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from rotc.errors import UnusableVapidKey
from rotc.web_push import check_vapid_public_key, decode, encode

_PRIVATE_BYTES = 32
#: Push services take at most 24 hours; a proof is used for an hour.
_VALID_SECONDS, _USED_SECONDS = 12 * 3600, 3600
_MOST_ORIGINS = 1000


@dataclass(frozen=True)
class KeyPair:
    """Both halves, base64url, as browsers and the backend's settings have them."""

    public: str
    private: str = field(repr=False)


def new_pair() -> KeyPair:
    """A pair that nobody has."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_numbers().private_value.to_bytes(_PRIVATE_BYTES, "big")
    return KeyPair(encode(_public(key)), encode(private))


def check_pair(pair: KeyPair, subject: str) -> None:
    """Raises UnusableVapidKey: the halves do not fit, anybody may have them, or nobody could be asked about a push."""
    public, private = check_vapid_public_key(pair.public), decode(pair.private)
    if len(private) != _PRIVATE_BYTES:
        raise UnusableVapidKey(f"VAPID_PRIVATE_KEY has to be {_PRIVATE_BYTES} bytes, base64url")
    try:
        key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
    except ValueError:
        raise UnusableVapidKey("VAPID_PRIVATE_KEY is no private key of the curve P-256") from None
    if _public(key) != public:
        raise UnusableVapidKey("VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are halves of different pairs")
    if not (subject.startswith("https://") or (subject.startswith("mailto:") and "@" in subject)):
        raise UnusableVapidKey("VAPID_SUBJECT has to say whom push services may ask: mailto:somebody@example.org")


class Proofs:
    """Authorization headers, one per push service and hour: signing each push anew would cost a third of its time."""

    def __init__(self, pair: KeyPair, subject: str, *, now: Callable[[], float] = time.time) -> None:
        check_pair(pair, subject)
        self._signer = Vapid02.from_raw(pair.private.rstrip("=").encode())
        self._subject, self._now = subject, now
        self._kept: dict[str, tuple[float, str]] = {}

    def header(self, origin: str) -> str:
        """For a push service at `origin`, such as https://push.example."""
        now = self._now()
        until, header = self._kept.get(origin, (0.0, ""))
        if now < until:
            return header
        # Claims of its own for each: the signer adds to what it is given, and a wrong audience is refused.
        claims = {"sub": self._subject, "aud": origin, "exp": int(now) + _VALID_SECONDS}
        header = str(self._signer.sign(claims)["Authorization"])
        if len(self._kept) >= _MOST_ORIGINS:
            self._kept.clear()
        self._kept[origin] = (now + _USED_SECONDS, header)
        return header


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
