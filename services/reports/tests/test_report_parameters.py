"""What the tasks take: types, filters that belong to their type, and one sentence for anything else."""

from __future__ import annotations

from typing import Any

import pytest
from muster.contracts.errors import ConfigurationError, InvalidParameters
from pydantic import SecretStr
from reports_service.settings import ReportsSettings
from reports_service.storing import file_stem
from reports_service.tasks import app

TASK = app.tasks["generate_pdf_report"]


@pytest.mark.parametrize(
    ("kind", "filters"),
    [
        ("cadet_profile", {"cadet_id": 1}),
        ("grades", {}),
        ("grades", {"company": "Alpha", "platoon": None, "search": "cruz"}),
        ("attendance", {"date_from": "2026-01-01", "date_to": "2026-01-01"}),
        ("certificate", {"activity_id": 1, "cadet_name": "Ana"}),
    ],
)
def test_each_type_takes_its_filters(kind: str, filters: dict[str, Any]) -> None:
    TASK.validate({"report_type": kind, "filters": filters, "user_id": 1})


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"report_type": "salary", "user_id": 1}, "report_type"),
        ({"report_type": "grades", "filters": {"cadet_id": 1}, "user_id": 1}, "has no filter cadet_id"),
        ({"report_type": "grades", "filters": {"colour": "red"}, "user_id": 1}, "colour"),
        ({"report_type": "cadet_profile", "filters": {}, "user_id": 1}, "needs the filter cadet_id"),
        ({"report_type": "certificate", "filters": {"activity_id": 1}, "user_id": 1}, "needs the filter cadet_name"),
        ({"report_type": "attendance", "filters": {"date_from": 20260101}, "user_id": 1}, "give a date as text"),
        (
            {
                "report_type": "attendance",
                "filters": {"date_from": "2026-02-01", "date_to": "2026-01-01"},
                "user_id": 1,
            },
            "date_from is after date_to",
        ),
        ({"report_type": "grades", "filters": {"company": "a\x00b"}, "user_id": 1}, "company"),
        ({"report_type": "grades", "user_id": "1"}, "user_id"),
        ({"report_type": "grades", "user_id": 2**31}, "user_id"),
    ],
)
def test_anything_else_is_named(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        TASK.validate(parameters)

    assert why in str([(problem.field, problem.message) for problem in refused.value.problems])


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_one_to_a_hundred_entries(count: int) -> None:
    with pytest.raises(InvalidParameters):
        app.tasks["batch_generate_cadet_pdfs"].validate({"cadet_ids": [1] * count, "user_id": 1})
    names = {"activity_id": 1, "cadet_names": ["Ana"] * count, "user_id": 1}
    with pytest.raises(InvalidParameters):
        app.tasks["batch_generate_certificates"].validate(names)


def test_a_stored_name_comes_from_the_task_id_whatever_it_is() -> None:
    assert file_stem("0b9c-1", "report") == "0b9c-1"
    assert file_stem("0b9c-1", "cadet-3") == "0b9c-1_cadet-3"
    odd = file_stem("../../x y", "report")
    assert odd == file_stem("../../x y", "report")
    assert odd.isalnum()


def settings(**values: Any) -> ReportsSettings:
    keys = SecretStr(values.pop("certificate_keys", "k" * 32))
    return ReportsSettings(
        database_url=SecretStr("postgresql://x"), cloudinary_cloud_name="unit", cloudinary_api_key="key",
        cloudinary_api_secret=SecretStr("s"), certificate_keys=keys, **values,
    )  # fmt: skip


@pytest.mark.parametrize("keys", ["", " , ", "short", "k" * 32 + ",short"])
def test_keys_that_could_be_guessed_stop_the_service(keys: str) -> None:
    with pytest.raises(ConfigurationError, match="CERTIFICATE_KEYS"):
        settings(certificate_keys=keys).keys()


def test_signatories_are_names_with_offices() -> None:
    found = settings(reports_signatories="Maj. Reyes | Commandant; | Commander;").signatories()

    assert found == (("Maj. Reyes", "Commandant"), ("", "Commander"))
