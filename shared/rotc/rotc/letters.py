"""What was read from an excuse letter: written beside it, and told to the admins when it is doubtful. Reads no file."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from rotc.connection import Connection
from rotc.errors import MissingOcrColumns, UnknownEntity
from rotc.people import LARGEST_ID
from rotc.sql import load

SQL = load("letters")
NOUN = "excuse letter"
#: Confidence (0-100) below which a person has to look at the letter.
DOUBTFUL = 60.0
NOTIFICATION = "ocr_low_confidence"


@dataclass(frozen=True, slots=True)
class Letter:
    """An excuse letter, as far as reading it is concerned."""

    id: int
    cadet_id: int
    #: None when no file was handed in.
    file_url: str | None
    #: When it was read last; None: never.
    processed_at: datetime | None


async def letter_by_id(connection: Connection, letter_id: int) -> Letter:
    """Raises: UnknownEntity; MissingOcrColumns."""
    if not 0 < letter_id <= LARGEST_ID:
        raise UnknownEntity(NOUN, letter_id)
    try:
        row = await connection.fetchrow(SQL["letter"], letter_id)
    except asyncpg.UndefinedColumnError as error:
        raise MissingOcrColumns from error
    if row is None:
        raise UnknownEntity(NOUN, letter_id)
    return Letter(row["id"], row["cadet_id"], row["file_url"], row["ocr_processed_at"])


async def write_reading(
    connection: Connection, letter_id: int, text: str, confidence: float, *, submitter: int | None
) -> int:
    """Writes what the letter says and its audit row; below DOUBTFUL every approved admin is asked to look at it.

    Args:
        confidence: 0-100.
        submitter: users.id for the audit row, None when nobody is known.

    Returns how many admins were notified. Joins the caller's transaction if there is one.
    Raises: UnknownEntity; MissingOcrColumns.
    """
    async with connection.transaction():
        try:
            written = await connection.fetchval(SQL["set_reading"], letter_id, text, confidence, submitter)
        except asyncpg.UndefinedColumnError as error:
            raise MissingOcrColumns from error
        if written is None:
            raise UnknownEntity(NOUN, letter_id)
        if confidence >= DOUBTFUL:
            return 0
        message = (
            f"Excuse letter {letter_id} could hardly be read (confidence {confidence:.0f} of 100): please look at it."
        )
        return len(await connection.fetch(SQL["ask_admins_to_look"], message, NOTIFICATION))
