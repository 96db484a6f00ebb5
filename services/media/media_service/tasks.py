"""The media tasks: parameters in, result out. How it is done is in storing, batch and domain."""

from __future__ import annotations

import rotc.media
from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context

from media_service.batch import RETRY, store_batch
from media_service.params import BatchImages, BatchResult, CompressImage, DeletedImage, DeleteImage, UploadedImage
from media_service.resources import MediaResources, media_resources
from media_service.storing import PERMANENT, store_image

app = TaskApp("media", resources=media_resources)


@app.task(permanent=PERMANENT, time_limit=minutes(5))
async def compress_and_upload_image(ctx: Context[MediaResources], params: CompressImage) -> UploadedImage:
    """Compress a picture, upload it, and write its URL where it belongs; a document is uploaded unchanged."""
    return await store_image(ctx, params, params.options, "image")


@app.task(retry=RETRY, time_limit=minutes(30))
async def batch_compress_images(ctx: Context[MediaResources], params: BatchImages) -> BatchResult:
    """Compress and upload up to 100 pictures; a bad one does not fail the others."""
    return await store_batch(ctx, params.image_list)


@app.task(roles=("admin", "training_staff"), time_limit=minutes(5))
async def delete_cloudinary_image(ctx: Context[MediaResources], params: DeleteImage) -> DeletedImage:
    """Delete an uploaded file and every reference to it; deleting it again is a success."""
    # The file first: a reference to nothing is found and cleared by the next run, a file without one by nobody.
    found = await ctx.resources.storage.destroy(params.public_id)
    async with ctx.resources.effects.once(ctx.task_id, "references") as effect:
        if effect.done:
            return DeletedImage.model_validate(effect.result)
        cleared = await rotc.media.clear_references(effect.connection, params.public_id, submitter=ctx.submitter)
        deleted = DeletedImage(result="ok" if found else "not found", public_id=params.public_id)
        effect.finish(deleted.model_dump())
    ctx.log.info("File deleted", action="media.deleted", found=found, references=cleared.count)
    return deleted
