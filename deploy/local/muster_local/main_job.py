"""What the demo shows: 12 photos become profile pictures of real cadets, each step told by the API. Starts no part."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
import httpx
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from muster_local.errors import LocalError
from muster_local.photos import draw_photos
from muster_local.tracked import Upload, api, first_admin, refresh, submit

_LIMIT_SECONDS = 180.0
_LOOK_SECONDS = 0.2
# The short side of a picture may be rounded to the next pixel.
_SHAPE_TOLERANCE = 0.02
_GPS_IFD = 0x8825


@dataclass(frozen=True)
class Verdict:
    """What the uploaded picture turned out to be when it was fetched back."""

    upload: Upload
    #: Empty when all is well, else one sentence.
    complaint: str = ""


def run_main_job(env: Mapping[str, str], console: Console, seed: int | None = None) -> int:
    """Do the whole job and print what became of it; returns the exit code, 0 when every photo is well."""
    verdicts = asyncio.run(_job(env, console, seed))
    _print(console, verdicts)
    failed = sum(1 for verdict in verdicts if verdict.complaint)
    console.print(f"{len(verdicts) - failed} of {len(verdicts)} photos reached SUCCESS and were fetched back whole.")
    return 1 if failed else 0


async def _job(env: Mapping[str, str], console: Console, seed: int | None) -> list[Verdict]:
    console.print("Drawing 12 photos of different kinds ...")
    photos = await asyncio.to_thread(draw_photos, seed)
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        admin, cadets = await _people(database, len(photos))
        uploads = [Upload(photo, cadet) for photo, cadet in zip(photos, cadets, strict=True)]
        async with api(env, admin) as client:
            await asyncio.gather(*(submit(client, env, upload) for upload in uploads))
            await _watch(client, console, uploads)
            return [await _check(client, database, upload) for upload in uploads]
    finally:
        await database.close()


async def _people(database: asyncpg.Connection, count: int) -> tuple[int, list[int]]:
    admin = await first_admin(database)
    rows = await database.fetch("SELECT id FROM cadets ORDER BY random() LIMIT $1", count)
    if len(rows) < count:
        raise LocalError(f"The database has fewer than {count} cadets: run `python -m rotc demo` on it.")
    return admin, [int(row["id"]) for row in rows]


async def _watch(client: httpx.AsyncClient, console: Console, uploads: list[Upload]) -> None:
    """Follow every task to its end, by the same answers anybody gets."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(bar_width=30), TextColumn("{task.fields[state]}"))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LIMIT_SECONDS
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        lines = {upload.task_id: bars.add_task(upload.photo.kind, total=1.0, state="SENT") for upload in uploads}
        while open_tasks := [upload for upload in uploads if not upload.over]:
            if loop.time() > deadline:
                return
            await asyncio.gather(*(_look(client, console, bars, lines, upload) for upload in open_tasks))
            await asyncio.sleep(_LOOK_SECONDS)


async def _look(
    client: httpx.AsyncClient, console: Console, bars: Progress, lines: Mapping[str, TaskID], upload: Upload
) -> None:
    before = upload.state
    await refresh(client, upload)
    bars.update(lines[upload.task_id], completed=upload.share, state=upload.state)
    if upload.state != before and not console.is_terminal:
        console.print(f"{upload.photo.kind:<22} {before} -> {upload.state}", markup=False, soft_wrap=True)


async def _check(client: httpx.AsyncClient, database: asyncpg.Connection, upload: Upload) -> Verdict:
    if upload.state != "SUCCESS":
        return Verdict(upload, f"{upload.state}: {upload.error or f'not over after {_LIMIT_SECONDS:.0f} s'}")
    url = upload.status["result"]["url"]
    stored = await database.fetchval("SELECT profile_pic FROM cadets WHERE id = $1", upload.cadet_id)
    if stored != url:
        return Verdict(upload, "the address of the picture is not in the cadet's row")
    answer = await client.get(url)
    if answer.status_code != httpx.codes.OK:
        return Verdict(upload, f"the picture could not be fetched back: {answer.status_code}")
    return Verdict(upload, await asyncio.to_thread(fault_of, answer.content, upload))


def fault_of(data: bytes, upload: Upload) -> str:
    """What is wrong with the delivered picture; empty when nothing is."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            shape, mode, position = picture.width / picture.height, picture.mode, picture.getexif().get_ifd(_GPS_IFD)
    except (OSError, SyntaxError, ValueError) as error:
        return f"the delivered picture does not decode: {error}"
    width, height = upload.photo.upright
    if abs(shape / (width / height) - 1) > _SHAPE_TOLERANCE:
        return f"the delivered picture is not upright or was stretched: {shape:.2f} instead of {width / height:.2f}"
    if mode not in ("RGB", "L"):
        return f"the delivered picture is {mode}, which not every browser shows"
    return "the delivered picture still says where it was taken" if position else ""


def _print(console: Console, verdicts: list[Verdict]) -> None:
    table = Table("photo", "state", "original", "final", "saved", "pixels")
    for verdict in verdicts:
        table.add_row(verdict.upload.photo.kind, *_told(verdict))
    console.print(table)
    for verdict in verdicts:
        # Below the table and unwrapped, so that a terminal makes a link of each address.
        found = verdict.complaint or verdict.upload.status["result"]["url"]
        console.print(f"{verdict.upload.photo.kind:<22} {found}", markup=False, soft_wrap=True)
    first = verdicts[0].upload
    console.print(f"\nGET /api/tasks/{first.task_id}/status", soft_wrap=True)
    console.print_json(data=first.status)


def _told(verdict: Verdict) -> tuple[str, ...]:
    upload = verdict.upload
    state = f"[{'red' if verdict.complaint else 'green'}]{upload.state}[/]"
    if upload.state != "SUCCESS":
        return state, f"{len(upload.photo.data) / 1024:,.0f} KB", "", "", ""
    result = upload.status["result"]
    original, final = (f"{result[name] / 1024:,.0f} KB" for name in ("original_bytes", "bytes"))
    return state, original, final, f"{result['saved_percent']:.0f} %", f"{result['width']}x{result['height']}"
