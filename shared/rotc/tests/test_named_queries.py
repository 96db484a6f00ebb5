"""Named queries: how the files are read, and that code and files name the same ones."""

import re
from pathlib import Path

import pytest
import rotc
from rotc.sql import load, parse

PACKAGE = Path(rotc.__file__).parent

GOOD = """-- name: first
-- Says one.
SELECT 1;

-- name: second
-- Says two,
-- in two lines.
SELECT
    2;
"""


def test_a_file_is_read_into_queries_without_their_comments() -> None:
    assert dict(parse(GOOD, "good.sql")) == {"first": "SELECT 1", "second": "SELECT\n    2"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + GOOD, "first is there twice"),
        ("-- name: bare\nSELECT 1;", "bare needs a line"),
        ("-- name: empty\n-- Does nothing.\n", "empty needs a line"),
        ("-- name: blank\n", "blank needs a line"),
    ],
)
def test_a_careless_file_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text, "careless.sql")


def test_every_query_is_used_and_every_used_query_exists() -> None:
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    # Names stand in SQL["..."] or travel as arguments to a helper of the same module, always as whole strings.
    mentioned = set(re.findall(r'"([a-z_]+)"', "\n".join(sources)))
    subscripted = set(re.findall(r'SQL\["([a-z_]+)"\]', "\n".join(sources)))
    written = {name for path in (PACKAGE / "queries").glob("*.sql") for name in load(path.stem)}

    assert subscripted <= written
    assert written <= mentioned
