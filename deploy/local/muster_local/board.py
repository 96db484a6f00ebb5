"""What the person sees while parts start: rich's live lines, or plain ones in a file. Decides nothing."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Board:
    """One line per part; may be used from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._since: dict[str, float] = {}
        self._lines: dict[str, TaskID] = {}
        self._live = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[part]:<12}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, part: str, text: str) -> None:
        self._since[part] = time.monotonic()
        self._lines[part] = self._live.add_task(text, total=None, part=part)

    def advance(self, part: str, text: str, done: int, total: int) -> None:
        if not self.console.is_terminal and (done * 4) // total > ((done - 1) * 4) // total:
            self._say(part, f"{text} {done}/{total}")
        if part in self._lines:
            self._live.update(self._lines[part], description=text, completed=done, total=total)

    def finish(self, part: str, text: str) -> None:
        seconds = time.monotonic() - self._since.get(part, time.monotonic())
        if self.console.is_terminal and part in self._lines:
            self._live.update(self._lines[part], description=text, completed=1, total=1)
        else:
            self._say(part, f"{text} ({seconds:.1f} s)")

    def note(self, part: str, text: str) -> None:
        """A message outside the parts' own lines, like a crash."""
        self._say(part, text)

    def _say(self, part: str, text: str) -> None:
        self.console.print(f"{part:<12} {text}", markup=False, soft_wrap=True)
