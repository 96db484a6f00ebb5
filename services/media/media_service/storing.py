"""One file from `image_data` to the row that shows it: which step comes when, and what a repeated run leaves out."""

from __future__ import annotations

from typing import Any

import rotc.media
from muster.worker.context import Context
from muster.worker.files import FileReference
from rotc.errors import DamagedImages, UnknownEntity
from rotc.sources import load

from media_service.domain.compression import CompressionOptions
from media_service.domain.entities import ACCEPTED
from media_service.domain.errors import RefusedFile
from media_service.domain.preparation import PreparedFile, prepare_file
from media_service.params import ImageOfEntity, UploadedImage
from media_service.resources import MediaResources

#: Failures that the same parameters meet every time (besides muster's own PermanentError).
PERMANENT = (RefusedFile, UnknownEntity, DamagedImages)


async def store_image(
    ctx: Context[MediaResources], image: ImageOfEntity, options: CompressionOptions, effect: str
) -> UploadedImage:
    """Compress, upload and write down one file; run again, it gives the result of the run that was written down.

    Args:
        effect: name of the guard, unique within the task.
    """
    earlier = await _written_earlier(ctx, effect)
    if earlier is not None:
        return earlier
    resources = ctx.resources
    kind = rotc.media.EntityType(image.entity_type)
    # Before anything is uploaded: a file without a place to go would lie in the storage for ever.
    async with resources.pool.acquire() as connection:
        await rotc.media.require_entity(connection, kind, image.entity_id)
    data = await _bytes_of(ctx, image)
    ready = await ctx.compute(prepare_file, data, image.entity_type, image.entity_id, options)
    url = await resources.storage.upload(ready.data, ready.public_id, ready.resource_type)
    return await _write_down(ctx, image, _described(url, ready), effect)


async def _bytes_of(ctx: Context[MediaResources], image: ImageOfEntity) -> bytes:
    most, source = ACCEPTED[image.entity_type].max_bytes, image.image_data
    if isinstance(source, FileReference):
        return await ctx.fetch(source, max_bytes=most)
    return await load(source, ctx.resources.fetcher, max_bytes=most)


async def _write_down(
    ctx: Context[MediaResources], image: ImageOfEntity, uploaded: UploadedImage, name: str
) -> UploadedImage:
    kind = rotc.media.EntityType(image.entity_type)
    try:
        async with ctx.resources.effects.once(ctx.task_id, name) as effect:
            if effect.done:
                return UploadedImage.model_validate(effect.result)
            await rotc.media.attach(effect.connection, kind, image.entity_id, uploaded.url, submitter=ctx.submitter)
            effect.finish(uploaded.model_dump(mode="json"))
    except UnknownEntity:
        # Deleted while we uploaded: nothing will ever refer to the file.
        await ctx.resources.storage.destroy(uploaded.public_id)
        raise
    return uploaded


class _NotYet(Exception):
    """Rolls back a transaction that was opened only to look."""


async def _written_earlier(ctx: Context[MediaResources], name: str) -> UploadedImage | None:
    try:
        async with ctx.resources.effects.once(ctx.task_id, name) as effect:
            if not effect.done:
                raise _NotYet
            result: Any = effect.result
    except _NotYet:
        return None
    return UploadedImage.model_validate(result)


def _described(url: str, ready: PreparedFile) -> UploadedImage:
    return UploadedImage(
        url=url,
        public_id=ready.public_id,
        format=ready.format,
        width=ready.width,
        height=ready.height,
        bytes=len(ready.data),
        original_bytes=ready.original_bytes,
        saved_percent=ready.saved_percent,
    )
