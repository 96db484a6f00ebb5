"""Compares the tables a database has with those the services need. Only reads; changing anything is migrate.py's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rotc.connection import Connection
from rotc.migrate import OCR_MIGRATION, migrations
from rotc.schema import Column, Table, tables_of
from rotc.sql import load

SQL = load("check")

OCR_COLUMNS = frozenset({"ocr_text", "ocr_confidence", "ocr_processed_at"})


class Kind(StrEnum):
    """What is wrong with a table."""

    MISSING_TABLE = "missing table"
    MISSING_COLUMN = "missing column"
    DIFFERENT_TYPE = "different type"
    NULLS_ALLOWED = "nulls allowed"
    NULLS_REFUSED = "nulls refused"
    MISSING_UNIQUE = "missing unique constraint"
    #: A column we do not know, NOT NULL and without a default: every row we insert would be refused.
    UNKNOWN_REQUIRED = "unknown required column"


class Owner(StrEnum):
    """Who migrates the database."""

    DJANGO = "django"
    ROTC = "rotc"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference; `where` is a table or table.column."""

    kind: Kind
    where: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `rotc check` says of a database."""

    owner: Owner
    tables_expected: int
    tables_found: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the services can work with this database."""
        return not self.findings

    @property
    def remedy(self) -> tuple[str, ...]:
        """The statements that add the ocr columns, when it is these that are missing."""
        missing = {finding.where for finding in self.findings if finding.kind is Kind.MISSING_COLUMN}
        if missing.isdisjoint(f"excuse_letters.{column}" for column in OCR_COLUMNS):
            return ()
        lines = migrations()[OCR_MIGRATION].splitlines()
        return tuple(line for line in lines if line.startswith("ALTER TABLE"))


def _column_findings(where: str, expected: Column, found: Column | None) -> Iterator[Finding]:
    if found is None:
        yield Finding(Kind.MISSING_COLUMN, where, expected.type, "")
        return
    if found.type != expected.type:
        yield Finding(Kind.DIFFERENT_TYPE, where, expected.type, found.type)
    if expected.required and not found.required:
        yield Finding(Kind.NULLS_ALLOWED, where, "NOT NULL", "NULL")
    if found.required and not expected.required:
        yield Finding(Kind.NULLS_REFUSED, where, "NULL", "NOT NULL")


def compare(
    expected: Mapping[str, Table], found: Mapping[str, Table], lacking: Mapping[str, set[str]]
) -> list[Finding]:
    """Every difference that could make a service fail, table by table. Pure.

    lacking: by table, the columns which an INSERT has to name since they have neither NULL nor a default.
    """
    findings: list[Finding] = []
    for name, table in expected.items():
        if name not in found:
            findings.append(Finding(Kind.MISSING_TABLE, name, f"{len(table.columns)} columns", ""))
            continue
        for column, wanted in table.columns.items():
            findings += _column_findings(f"{name}.{column}", wanted, found[name].columns.get(column))
        for columns in sorted(map(sorted, table.unique - found[name].unique)):
            findings.append(Finding(Kind.MISSING_UNIQUE, name, f"({', '.join(columns)})", ""))
        for column in sorted(lacking.get(name, set()) - set(table.columns)):
            findings.append(Finding(Kind.UNKNOWN_REQUIRED, f"{name}.{column}", "", found[name].columns[column].type))
    return findings


async def check(connection: Connection) -> Report:
    """Reads the catalog and reports; takes no lock and writes nothing."""
    expected = tables_of(migrations().values())
    found: dict[str, Table] = {}
    lacking: dict[str, set[str]] = {}
    for row in await connection.fetch(SQL["columns"], list(expected)):
        table = found.setdefault(row["table_name"], Table())
        table.columns[row["column_name"]] = Column(row["type"], row["required"])
        if row["lacking"]:
            lacking.setdefault(row["table_name"], set()).add(row["column_name"])
    for row in await connection.fetch(SQL["unique_columns"], list(expected)):
        found[row["table_name"]].unique.add(frozenset(row["columns"]))
    return Report(await owner(connection), len(expected), len(found), tuple(compare(expected, found, lacking)))


async def owner(connection: Connection) -> Owner:
    """Whose migrations made the tables; a database with both histories is Django's."""
    row = await connection.fetchrow(SQL["owner"])
    if row is not None and row["django"]:
        return Owner.DJANGO
    return Owner.ROTC if row is not None and row["rotc"] else Owner.NOBODY
