"""What a service's task types look like beside the schemas that its stored records were written under. Pure.

Reading and writing the files is cli/schemas.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from muster.contracts.compatibility import Break, breaks
from muster.contracts.schema_reading import Schema


class Difference(NamedTuple):
    """One task type whose schema is not the stored one."""

    task_type: str
    #: `new`, `changed` or `gone`.
    kind: str
    breaks: tuple[Break, ...] = ()

    @property
    def is_safe(self) -> bool:
        """Every stored record is still accepted."""
        return self.kind != "gone" and not self.breaks

    def sentences(self) -> list[str]:
        """What stands in the way, each with what to do."""
        if self.kind == "gone":
            return [
                f"{self.task_type} is no longer declared, but its records may be in a lane, delayed or dead: keep it "
                "until its dead letters are 90 days old, then delete its schema file"
            ]
        return [f"{self.task_type}: {found}" for found in self.breaks]


def differences(stored: Mapping[str, Schema], declared: Mapping[str, Schema]) -> list[Difference]:
    """Every task type that is new, changed or gone, by its name."""
    found = []
    for name in sorted(stored.keys() | declared.keys()):
        if name not in declared:
            found.append(Difference(name, "gone"))
        elif name not in stored:
            found.append(Difference(name, "new"))
        elif stored[name] != declared[name]:
            found.append(Difference(name, "changed", breaks(stored[name], declared[name])))
    return found
