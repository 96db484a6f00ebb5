"""What an invented semester leaves behind: training days, attendance, letters, merits, grades, activities. No people.

The tables agree: grades add up attendance and merit logs, and an approved letter goes with an excused day.
"""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta, timezone
from random import Random

from rotc.demo import vocabulary as words
from rotc.demo.people import TERM_START, Row

MANILA = timezone(timedelta(hours=8))  # no summer time there, so a fixed offset is exact

#: Of a hundred days of one cadet: present, then late, then absent.
PRESENT, LATE = 0.86, 0.93


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, MANILA).astimezone(UTC)


def training_days() -> list[Row]:
    """One Saturday after the other, with ids from 1."""
    return [
        {
            "id": index + 1,
            "date": TERM_START + timedelta(weeks=index),
            "title": title,
            "description": description,
            "location": words.PARADE_GROUND,
            "created_at": _at(TERM_START + timedelta(weeks=index - 1), time(9)),
        }
        for index, (title, description) in enumerate(words.TRAINING_DAYS)
    ]


def attendance(chance: Random, days: list[Row], cadet_rows: list[Row]) -> list[Row]:
    """One record a day and cadet: present, late or absent; letters turn some of the absences into excuses."""
    return [
        {"id": index + 1, **_record(chance, day, cadet)}
        for index, (day, cadet) in enumerate((day, cadet) for day in days for cadet in cadet_rows)
    ]


def _record(chance: Random, day: Row, cadet: Row) -> Row:
    draw = chance.random()
    status = "present" if draw < PRESENT else "late" if draw < LATE else "absent"
    minute = chance.randint(0, 29)
    arrival = {"present": time(6, minute), "late": time(7, 5 + minute), "absent": None}[status]
    return {
        "training_day_id": day["id"],
        "cadet_id": cadet["id"],
        "status": status,
        "time_in": arrival,
        "time_out": None if arrival is None else time(11, 45 + minute % 15),
        "created_at": _at(day["date"], time(12, 30)),
    }


def staff_attendance(days: list[Row], staff_rows: list[Row]) -> list[Row]:
    """The staff never misses a day."""
    return [
        {
            "training_day_id": day["id"],
            "staff_id": member["id"],
            "time_in": time(5, 30),
            "time_out": time(12, 30),
            "created_at": day["created_at"],
        }
        for day in days
        for member in staff_rows
    ]


def letters(chance: Random, days: list[Row], records: list[Row]) -> list[Row]:
    """A letter for every third absence. Approving one excuses its record, which is changed in place."""
    dates = {day["id"]: day["date"] for day in days}
    absences = [record for record in records if record["status"] == "absent"]
    rows: list[Row] = []
    for record in absences[::3]:
        status = chance.choice(("approved", "approved", "pending", "rejected"))
        if status == "approved":
            record["status"] = "excused"
        rows.append(
            {
                "id": len(rows) + 1,
                "cadet_id": record["cadet_id"],
                "training_day_id": record["training_day_id"],
                "date_absent": dates[record["training_day_id"]],
                "reason": chance.choice(words.EXCUSES),
                "file_url": None,
                "status": status,
                "created_at": record["created_at"],
            }
        )
    return rows


def merit_logs(chance: Random, cadet_rows: list[Row], issuer: Row, issuer_name: str) -> list[Row]:
    """Up to three entries a cadet, merits more often than demerits, all signed by one of the staff."""
    rows: list[Row] = []
    for cadet in cadet_rows:
        for _ in range(chance.randint(0, 3)):
            kind = "merit" if chance.random() < 0.65 else "demerit"
            points, reason = chance.choice(words.MERITS if kind == "merit" else words.DEMERITS)
            week = chance.randrange(len(words.TRAINING_DAYS))
            rows.append(
                {
                    "cadet_id": cadet["id"],
                    "type": kind,
                    "points": points,
                    "reason": reason,
                    "issued_by_user_id": issuer["id"],
                    "issued_by_name": issuer_name,
                    "date_recorded": _at(TERM_START + timedelta(weeks=week), time(12, 45)),
                }
            )
    return rows


def grades(chance: Random, cadet_rows: list[Row], records: list[Row], logs: list[Row]) -> list[Row]:
    """One row a cadet, adding up the other tables; one cadet in twenty has yet to sit the final examination."""
    present = Counter(record["cadet_id"] for record in records if record["status"] == "present")
    points: Counter[tuple[int, str]] = Counter()
    for log in logs:
        points[log["cadet_id"], log["type"]] += log["points"]
    return [
        {
            "cadet_id": cadet["id"],
            "attendance_present": present[cadet["id"]],
            "merit_points": points[cadet["id"], "merit"],
            "demerit_points": points[cadet["id"], "demerit"],
            "prelim_score": _score(chance),
            "midterm_score": _score(chance),
            "final_score": _score(chance) if index % 20 != 7 else None,
        }
        for index, cadet in enumerate(cadet_rows)
    ]


def _score(chance: Random) -> float:
    return round(min(100.0, max(40.0, chance.gauss(82, 9))), 1)


def activities() -> list[Row]:
    """What the unit did beside training, without pictures yet: they come by upload."""
    return [
        {
            "id": index + 1,
            "title": title,
            "description": description,
            "date": TERM_START + timedelta(days=after),
            "image_path": None,
            "images": None,
            "type": kind,
            "created_at": _at(TERM_START + timedelta(days=after), time(17)),
        }
        for index, (after, title, description, kind) in enumerate(words.ACTIVITIES)
    ]
