"""The claim check: what is too large for a record lies in a store, and the record carries a reference. Pure.

Putting and fetching is muster/claim_check.py, the store itself adapters/claim_store.py.

A key reads `<day>/<task id>/<sha256>`. It names no address, so a record can only ever lead below the store that its
reader was configured with; it names its task, so no task reads what another one brought; it names its content, which is
compared after reading; and the day says until when nobody may take it for garbage.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime, timedelta

import msgspec

from muster.contracts.errors import UNREADABLE, InvalidRecord
from muster.contracts.states import TaskState

JSON = "application/json"
#: A payload whose task nobody has heard of is garbage this long after it was put, or was to be run.
GRACE = timedelta(days=7)
#: Dead letters are kept for 90 days, and Kafka deletes whole segments: some are there a week longer.
DEAD_LETTER_KEPT = timedelta(days=100)
#: Ids that are path segments of any store; other tasks carry their parameters themselves.
_TASK_ID = r"[A-Za-z0-9_-]{1,120}"
_KEY = re.compile(rf"(\d{{4}}-\d\d-\d\d)/({_TASK_ID})/([0-9a-f]{{64}})")
_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}")


class Key(msgspec.Struct, frozen=True):
    """Where a payload lies below its store."""

    keep_until: date
    task_id: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.keep_until.isoformat()}/{self.task_id}/{self.sha256}"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A payload as a record names it; `size` in bytes, `type` its media type."""

    ref: str
    size: int
    type: str = JSON

    @property
    def key(self) -> Key:
        """Raises InvalidRecord: it is no key of ours."""
        key = parse_key(self.ref)
        if key is None:
            raise InvalidRecord("a payload's ref must read <day>/<task id>/<sha256>, as muster's client writes it")
        return key

    def key_for(self, task_id: str) -> Key:
        """The key, if this task may read it.

        Raises:
            InvalidRecord: it is no key of ours, or another task's.
        """
        key = self.key
        if key.task_id != task_id:
            raise InvalidRecord("a payload's ref names another task: submit the file again with this one")
        return key


def parse_key(text: str) -> Key | None:
    """The parts of a key; None for anything else."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    try:
        return Key(date.fromisoformat(match[1]), match[2], match[3])
    except ValueError:
        return None


def can_hold(task_id: str) -> bool:
    """Whether payloads of this task can have a key."""
    return re.fullmatch(_TASK_ID, task_id) is not None


def refer(
    task_id: str, data: bytes, *, now: datetime, due: datetime | None = None, media_type: str = JSON
) -> Reference:
    """The reference of this content, which a task that is due later may need for so much longer."""
    keep_until = (max(now, due or now) + GRACE).astimezone(UTC).date()
    key = Key(keep_until, task_id, hashlib.sha256(data).hexdigest())
    return Reference(ref=str(key), size=len(data), type=media_type if _TYPE.fullmatch(media_type) else JSON)


def read_reference(name: str, raw: bytes) -> Reference:
    """A reference from the bytes of a header.

    Raises:
        InvalidRecord: it cannot be read, or is no key of ours.
    """
    try:
        reference = msgspec.json.decode(raw, type=Reference)
    except UNREADABLE as error:
        raise InvalidRecord(f"header {name} cannot be read: {error}") from error
    reference.key  # noqa: B018  checked where the record is read, not where it is run
    return reference


def is_intact(data: bytes, reference: Reference) -> bool:
    """The content is what was put, byte for byte."""
    return len(data) == reference.size and hashlib.sha256(data).hexdigest() == reference.key.sha256


class Standing(msgspec.Struct, frozen=True):
    """How far a task has come; `finished_at` once it has ended."""

    state: TaskState
    finished_at: datetime | None


def is_garbage(key: Key, standing: Standing | None, *, now: datetime, kept: timedelta) -> bool:
    """Whether nobody will ask for this payload again.

    Args:
        standing: of its task; None when nobody has heard of it: its record was never written, or is long gone.
        kept: how long payloads of tasks that succeeded or were revoked stay.
    """
    if now.astimezone(UTC).date() <= key.keep_until:
        return False
    if standing is None:
        return True
    if standing.finished_at is None or not standing.state.terminal:
        return False
    after = DEAD_LETTER_KEPT if standing.state is TaskState.FAILURE else kept
    return standing.finished_at + after < now
