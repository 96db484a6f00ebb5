"""What the demo shows of reading letters: three of them become text in their rows. Starts no part."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from ocr_service.testing.damage import askew, turned
from ocr_service.testing.files import encoded, typed_pdf
from ocr_service.testing.letters import TEXTS, accuracy, draw
from rich.console import Console
from rich.table import Table

from muster_local.errors import LocalError
from muster_local.tracked import TERMINAL, api, first_admin, put_up

_LIMIT_SECONDS = 120.0
_WAIT_SECONDS = 20
#: Share of the words that must have been read.
_WELL = 0.95
_EXCERPT = 60
_NEW_LETTER = """
INSERT INTO excuse_letters (cadet_id, date_absent, reason, file_url, status, created_at)
SELECT min(id), current_date, 'sample of the demo', $1, 'pending', now() FROM cadets
RETURNING id
"""


@dataclass
class Sample:
    """One letter, where it was put, and the task that reads it."""

    kind: str
    text: str
    #: With the extension it is stored under.
    name: str
    data: bytes = field(repr=False)
    url: str = ""
    letter_id: int = 0
    task_id: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    #: Empty when all is well, else one sentence.
    complaint: str = ""

    @property
    def result(self) -> dict[str, Any]:
        return self.status.get("result") or {}


def draw_samples() -> list[Sample]:
    """An upright scan, one that lies on its side and askew, and a PDF with its own text."""
    fever, ferry = TEXTS
    return [
        Sample("scan, upright", fever, "upright.png", encoded(draw(fever, 24))),
        Sample("scan, on its side", ferry, "turned.jpg", encoded(askew(turned(draw(ferry, 24), 90), 3), "JPEG")),
        Sample("PDF with text", fever, "typed.pdf", typed_pdf([fever])),
    ]


def run_letters_job(env: Mapping[str, str], console: Console) -> int:
    """Have the letters read and print what became of them; returns the exit code, 0 when every one is well."""
    console.print("\nReading 3 letters ...")
    samples = asyncio.run(_job(env))
    _print(console, samples)
    read = sum(not sample.complaint for sample in samples)
    console.print(f"{read} of {len(samples)} letters were read and written down.")
    return 0 if read == len(samples) else 1


async def _job(env: Mapping[str, str]) -> list[Sample]:
    samples = await asyncio.to_thread(draw_samples)
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        async with api(env, await first_admin(database)) as client:
            for sample in samples:
                sample.url = await asyncio.to_thread(put_up, env, f"rotc/excuse_letter/{sample.name}", sample.data)
                sample.letter_id = int(await database.fetchval(_NEW_LETTER, sample.url))
            await asyncio.gather(*(_read(client, sample) for sample in samples))
            for sample in samples:
                stored = await database.fetchval("SELECT ocr_text FROM excuse_letters WHERE id = $1", sample.letter_id)
                sample.complaint = _complaint(sample, stored)
    finally:
        await database.close()
    return samples


async def _read(client: httpx.AsyncClient, sample: Sample) -> None:
    """Submit the letter and wait for the end of its task. Raises LocalError when the API does not take it."""
    parameters = {"file_url": sample.url, "excuse_letter_id": sample.letter_id}
    answer = await client.post("/api/tasks", json={"name": "process_ocr_document", "parameters": parameters})
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take '{sample.kind}': {answer.status_code} {answer.text[:500]}")
    sample.task_id = answer.json()["task_id"]
    deadline = asyncio.get_running_loop().time() + _LIMIT_SECONDS
    while sample.status.get("status") not in TERMINAL and asyncio.get_running_loop().time() < deadline:
        await client.get(f"/api/tasks/{sample.task_id}", params={"wait": _WAIT_SECONDS}, timeout=_WAIT_SECONDS + 30)
        sample.status = (await client.get(f"/api/tasks/{sample.task_id}/status")).json()


def _complaint(sample: Sample, stored: str | None) -> str:
    if sample.status.get("status") != "SUCCESS":
        return f"{sample.status.get('status')}: {sample.status.get('error') or 'not over in time'}"
    if stored is None or stored != sample.result["text"]:
        return "the text is not in the letter's row"
    share = accuracy(sample.text, stored)
    return "" if share >= _WELL else f"only {share:.0%} of its words were read"


def _print(console: Console, samples: list[Sample]) -> None:
    table = Table("letter", "state", "confidence", "words", "begins with")
    for sample in samples:
        colour = "red" if sample.complaint else "green"
        confidence, words = (str(sample.result.get(name, "")) for name in ("confidence", "word_count"))
        excerpt = " ".join(str(sample.result.get("text", "")).split())[:_EXCERPT]
        table.add_row(sample.kind, f"[{colour}]{sample.status.get('status')}[/]", confidence, words, excerpt)
    console.print(table)
    for sample in samples:
        # Below the table and unwrapped, so that a terminal makes a link of each address.
        console.print(f"{sample.kind:<18} {sample.complaint or sample.url}", markup=False, soft_wrap=True)
