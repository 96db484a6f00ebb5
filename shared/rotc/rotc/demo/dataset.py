"""Puts the invented people and their semester together, table by table. Writes nothing."""

from random import Random

from rotc.demo import people, semester
from rotc.demo.people import Row


def build(seed: int, cadet_count: int) -> dict[str, list[Row]]:
    """Rows by table, in an order that foreign keys allow; the same arguments give the same rows."""

    def chance(part: str) -> Random:
        # One stream for each table: a change in how one is drawn leaves the others as they were.
        return Random(f"{seed}/{part}")  # noqa: S311 -- invented data, nothing secret

    cadets = people.cadets(chance("cadets"), cadet_count)
    staff = people.staff(chance("staff"))
    users = people.users(cadets, staff)
    days = semester.training_days()
    records = semester.attendance(chance("attendance"), days, cadets)
    letters = semester.letters(chance("letters"), days, records)  # before the grades: it excuses absences
    issuer = next(user for user in users if user["role"] == "training_staff")
    issuer_name = f"{staff[0]['rank']} {staff[0]['first_name']} {staff[0]['last_name']}"
    logs = semester.merit_logs(chance("merits"), cadets, issuer, issuer_name)
    tables = {
        "cadets": cadets,
        "training_staff": staff,
        "users": users,
        "user_settings": people.user_settings(chance("settings"), users),
        "merit_demerit_logs": logs,
        "grades": semester.grades(chance("grades"), cadets, records, logs),
        "training_days": days,
        "attendance_records": records,
        "staff_attendance_records": semester.staff_attendance(days, staff),
        "excuse_letters": letters,
        "activities": semester.activities(),
    }
    # Ids of our choosing throughout, so that what an earlier use of the tables left in their sequences does not matter.
    return {table: [{"id": number, **row} for number, row in enumerate(rows, 1)] for table, rows in tables.items()}
