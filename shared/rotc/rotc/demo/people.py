"""Invented cadets, training staff and their accounts. What they did all semester is not here."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import cycle, product
from random import Random
from typing import Any

from rotc.demo import vocabulary as words

#: One row by column name; every row of a table has the same keys.
Row = dict[str, Any]

ENROLLED_AT = datetime(2024, 8, 5, 1, 0, tzinfo=UTC)
TERM_START = date(2024, 8, 17)
COMPANY_SIZE = 60

# The mark of an account nobody can log in to: no bcrypt hash begins with it.
UNUSABLE_PASSWORD = "!demo: this account has no password"  # noqa: S105 -- it is none


def ascii_word(name: str) -> str:
    """A name as it may stand in an address: `Peñaflor` -> `penaflor`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


def cadets(chance: Random, count: int) -> list[Row]:
    """Cadets with ids from 1, by company and platoon; about one in twelve has not filled in the profile."""
    numbers = sorted(chance.sample(range(10_000, 99_999), count))
    women, men = _names(chance, words.FEMALE_NAMES), _names(chance, words.MALE_NAMES)
    rows = []
    for index, number in enumerate(numbers):
        female = chance.random() < 0.45
        rows.append(_cadet(chance, index, number, next(women if female else men), female))
    return rows


def _names(chance: Random, first_names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """First and last names; nobody is called like somebody else until every combination is used up."""
    everyone = list(product(first_names, words.SURNAMES))
    chance.shuffle(everyone)
    return cycle(everyone)


def _cadet(chance: Random, index: int, number: int, name: tuple[str, str], female: bool) -> Row:
    first, last = name
    complete = chance.random() > 1 / 12
    suffix = chance.choice(words.SUFFIXES) if not female and chance.random() < 0.1 else None
    return {
        "id": index + 1,
        "student_id": f"2024-{number}",
        "first_name": first,
        "last_name": last,
        "middle_name": chance.choice([other for other in words.SURNAMES if other != last])
        if chance.random() < 0.9
        else None,
        "suffix_name": suffix,
        "company": words.COMPANIES[index // COMPANY_SIZE % len(words.COMPANIES)],
        "platoon": words.PLATOONS[index % COMPANY_SIZE * len(words.PLATOONS) // COMPANY_SIZE],
        "course": chance.choice(words.COURSES),
        "year_level": chance.choice((1, 1, 1, 1, 2)),
        "status": "Drop" if index % COMPANY_SIZE == COMPANY_SIZE - 1 else "Ongoing",
        "profile_pic": None,
        "contact_number": f"0900-555-{index + 1:04d}",
        "email": f"{ascii_word(first)}.{ascii_word(last)}{index + 1}@cadets.example",
        **_personal(Random(number), female, complete),  # noqa: S311 -- invented data, nothing secret
        "facebook_link": None,
        "rotc_unit": words.UNIT,
        "mobilization_center": words.MOBILIZATION_CENTER,
        "is_profile_completed": complete,
        "is_archived": False,
        "created_at": ENROLLED_AT,
    }


def _personal(chance: Random, female: bool, complete: bool) -> Row:
    """The personal fields, which cadets and staff have in common; all empty when the profile is not filled in."""
    birthdate = date(TERM_START.year - chance.randint(18, 21), chance.randint(1, 12), chance.randint(1, 28))
    birthday_passed = (birthdate.month, birthdate.day) <= (TERM_START.month, TERM_START.day)
    fields: Row = {
        "birthdate": birthdate,
        "birthplace": f"{chance.choice(words.TOWNS)}, {words.PROVINCE}",
        "age": TERM_START.year - birthdate.year - (not birthday_passed),
        "height": f"{chance.randint(150, 166) if female else chance.randint(158, 182)} cm",
        "weight": f"{chance.randint(43, 60) if female else chance.randint(50, 78)} kg",
        "blood_type": chance.choice(words.BLOOD_TYPES),
        "address": f"Purok {chance.randint(1, 9)}, Poblacion, {chance.choice(words.TOWNS)}, {words.PROVINCE}",
        "civil_status": "Single",
        "nationality": "Filipino",
        "gender": "Female" if female else "Male",
        "language_spoken": chance.choice(words.LANGUAGES),
        "combat_boots_size": str(chance.randint(5, 8) if female else chance.randint(7, 11)),
        "uniform_size": chance.choice(("S", "M") if female else ("M", "L", "XL")),
        "bullcap_size": chance.choice(("S", "M", "L")),
    }
    return fields if complete else dict.fromkeys(fields)


def staff(chance: Random) -> list[Row]:
    """The training staff, with ids from 1."""
    return [
        {
            "id": index + 1,
            "first_name": first,
            "last_name": last,
            "middle_name": None,
            "suffix_name": None,
            "rank": rank,
            "email": f"{ascii_word(last)}@staff.example",
            "contact_number": f"0900-556-{index + 1:04d}",
            "role": role,
            "profile_pic": None,
            "afpsn": afpsn,
            **_personal(chance, first == "Marilou", complete=False),
            "facebook_link": None,
            "rotc_unit": words.UNIT,
            "mobilization_center": words.MOBILIZATION_CENTER,
            "is_profile_completed": False,
            "has_seen_guide": index == 0,
            "is_archived": False,
            "created_at": ENROLLED_AT,
        }
        for index, (first, last, rank, role, afpsn) in enumerate(words.STAFF)
    ]


def users(cadet_rows: list[Row], staff_rows: list[Row]) -> list[Row]:
    """Accounts: the admins first (ids 1, 2), then the staff, then the cadets, the last of whom waits for approval."""
    accounts = [_user("admin", name, f"{name}@unit.example") for name in words.ADMINS]
    accounts += [
        _user("training_staff", ascii_word(row["last_name"]) + ".staff", row["email"], staff_id=row["id"])
        for row in staff_rows
    ]
    accounts += [_user("cadet", row["student_id"], row["email"], cadet_id=row["id"]) for row in cadet_rows]
    accounts[-1]["is_approved"] = False
    return [{"id": index + 1, **account} for index, account in enumerate(accounts)]


def _user(role: str, username: str, email: str, *, cadet_id: int | None = None, staff_id: int | None = None) -> Row:
    return {
        "username": username,
        "email": email,
        "password": UNUSABLE_PASSWORD,
        "role": role,
        "is_approved": True,
        "cadet_id": cadet_id,
        "staff_id": staff_id,
        "profile_pic": None,
        "created_at": ENROLLED_AT,
    }


def user_settings(chance: Random, user_rows: list[Row]) -> list[Row]:
    """One row of preferences for each account; a few people want no mail, a few no push."""
    return [
        {
            "user_id": row["id"],
            "email_alerts": chance.random() > 0.1,
            "push_notifications": chance.random() > 0.15,
            "activity_updates": True,
            "dark_mode": chance.random() < 0.3,
            "compact_mode": False,
            "primary_color": "blue",
        }
        for row in user_rows
    ]
