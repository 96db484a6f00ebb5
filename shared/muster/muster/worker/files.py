"""A file as parameter of a task that lies in the store of payloads. Fetching it is the context's: `ctx.fetch`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from muster.contracts.claim_check import JSON


class FileReference(BaseModel):
    """`{"ref", "size", "type"}`, which `muster.client.File` becomes on its way (contracts/claim_check.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ref: Annotated[str, Field(strict=True, pattern=r"^\d{4}-\d\d-\d\d/[A-Za-z0-9_-]{1,120}/[0-9a-f]{64}$")]
    size: Annotated[int, Field(strict=True, ge=0)]
    type: Annotated[str, Field(strict=True, max_length=121)] = JSON
