"""Reads named queries from rotc/queries/*.sql. What the queries mean is said beside them, in those files."""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

# -- name: one_name
# -- A sentence, over as many comment lines as it needs.
# SELECT ...
_HEADER = re.compile(r"^-- name: (?P<name>[a-z_][a-z0-9_]*)$", re.MULTILINE)


def parse(text: str, source: str) -> Mapping[str, str]:
    """The queries of one file by name, in its order, each without its comment lines.

    Raises: ValueError for a name given twice, a query without a sentence, or a sentence without a query.
    """
    pieces = _HEADER.split(text)
    queries: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        lines = [line for line in body.strip().splitlines() if line.strip()]
        query = "\n".join(line for line in lines if not line.startswith("--")).rstrip(";")
        if name in queries:
            raise ValueError(f"{source}: the query {name} is there twice")
        if not query or not lines[0].startswith("-- "):
            raise ValueError(f"{source}: {name} needs a line `-- a sentence` and a query under it")
        queries[name] = query
    return MappingProxyType(queries)


def load(*nouns: str) -> Mapping[str, str]:
    """The queries of rotc/queries/<noun>.sql by name; of several files together, when they share no name."""
    folder = files("rotc").joinpath("queries")
    text = "\n".join(folder.joinpath(f"{noun}.sql").read_text(encoding="utf-8") for noun in nouns)
    return parse(text, " and ".join(nouns))
