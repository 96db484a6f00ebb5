"""Links by which a person stops mails without signing in: a token names the account and is signed. Pure.

A token has no end: whoever finds an old mail must still be able to stop them. All it can do is to turn `email_alerts`
off for the account it names.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence

from rotc.errors import WeakUnsubscribeKey
from rotc.people import LARGEST_ID

SHORTEST_KEY = 32
#: Below where people reach the API.
PATH = "/api/notifications/unsubscribe-mail"
_MAC_BYTES = 16
_TOKEN = re.compile(r"(?P<user>[1-9][0-9]{0,9})\.(?P<mac>[A-Za-z0-9_-]{22})")
_PURPOSE = b"rotc unsubscribe from mail v1\n"


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Keys from one setting, separated by commas: the first signs, all are accepted.

    Raises: WeakUnsubscribeKey.
    """
    keys = tuple(part.strip().encode() for part in text.split(",") if part.strip())
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise WeakUnsubscribeKey(SHORTEST_KEY)
    return keys


def token_of(user_id: int, key: bytes) -> str:
    """What stands in the links of this users.id."""
    mac = hmac.digest(key, _PURPOSE + str(user_id).encode(), "sha256")[:_MAC_BYTES]
    return f"{user_id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def link_of(public_url: str, user_id: int, key: bytes) -> str:
    """The link for a mail to this users.id; `public_url`: where people reach the API."""
    return f"{public_url.rstrip('/')}{PATH}?token={token_of(user_id, key)}"


def user_of(token: str, keys: Sequence[bytes]) -> int | None:
    """The users.id a token was made for with one of the keys; None when it was not."""
    found = _TOKEN.fullmatch(token)
    if found is None or (user_id := int(found["user"])) > LARGEST_ID:
        return None
    return user_id if any([hmac.compare_digest(token_of(user_id, key), token) for key in keys]) else None
