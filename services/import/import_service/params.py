"""What a caller may send to the tasks and what comes back: names, types and ranges. Rows are judged in domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from muster.worker.files import FileReference
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
LONGEST_TEXT = 28 * 2**20  # 20 MB in base64 with line breaks

Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
MergeStrategy: TypeAlias = Literal["skip", "update", "error"]


class _Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Wrapped(_Parameters):
    """Rows in an object of their own, as some exports have them; other members are looked over."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    records: list[Any] | None = None
    data: list[Any] | None = None

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.records is None) == (self.data is None):
            raise ValueError("give the rows as `records` or as `data`")
        return self

    @property
    def rows(self) -> list[Any]:
        return self.records if self.records is not None else self.data or []


#: A list of rows, such a list in an object, both as JSON text, or a file of that text (a claim check).
RowsAsJson: TypeAlias = list[Any] | FileReference | Wrapped | str


class ImportRotcmis(_Parameters):
    """Parameters of import_rotcmis_data, which had two signatures: with `json_data`, and with `data`."""

    json_data: RowsAsJson | None = None
    #: users.id of who imports: must be an approved admin or training staff.
    user_id: Id
    #: What becomes of a row whose cadet exists.
    merge_strategy: MergeStrategy = "skip"
    #: Write nothing, and say what would happen.
    dry_run: bool = False
    #: Another name of json_data.
    data: RowsAsJson | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.json_data is None) == (self.data is None):
            raise ValueError("give the rows as `json_data` or as `data`")
        return self

    @property
    def source(self) -> RowsAsJson:
        return self.json_data if self.json_data is not None else self.data or []


class BulkUpdate(_Parameters):
    """Parameters of bulk_update_cadets."""

    #: Objects with `cadet_id` and the fields to set; null empties a field.
    updates_data: RowsAsJson
    user_id: Id


def _form(value: object) -> str:
    return "reference" if isinstance(value, Mapping | FileReference) else "text"


#: base64 text, a `data:` URL, an `https:` URL, or `{"ref": ...}`, which muster.client.File becomes.
TableFile = Annotated[
    Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_TEXT), Tag("text")]
    | Annotated[FileReference, Tag("reference")],
    Discriminator(_form),
    Field(repr=False),
]


class ImportFile(_Parameters):
    """Parameters of import_csv."""

    #: CSV or an Excel workbook (.xlsx), at most 20 MB.
    file: TableFile
    entity_type: Literal["cadets", "grades", "attendance"]
    #: users.id of who imports: must be an approved admin or training staff.
    user_id: Id
    #: What becomes of a row whose record exists.
    merge_strategy: MergeStrategy = "skip"
    #: Write nothing, and say what would happen.
    dry_run: bool = False


class CleanAuditLogs(_Parameters):
    """Parameters of cleanup_old_audit_logs."""

    #: Days that rows are kept.
    days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 90


class CleanSyncEvents(_Parameters):
    """Parameters of cleanup_old_sync_events."""

    #: Days that processed events are kept.
    days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 7


class RowProblem(BaseModel):
    """Why a row was refused: `row` from 1, `code` for programs, `message` for people."""

    row: int
    field: str
    code: str
    message: str


class ImportResult(BaseModel):
    """Result of an import. Lists hold at most 1,000 entries; the counts beside them are complete."""

    total: int
    created_count: int
    updated_count: int
    #: Records that were there and stayed as they are.
    skipped_count: int
    #: Rows that were refused, each for one reason or several.
    error_count: int
    #: created + updated.
    success_count: int
    #: Reasons of refusals in all.
    problem_count: int
    errors: list[RowProblem]
    warnings: list[str]
    created_ids: list[int]
    updated_ids: list[int]
    dry_run: bool = False
    #: A CSV file of what became of every row, and of each refused one why; null when it could not be stored.
    report_url: str | None = None


class BulkUpdateResult(BaseModel):
    """Result of bulk_update_cadets."""

    total: int
    updated_count: int
    #: Cadets who had these values already.
    unchanged_count: int
    error_count: int
    problem_count: int
    errors: list[RowProblem]
    warnings: list[str]
    #: As of an import.
    report_url: str | None = None


class Cleaned(BaseModel):
    """Result of a cleanup: how many rows it deleted."""

    deleted: int
