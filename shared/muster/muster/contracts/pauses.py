"""The pause of a task type: a record of the compacted `tasks.control`, beside the revocations. No I/O.

What a worker or the tracker does with a paused type is theirs.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

#: No task id holds a space, so the key of a pause is never that of a revocation.
_KEY = "pause "


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="pause"):
    """No task of this type starts from now on; a tombstone under the same key ends it."""

    pauses: str
    at: datetime
    #: users.id of who asked for it.
    by: int | None = None


decode_pause = msgspec.json.Decoder(Pause).decode


def pause_key(task_type: str) -> bytes:
    """The key of the record in `tasks.control`."""
    return f"{_KEY}{task_type}".encode()


def paused_type(key: bytes | None) -> str | None:
    """The task type that a control record pauses or resumes; None for a record that is about something else."""
    text = (key or b"").decode(errors="replace")
    return text.removeprefix(_KEY) if text.startswith(_KEY) else None
