"""Where uploaded files are referred to: cadets' pictures, activities' pictures, letters' files. Uploading is elsewhere.

Every write brings the audit row that the backend's save would have made, with the submitter as its user. The backend's
other reaction to saving a letter (an approved one marks its attendance as excused) is left out on purpose: the letter's
status does not change here, and repeating it would undo a correction made since.
"""

from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from rotc import images
from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.people import LARGEST_ID
from rotc.references import Cleared, clear_references
from rotc.sql import load
from rotc.stored_url import same_file

__all__ = ["Attached", "Cleared", "EntityType", "attach", "clear_references", "require_entity"]

SQL = load("media", "activities")


class EntityType(StrEnum):
    """What a file can belong to; the values are those of the tasks' `entity_type`."""

    PROFILE_PIC = "profile_pic"
    ACTIVITY_IMAGE = "activity_image"
    EXCUSE_LETTER = "excuse_letter"


NOUNS = {
    EntityType.PROFILE_PIC: "cadet",
    EntityType.ACTIVITY_IMAGE: "activity",
    EntityType.EXCUSE_LETTER: "excuse letter",
}


@dataclass(frozen=True, slots=True)
class Attached:
    """A file now referred to by its entity."""

    entity_type: EntityType
    entity_id: int
    url: str
    #: False when exactly this URL was there already and nothing was written.
    changed: bool


async def require_entity(connection: Connection, entity_type: EntityType, entity_id: int) -> None:
    """Makes sure, before anything is uploaded, that the file has a place to go.

    Raises: UnknownEntity; DamagedImages for an activity whose list of pictures cannot be read.
    """
    if not 0 < entity_id <= LARGEST_ID:
        raise UnknownEntity(NOUNS[entity_type], entity_id)
    if entity_type is EntityType.ACTIVITY_IMAGE:
        images.parse((await _activity(connection, "activity_pictures", entity_id))["images"], entity_id)
        return
    query = "cadet_exists" if entity_type is EntityType.PROFILE_PIC else "excuse_letter_exists"
    if not await connection.fetchval(SQL[query], entity_id):
        raise UnknownEntity(NOUNS[entity_type], entity_id)


async def attach(
    connection: Connection, entity_type: EntityType, entity_id: int, url: str, *, submitter: int | None
) -> Attached:
    """Writes the URL where this kind of file belongs; a second time with the same URL changes nothing.

    submitter: users.id for the audit row, None when nobody is known. Joins the caller's transaction if there is one.
    Raises: UnknownEntity, DamagedImages.
    """
    async with connection.transaction():
        await require_entity(connection, entity_type, entity_id)
        if entity_type is EntityType.ACTIVITY_IMAGE:
            changed = await _add_activity_image(connection, entity_id, url, submitter)
        else:
            query = "set_profile_pic" if entity_type is EntityType.PROFILE_PIC else "set_excuse_letter_file"
            changed = await connection.fetchval(SQL[query], entity_id, url, submitter) is not None
    return Attached(entity_type, entity_id, url, changed)


async def _activity(connection: Connection, query: str, activity_id: int) -> asyncpg.Record:
    row = await connection.fetchrow(SQL[query], activity_id)
    if row is None:
        raise UnknownEntity(NOUNS[EntityType.ACTIVITY_IMAGE], activity_id)
    return row


async def _add_activity_image(connection: Connection, activity_id: int, url: str, submitter: int | None) -> bool:
    activity = await _activity(connection, "lock_activity", activity_id)
    before = images.parse(activity["images"], activity_id)
    after = images.with_url(before, url)
    row_written = await _write_image_row(connection, activity_id, url)
    if after != before:
        text = images.render(after)
        await connection.execute(SQL["set_activity_pictures"], activity_id, text, activity["image_path"], submitter)
    return row_written or after != before


async def _write_image_row(connection: Connection, activity_id: int, url: str) -> bool:
    """The lock on the activity keeps other writers of its rows out; returns whether anything was written."""
    rows = await connection.fetch(SQL["activity_image_rows"], activity_id)
    if any(row["image_url"] == url for row in rows):
        return False
    older = next((row["id"] for row in rows if same_file(row["image_url"], url)), None)
    if older is None:
        await connection.execute(SQL["add_activity_image_row"], activity_id, url)
    else:
        await connection.execute(SQL["set_activity_image_url"], older, url)
    return True
