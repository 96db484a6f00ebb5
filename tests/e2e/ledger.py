"""The file in which the practice tasks note their runs, read back. The tasks that write it are practice_worker.py's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Note:
    """One line: a run of a task began or ended."""

    task_id: str
    what: str
    attempt: int
    delivery: int
    #: Seconds since the epoch.
    at: float


@dataclass(frozen=True)
class Ledger:
    """Every run, also of tasks whose worker was killed in the middle."""

    file: Path

    def notes(self) -> list[Note]:
        if not self.file.exists():
            return []
        found = []
        for line in self.file.read_text().splitlines():
            task_id, what, attempt, delivery, at = line.split()
            found.append(Note(task_id, what, int(attempt), int(delivery), float(at)))
        return found

    def runs(self) -> list[Note]:
        """Each run that began, in order."""
        return [note for note in self.notes() if note.what == "began"]

    def notes_of(self, task_id: str) -> list[str]:
        """What one task noted: "began", "ended"."""
        return [note.what for note in self.notes() if note.task_id == task_id]
