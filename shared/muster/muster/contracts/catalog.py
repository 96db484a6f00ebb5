"""What a service can run: one description per task type, announced on the compacted `tasks.catalog`. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec


class TaskDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task type as its worker announces it; `parameters` and `result` are JSON Schemas. Times in seconds."""

    task_type: str
    service: str
    parameters: dict[str, Any]
    result: dict[str, Any] = {}
    description: str = ""
    time_limit: float = 1800.0
    #: Until the task is asked to end by itself; None: it is not asked.
    soft_time_limit: float | None = None
    max_attempts: int = 4
    #: Who may submit it through the API; empty: any approved user.
    roles: tuple[str, ...] = ()
    default_lane: str = "default"
    version: str = ""


encode_description = msgspec.json.Encoder().encode
decode_description = msgspec.json.Decoder(TaskDescription).decode
