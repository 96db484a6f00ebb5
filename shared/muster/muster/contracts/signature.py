"""Who vouches for a record: HMAC-SHA256 over everything in it that decides what happens. Pure.

Signing and checking every record that passes is adapters/signed.py's; what it is good for stands in docs/security.md.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from muster.contracts.topics import DELAYS, Topics

#: Vouches for a record of ours: `v1:<key id>:<64 hexadecimal digits>`.
SIGNATURE = "task-signature"
#: Vouches for a dead letter; what it holds of the original is left as it was, its signature too.
LETTER_SIGNATURE = "dl-signature"
#: Why a record is not to be believed. Set by who checked it, never written to Kafka; parse_task refuses what has it.
REFUSAL = "task-unauthenticated"
#: Headers that are covered. The others (`traceparent`, what a proxy or a producer adds) decide nothing and may change.
COVERED = ("ce_", "task-", "content-", "dl-")
SHORTEST_KEY_BYTES = 32

_TASK, _FACT = b"muster-task-v1", b"muster-fact-v1"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_VALUE = re.compile(r"v1:([A-Za-z0-9._-]{1,40}):([0-9a-f]{64})")

Headers = Sequence[tuple[str, bytes]]


class Kind(Enum):
    """What a topic holds, as far as signatures tell it apart."""

    TASK = "task"
    DEAD_LETTER = "dead letter"
    #: Events, orders, descriptions, heartbeats, schedules.
    FACT = "fact"


class Signed(NamedTuple):
    """What a signature covers; the Kafka key only where it says what the record is about."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def parse_keys(text: str) -> dict[str, bytes]:
    """`k2:<hex>,k1:<hex>`: the first signs, all are accepted.

    Raises:
        ValueError: without a word of what was given, since it is secret.
    """
    keys: dict[str, bytes] = {}
    for number, entry in enumerate((part.strip() for part in text.split(",")), 1):
        key_id, _, digits = entry.partition(":")
        try:
            secret = bytes.fromhex(digits)
        except ValueError:
            secret = b""
        if not _KEY_ID.fullmatch(key_id) or len(secret) < SHORTEST_KEY_BYTES:
            raise ValueError(
                f"MUSTER_SIGNING_KEYS, entry {number}: write name:key, the name of letters, digits, . _ -, the key of "
                f"at least {2 * SHORTEST_KEY_BYTES} hexadecimal digits (openssl rand -hex {SHORTEST_KEY_BYTES})"
            )
        if key_id in keys:
            raise ValueError(f"MUSTER_SIGNING_KEYS names the key {key_id} twice")
        keys[key_id] = secret
    return keys


def canonical(what: Signed, *, task: bool) -> bytes:
    """The bytes that are signed: a row of netstrings, so that no two different records have the same.

    A task: tag, topic, value, then name and value of every covered header but the signature, ordered by name. Anything
    else also names its key, and tells an empty key or value from none.
    """
    return b"".join(b"%d:%b," % (len(part), part) for part in _parts(what, task=task))


def _parts(what: Signed, *, task: bool) -> Iterator[bytes]:
    yield _TASK if task else _FACT
    yield what.topic.encode()
    if task:
        yield what.value or b""
    else:
        yield b"-" if what.key is None else b"+" + what.key
        yield b"-" if what.value is None else b"+" + what.value
    # Sorting by the name alone keeps the order of equal names, of which the last one counts.
    for name, raw in sorted((pair for pair in what.headers if pair[0].startswith(COVERED)), key=_name):
        yield name.encode()
        yield raw


def _name(pair: tuple[str, bytes]) -> str:
    return pair[0]


_OWN = {Kind.TASK: SIGNATURE, Kind.FACT: SIGNATURE, Kind.DEAD_LETTER: LETTER_SIGNATURE}


class Signatures:
    """The keys of one installation, and which of its topics they vouch for: all but `tasks.stats`.

    With `accept_unsigned`, what has no signature is believed; what has a wrong one never is.
    """

    def __init__(self, topics: Topics, keys: Mapping[str, bytes], *, accept_unsigned: bool = False) -> None:
        if not keys:
            raise ValueError("at least one key is needed to sign")
        self._keys = dict(keys)
        self._first = next(iter(keys))
        self._accept_unsigned = accept_unsigned
        delays = (topics.delay(seconds) for seconds in DELAYS)
        facts = (topics.events, topics.control, topics.catalog, topics.workers, topics.schedules)
        self._kinds = {
            **dict.fromkeys((*topics.all_lanes(), topics.retry, topics.keyed, *delays), Kind.TASK),
            **dict.fromkeys(facts, Kind.FACT),
            topics.dead_letter: Kind.DEAD_LETTER,
        }

    def __repr__(self) -> str:
        return f"Signatures(keys={list(self._keys)})"

    def kind(self, topic: str) -> Kind | None:
        """None: records of this topic are neither signed nor checked."""
        return self._kinds.get(topic)

    def sign(self, what: Signed) -> Headers:
        """The headers with our signature; those of a foreign topic as they are.

        What was refused is never signed, whoever passes it on: only what was believed, or is our own word.
        """
        kind = self._kinds.get(what.topic)
        if kind is None:
            return what.headers
        own = _OWN[kind]
        headers = [pair for pair in what.headers if pair[0] not in (own, REFUSAL)]
        if refusal_of(what.headers) is not None:
            return headers
        digits = self._digest(self._first, what._replace(headers=headers), kind)
        return [*headers, (own, f"v1:{self._first}:{digits}".encode())]

    def refusal(self, what: Signed) -> str | None:
        """Why a record is not to be believed; None for one that is."""
        kind = self._kinds.get(what.topic)
        if kind is None:
            return None
        own = _OWN[kind]
        if refusal_of(what.headers) is not None:
            return f"it has a header {REFUSAL}, which nobody may write"
        given = [raw for name, raw in what.headers if name == own]
        if not given:
            return None if self._accept_unsigned else f"it is not signed (header {own})"
        if len(given) > 1:
            return f"it has several headers {own}"
        return self._refusal_of(given[0], what, kind)

    def unsigned(self, what: Signed) -> bool:
        """It has no signature, where there should be one."""
        kind = self._kinds.get(what.topic)
        return kind is not None and all(name != _OWN[kind] for name, _ in what.headers)

    def _refusal_of(self, given: bytes, what: Signed, kind: Kind) -> str | None:
        own = _OWN[kind]
        found = _VALUE.fullmatch(given.decode(errors="replace"))
        if found is None:
            return f"header {own} must be v1:<key id>:<64 hexadecimal digits>"
        key_id, digits = found.groups()
        if key_id not in self._keys:
            return f"it is signed with the key {key_id}, which is not accepted"
        rest = [pair for pair in what.headers if pair[0] != own]
        if hmac.compare_digest(digits, self._digest(key_id, what._replace(headers=rest), kind)):
            return None
        return f"its signature (key {key_id}) does not fit: it was changed, or signed for another topic"

    def _digest(self, key_id: str, what: Signed, kind: Kind) -> str:
        return hmac.digest(self._keys[key_id], canonical(what, task=kind is Kind.TASK), "sha256").hex()


def refusal_of(headers: Iterable[tuple[str, bytes]]) -> str | None:
    """Why who checked these headers refused the record; None: it was believed, or nobody checks here."""
    for name, raw in headers:
        if name == REFUSAL:
            return raw.decode(errors="replace")[:400]
    return None
