"""Takes a deleted file out of the tables: whoever referred to it refers to nothing. Deleting the file is elsewhere.

As in media.py, every write brings the audit row that the backend's save would have made.
"""

from dataclasses import dataclass

import asyncpg

from rotc import images
from rotc.connection import Connection
from rotc.errors import DamagedImages
from rotc.sql import load
from rotc.stored_url import plain_run, public_id_of

SQL = load("references", "activities")


@dataclass(frozen=True, slots=True)
class Cleared:
    """The rows that referred to a deleted file, by table; all empty when nothing did."""

    cadet_ids: tuple[int, ...]
    activity_ids: tuple[int, ...]
    excuse_letter_ids: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many rows were changed."""
        return len(self.cadet_ids) + len(self.activity_ids) + len(self.excuse_letter_ids)


async def clear_references(connection: Connection, public_id: str, *, submitter: int | None) -> Cleared:
    """Removes every reference to a file: any version and transformation of this public id, and no other file.

    submitter: users.id for the audit rows. Joins the caller's transaction if there is one.
    """
    async with connection.transaction():
        cadets = await _clear_column(connection, "cadets_with_picture_like", public_id)
        letters = await _clear_column(connection, "excuse_letters_with_file_like", public_id)
        await connection.execute(SQL["clear_profile_pics"], cadets, submitter)
        await connection.execute(SQL["clear_excuse_letter_files"], letters, submitter)
        return Cleared(cadets, await _clear_activities(connection, public_id, submitter), letters)


async def _clear_column(connection: Connection, find: str, public_id: str) -> tuple[int, ...]:
    candidates = await connection.fetch(SQL[find], plain_run(public_id))
    return tuple(row["id"] for row in candidates if public_id_of(row["url"]) == public_id)


async def _clear_activities(connection: Connection, public_id: str, submitter: int | None) -> tuple[int, ...]:
    candidates = await connection.fetch(SQL["activities_with_picture_like"], plain_run(public_id))
    return tuple([row["id"] for row in candidates if await _clear_activity(connection, row, public_id, submitter)])


async def _clear_activity(
    connection: Connection, activity: asyncpg.Record, public_id: str, submitter: int | None
) -> bool:
    """Returns whether this activity did show the file."""
    rows = await connection.fetch(SQL["activity_image_rows"], activity["id"])
    doomed = [row["id"] for row in rows if public_id_of(row["image_url"]) == public_id]
    await connection.execute(SQL["delete_activity_image_rows"], doomed)
    before = (activity["images"], activity["image_path"])
    after = (_images_without(activity, public_id), _path_without(activity["image_path"], public_id))
    if after != before:
        await connection.execute(SQL["set_activity_pictures"], activity["id"], *after, submitter)
    return bool(doomed) or after != before


def _images_without(activity: asyncpg.Record, public_id: str) -> str | None:
    text: str | None = activity["images"]
    try:
        before = images.parse(text, activity["id"])
    except DamagedImages:
        return text  # the file is gone whatever the list says; what cannot be read is left for a person to repair
    after = images.without_file(before, public_id)
    return text if after == before else images.render(after)


def _path_without(path: str | None, public_id: str) -> str | None:
    return None if path is not None and public_id_of(path) == public_id else path
