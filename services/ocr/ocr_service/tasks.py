"""The ocr tasks: parameters in, result out. How it is done is in letters, documents, batch and domain."""

from __future__ import annotations

from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context

from ocr_service.batch import RETRY, read_batch
from ocr_service.letters import PERMANENT, read_letter
from ocr_service.params import BatchDocuments, BatchResult, DocumentText, ReadDocument
from ocr_service.resources import OcrResources, ocr_resources

app = TaskApp("ocr", resources=ocr_resources)


@app.task(permanent=PERMANENT, retry=RETRY, time_limit=minutes(30))
async def process_ocr_document(ctx: Context[OcrResources], params: ReadDocument) -> DocumentText:
    """Read a letter or document of up to 50 pages, and write its text to the excuse letter if one is named."""

    async def tell(done: int, total: int) -> None:
        await ctx.progress(done, total, "pages")

    return await read_letter(ctx, params, params.language, "letter", tell)


@app.task(retry=RETRY, roles=("admin", "training_staff"), time_limit=minutes(60))
async def batch_process_ocr(ctx: Context[OcrResources], params: BatchDocuments) -> BatchResult:
    """Read up to 100 documents; a bad one does not fail the others."""
    return await read_batch(ctx, params)
