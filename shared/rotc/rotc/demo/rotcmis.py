"""An invented ROTCMIS export: cadets as its JSON has them, in either key style. Writes to no database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from random import Random

from rotc.demo import people
from rotc.demo.people import Row

#: What an export holds of a cadet: everything but what the unit's own system keeps for itself.
FIELDS = (
    "student_id", "first_name", "last_name", "middle_name", "suffix_name", "company", "platoon", "course", "year_level",
    "status", "contact_number", "email", "birthdate", "birthplace", "age", "height", "weight", "blood_type", "address",
    "civil_status", "nationality", "gender", "language_spoken", "combat_boots_size", "uniform_size", "bullcap_size",
    "rotc_unit", "mobilization_center",
)  # fmt: skip
#: As many as invented student ids are drawn from at once.
DRAWN = 50_000


def camel(name: str) -> str:
    """`first_name` -> `firstName`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def export(seed: int, count: int, *, camel_case: bool = False) -> Iterator[Row]:
    """One row after the other, so that many need no memory; the same arguments give the same rows.

    What a cadet has not filled in is missing from the row, as the export leaves it out.
    """
    for start in range(0, count, DRAWN):
        chance = Random(f"{seed}/rotcmis/{start}")  # noqa: S311 -- invented data, nothing secret
        for cadet in people.cadets(chance, min(DRAWN, count - start)):
            row = {name: _plain(cadet[name]) for name in FIELDS if cadet[name] is not None}
            row["student_id"] = f"{2024 + start // DRAWN}-{cadet['student_id'].partition('-')[2]}"
            row["email"] = f"{start}.{row['email']}"
            yield {camel(name): value for name, value in row.items()} if camel_case else row


def export_text(seed: int, count: int, *, camel_case: bool = False) -> str:
    """The same as the file that ROTCMIS writes: an object with the rows as `records`."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in export(seed, count, camel_case=camel_case))
    return f'{{"records": [\n{rows}\n]}}\n'


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
