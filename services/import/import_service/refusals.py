"""What PostgreSQL says when it refuses rows quotes them: here it becomes a sentence that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from muster.contracts.errors import PermanentError, StoreError

#: Somebody else made or deleted the same record in this moment: another run will see it.
_OVERTAKEN = (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError)


class RefusedByDatabase(PermanentError):
    """The tables have a rule of their own that a row breaks; every run would meet it."""


@contextmanager
def without_rows() -> Iterator[None]:
    """Raises, in place of what asyncpg raises: RefusedByDatabase; StoreError, after which the task is run again."""
    try:
        yield
    except _OVERTAKEN as error:
        raise StoreError(f"the import was overtaken by another change ({_rule(error)})") from None
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise RefusedByDatabase(f"the database refuses a row ({_rule(error)}): nothing was imported") from None
    except asyncpg.PostgresError as error:
        raise StoreError(f"the database did not carry the import out ({type(error).__name__})") from None


def _rule(error: Exception) -> str:
    named = [getattr(error, name, None) for name in ("table_name", "column_name", "constraint_name")]
    return ", ".join([type(error).__name__, *(name for name in named if name)])
