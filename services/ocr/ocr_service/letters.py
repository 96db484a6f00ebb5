"""One letter: who may have it read, and its text written down exactly once. How it is read is in documents."""

from __future__ import annotations

from typing import Any

import rotc.letters
import rotc.people
from muster.contracts.errors import PermanentError
from muster.worker.context import Context
from rotc.connection import Connection
from rotc.errors import MissingOcrColumns, UnknownEntity
from rotc.letters import Letter
from rotc.people import Role
from rotc.stored_url import same_file

from ocr_service.documents import Tell, read_document
from ocr_service.domain.errors import UnreadableDocument
from ocr_service.params import DocumentOfLetter, DocumentText
from ocr_service.resources import OcrResources

#: Failures that the same parameters meet every time (besides muster's own PermanentError).
PERMANENT = (UnreadableDocument, UnknownEntity, MissingOcrColumns)
_ANY_LETTER = (Role.ADMIN, Role.TRAINING_STAFF)


class NotPermitted(PermanentError):
    """Who asked may not have this document read."""


async def read_letter(
    ctx: Context[OcrResources], document: DocumentOfLetter, language: str, effect: str, tell: Tell
) -> DocumentText:
    """Read a document and, when a letter is named, write its text there; run again, it gives the first run's result.

    Args:
        effect: name of the guard, unique within the task.

    Raises: NotPermitted and PERMANENT; besides, what read_document raises.
    """
    letter_id = document.excuse_letter_id
    async with ctx.resources.pool.acquire() as connection:
        letter = None if letter_id is None else await rotc.letters.letter_by_id(connection, letter_id)
        await _check_right(connection, ctx.submitter, document, letter)
    if letter is None:
        return await read_document(ctx, document.file_url, language, tell)
    earlier = await _written_earlier(ctx, effect)
    if earlier is not None:
        return earlier
    found = await read_document(ctx, document.file_url, language, tell)
    return await _write_down(ctx, letter.id, found, effect)


async def _check_right(
    connection: Connection, submitter: int | None, document: DocumentOfLetter, letter: Letter | None
) -> None:
    """Machines, admins and staff may have anything read, a cadet the file of a letter of that cadet."""
    if submitter is None:
        return
    user = await rotc.people.user_by_id(connection, submitter)
    if not user.is_approved:
        raise NotPermitted("Your account has not been approved.")
    if user.role in _ANY_LETTER:
        return
    own = letter is not None and user.cadet_id == letter.cadet_id
    if user.role is not Role.CADET or not own:
        raise NotPermitted("Cadets may have only their own excuse letters read.")
    if letter is None or letter.file_url is None or not same_file(letter.file_url, document.file_url):
        raise NotPermitted("This is not the file of the excuse letter.")


async def _write_down(ctx: Context[OcrResources], letter_id: int, found: DocumentText, name: str) -> DocumentText:
    async with ctx.resources.effects.once(ctx.task_id, name) as effect:
        if effect.done:
            return DocumentText.model_validate(effect.result)
        told = await rotc.letters.write_reading(
            effect.connection, letter_id, found.text, found.confidence, submitter=ctx.submitter
        )
        effect.finish(found.model_dump(mode="json"))
    ctx.log.info("Letter read", action="ocr.letter_read", letter=letter_id, pages=len(found.pages), admins_told=told)
    return found


class _NotYet(Exception):
    """Rolls back a transaction that was opened only to look."""


async def _written_earlier(ctx: Context[OcrResources], name: str) -> DocumentText | None:
    try:
        async with ctx.resources.effects.once(ctx.task_id, name) as effect:
            if not effect.done:
                raise _NotYet
            result: Any = effect.result
    except _NotYet:
        return None
    return DocumentText.model_validate(result)
