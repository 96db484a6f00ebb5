"""The demo's paperwork: one report of each type, asked for and told by the API, fetched back whole. Starts no part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from muster_local.errors import LocalError
from muster_local.tracked import TERMINAL, api, first_admin

_LIMIT_SECONDS = 120.0
_LOOK_SECONDS = 0.3


@dataclass
class Paper:
    """One report on its way."""

    title: str
    task_type: str
    parameters: dict[str, Any]
    task_id: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    #: Empty when it was fetched back whole.
    complaint: str = "not over in time"

    @property
    def url(self) -> str:
        return str((self.status.get("result") or {}).get("url"))


def run_reports_job(env: Mapping[str, str], console: Console) -> int:
    """Have every type made and print the links; returns the exit code, 0 when each is a PDF."""
    papers = asyncio.run(_job(env))
    table = Table("report", "state", "pages")
    for paper in papers:
        colour = "red" if paper.complaint else "green"
        pages = (paper.status.get("result") or {}).get("pages", "")
        table.add_row(paper.title, f"[{colour}]{paper.status.get('status', 'SENT')}[/]", str(pages))
    console.print(table)
    for paper in papers:
        # Below the table and unwrapped, so that a terminal makes a link of each address.
        console.print(f"{paper.title:<24} {paper.complaint or paper.url}", markup=False, soft_wrap=True)
    failed = sum(1 for paper in papers if paper.complaint)
    console.print(f"{len(papers) - failed} of {len(papers)} reports are PDF files that were fetched back.")
    return 1 if failed else 0


async def _job(env: Mapping[str, str]) -> list[Paper]:
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        admin = await first_admin(database)
        papers = await _papers(database, admin)
    finally:
        await database.close()
    async with api(env, admin) as client:
        await asyncio.gather(*(_submit(client, paper) for paper in papers))
        with suppress(TimeoutError):  # a report that is not over by then says so
            async with asyncio.timeout(_LIMIT_SECONDS):
                await asyncio.gather(*(_follow(client, paper) for paper in papers))
    return papers


async def _papers(database: asyncpg.Connection, admin: int) -> list[Paper]:
    cadet = await database.fetchrow(
        "SELECT id, first_name || ' ' || last_name AS name FROM cadets WHERE NOT is_archived ORDER BY id LIMIT 1"
    )
    activity = await database.fetchval("SELECT id FROM activities ORDER BY date DESC, id LIMIT 1")
    day = await database.fetchval(
        "SELECT max(d.date) FROM training_days d JOIN attendance_records r ON r.training_day_id = d.id"
    )
    if cadet is None or activity is None or day is None:
        raise LocalError("The database has no cadets, activities or attendance: run `python -m rotc demo` on it.")
    kinds = {
        "Cadet profile": ("cadet_profile", {"cadet_id": cadet["id"]}),
        "Grades": ("grades", {}),
        "Attendance": ("attendance", {}),
        "Certificate": ("certificate", {"activity_id": activity, "cadet_name": cadet["name"]}),
    }
    papers = [
        Paper(title, "generate_pdf_report", {"report_type": kind, "filters": filters, "user_id": admin})
        for title, (kind, filters) in kinds.items()
    ]
    return [*papers, Paper("Daily attendance", "generate_daily_attendance_report", {"date": day.isoformat()})]


async def _submit(client: httpx.AsyncClient, paper: Paper) -> None:
    answer = await client.post("/api/tasks", json={"name": paper.task_type, "parameters": paper.parameters})
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take '{paper.title}': {answer.status_code} {answer.text[:500]}")
    paper.task_id = answer.json()["task_id"]


async def _follow(client: httpx.AsyncClient, paper: Paper) -> None:
    """Watch one task to its end, then fetch what it made."""
    while True:
        answer = await client.get(f"/api/tasks/{paper.task_id}/status")
        paper.status = answer.json() if answer.status_code == httpx.codes.OK else {}
        if paper.status.get("status") in TERMINAL:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    if paper.status["status"] != "SUCCESS":
        paper.complaint = f"{paper.status['status']}: {paper.status.get('error')}"
        return
    stored = await client.get(paper.url)
    paper.complaint = "" if stored.content.startswith(b"%PDF-") else "what was fetched back is no PDF"
