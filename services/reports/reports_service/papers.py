"""The papers on one person: a cadet's profile and a certificate, read and put as they are printed."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import rotc.reports
from muster.adapters.fetching import FetchFailed, FetchRefused
from muster.worker.context import Context
from rotc.certificates import Certificate, code_of, grouped
from rotc.connection import Connection

from reports_service.domain.attendance import Counts
from reports_service.domain.certificate import CertificateData
from reports_service.domain.figures import words
from reports_service.domain.profile import Attended, ProfileData
from reports_service.gathering import about, grade_line, name_of, unit_of
from reports_service.resources import ReportsResources
from reports_service.settings import ReportsSettings

_PHOTO_BYTES = 10 * 1024 * 1024
_PATIENT_ATTEMPTS = 2  # after these a profile is made without a photo that cannot be had
_IDENTITY = (
    ("Student ID", "student_id"), ("Company", "company"), ("Platoon", "platoon"), ("Course", "course"),
    ("Year level", "year_level"), ("Status", "status"),
)  # fmt: skip
_SECTIONS = (
    ("Personal data", (
        ("Email", "email"), ("Contact number", "contact_number"), ("Birth date", "birthdate"),
        ("Birthplace", "birthplace"), ("Age", "age"), ("Gender", "gender"), ("Blood type", "blood_type"),
        ("Civil status", "civil_status"), ("Nationality", "nationality"), ("Languages", "language_spoken"),
        ("Address", "address"), ("Facebook", "facebook_link"),
    )),
    ("Unit", (("ROTC unit", "rotc_unit"), ("Mobilization center", "mobilization_center"))),
    ("Physical data", (
        ("Height", "height"), ("Weight", "weight"), ("Combat boots", "combat_boots_size"),
        ("Uniform", "uniform_size"), ("Bullcap", "bullcap_size"),
    )),
)  # fmt: skip


async def profile_data(
    connection: Connection, cadet_id: int, settings: ReportsSettings, now: datetime
) -> tuple[ProfileData, str | None]:
    """A profile without its photo, and where that lies.

    Raises: UnknownEntity, DamagedGradingRules.
    """
    async with rotc.reports.snapshot(connection):
        head = await rotc.reports.heading(connection)
        cadet = await rotc.reports.cadet_profile(connection, cadet_id, head)
        days = await rotc.reports.attended_days(connection, cadet_id)
    unit, row = unit_of(settings, head), cadet.row
    profile = ProfileData(
        about=about("Cadet Profile", f"Cadet {row['student_id']}", unit, now),
        unit=unit,
        identity=[("Name", name_of(row)), *_fields(row, _IDENTITY)],
        sections=[(title, _fields(row, fields)) for title, fields in _SECTIONS],
        grade=grade_line(cadet),
        training_days=head.training_days,
        counts=_counts(days),
        attended=[Attended(one["date"], one["title"], one["status"]) for one in days],
    )
    return profile, row["profile_pic"]


def _fields(row: asyncpg.Record, fields: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(label, words(row[column])) for label, column in fields]


def _counts(days: list[asyncpg.Record]) -> Counts:
    return Counts(*(sum(one["status"] == status for one in days) for status in Counts._fields))


async def fetch_photo(ctx: Context[ReportsResources], url: str | None) -> bytes | None:
    """The cadet's photo; None where there is none, or none that may be fetched.

    Raises: FetchFailed, on the first attempts.
    """
    if not url or not url.startswith(("https:", "http:")):
        return None
    try:
        return await ctx.resources.fetcher.fetch(url, max_bytes=_PHOTO_BYTES)
    except FetchRefused as error:
        ctx.log.warning("Photo left out", action="reports.photo_refused", reason=str(error))
    except FetchFailed as error:
        if ctx.attempt <= _PATIENT_ATTEMPTS:
            raise
        ctx.log.warning("Photo left out", action="reports.photo_unreachable", reason=str(error))
    return None


async def certificate_data(
    connection: Connection, activity_id: int, cadet_name: str, settings: ReportsSettings, now: datetime
) -> tuple[CertificateData, Certificate, str]:
    """What is printed, what the code stands for, and the code.

    Raises: UnknownEntity, DamagedGradingRules.
    """
    head = await rotc.reports.heading(connection)
    activity = await rotc.reports.activity(connection, activity_id)
    certificate = Certificate(activity_id, activity["title"], activity["date"], cadet_name)
    code = code_of(certificate, settings.keys()[0])
    unit = unit_of(settings, head)
    printed = CertificateData(
        about=about("Certificate of Achievement", f"Activity {activity_id}", unit, now),
        unit=unit,
        cadet_name=cadet_name,
        activity=activity["title"],
        description=activity["description"],
        held_on=f"{activity['date']:%d %B %Y}",
        code=grouped(code),
        link=f"{settings.reports_public_url.rstrip('/')}/api/certificates/verify/{code}",
        signatories=settings.signatories(),
    )
    return printed, certificate, code
