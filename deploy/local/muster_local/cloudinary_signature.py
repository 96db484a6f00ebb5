"""Cloudinary's signatures: of requests, checked, and of answers, made. Pure: no HTTP, no clock, no secret store."""

import hashlib
import hmac
from collections.abc import Mapping

# Parts of a request that its sender does not sign.
_UNSIGNED = frozenset({"file", "cloud_name", "resource_type", "api_key", "signature"})
_ALGORITHMS = {40: hashlib.sha1, 64: hashlib.sha256}


def string_to_sign(parameters: Mapping[str, str], *, escaped: bool) -> str:
    """Sorted `name=value` pairs; `escaped` is signature version 2, where a value cannot smuggle in a parameter."""
    pairs = (f"{name}={value}" for name, value in parameters.items() if name not in _UNSIGNED and value)
    return "&".join(sorted(pair.replace("&", "%26") if escaped else pair for pair in pairs))


def is_signed(parameters: Mapping[str, str], secret: str) -> bool:
    """Whether `signature` belongs to these parameters, by SHA-1 or SHA-256, signature version 1 or 2."""
    given = parameters.get("signature", "").lower()
    return any(
        hmac.compare_digest(given.encode(), _digest(string_to_sign(parameters, escaped=escaped), secret, len(given)))
        for escaped in (True, False)
    )


def sign_answer(public_id: str, version: int, secret: str) -> str:
    """The signature by which a client recognises an answer of ours."""
    parameters = {"public_id": public_id, "version": str(version)}
    return _digest(string_to_sign(parameters, escaped=False), secret, 40).decode()


def _digest(text: str, secret: str, length: int) -> bytes:
    algorithm = _ALGORITHMS.get(length, hashlib.sha256)
    return algorithm((text + secret).encode()).hexdigest().encode()
