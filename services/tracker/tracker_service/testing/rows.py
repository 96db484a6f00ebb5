"""All rows of the projection, comparable. Holds no test."""

from __future__ import annotations

from tracker_service.database import Pool


async def dump(pool: Pool) -> list[tuple[object, ...]]:
    """Tasks, claims, attempts, hand-backs, progress and rounds; `open` is recovery's note, not a fact."""
    rows: list[tuple[object, ...]] = []
    for table in ("tasks", "claims", "attempts", "hand_backs", "progress", "rounds"):
        found = await pool.fetch(f"SELECT * FROM muster.{table}")  # noqa: S608
        rows += sorted((table, *(str(value) for name, value in row.items() if name != "open")) for row in found)
    return rows
