"""Finds the fields that the columns of a file mean; case, spaces and punctuation do not matter. Reads no row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from import_service.domain.columns import Need
from import_service.domain.entity import Entity, normal
from import_service.domain.file_refusals import RefusedHeader
from import_service.domain.limits import MAX_COLUMNS
from import_service.domain.validation import MAX_NAME

#: What rosters call the student id when they have no better column; in a message such a name would mean the row's id.
_STUDENT = frozenset({"id", "idno", "idnumber", "studno", "studentnum", "schoolid", "qr", "qrcode"})


def match(entity: Entity, header: Sequence[str]) -> tuple[str | None, ...]:
    """The name under which the cells of each column are handed on; None for a column without a header.

    Names nobody knows are handed on as they are: what becomes of them is the entity's decision.

    Raises: RefusedHeader.
    """
    if len(header) > MAX_COLUMNS:
        raise RefusedHeader(f"The file has more than {MAX_COLUMNS} columns.")
    known = [entity.names.get(normal(cell)) for cell in header]
    names = [column.name if column else _plain(cell) for column, cell in zip(known, header, strict=True)]
    if "student_id" in (column.name for column in entity.columns) and "student_id" not in names:
        names = ["student_id" if name and normal(name) in _STUDENT else name for name in names]
    _refuse_doubled(entity, names)
    missing = [column.name for column in entity.columns if column.need is Need.ALWAYS and column.name not in names]
    if missing:
        raise RefusedHeader(
            f"The first row must name the columns, and none is called {' or '.join(missing)}; "
            f"known are {', '.join(column.name for column in entity.columns)}."
        )
    return tuple(names)


def _plain(header: str) -> str | None:
    """A header is data of a stranger: one line, and short."""
    return " ".join(header.split())[:MAX_NAME] or None


def _refuse_doubled(entity: Entity, names: Sequence[str | None]) -> None:
    """Two columns nobody knows may be called the same: nothing is taken from either."""
    counts = Counter(name for name in names if name is not None and normal(name) in entity.names)
    doubled = [name for name, count in counts.items() if count > 1]
    if doubled:
        raise RefusedHeader(f"More than one column means {', '.join(doubled[:5])}: keep one of them.")
