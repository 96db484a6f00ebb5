"""How far one partition has been moved on, when its records leave out of order. Pure; committing is the shard's part.

The committed offset is the first record not moved yet; its note names which of those behind it were moved already, so
that a crash neither loses a record nor moves one twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain, takewhile

from muster.ports import Bookmark

#: Records of one partition that may stand still while later ones leave: their offsets must fit into the note
#: (Kafka's offset.metadata.max.bytes is 4,096).
MAX_WAITING = 500
_NOTE = re.compile(r"[0-9]{1,18}(:[0-9]{1,18}(,[0-9]{1,18})*)?")


class Progress:
    """One partition. Offsets are taken in order, as they are read, and moved in any order."""

    def __init__(self, start: Bookmark) -> None:
        """Raises ValueError when the note cannot be read."""
        self._next = start.offset
        #: Everything below it is moved, but for what waits here or is still to be read again.
        self._moved_to, unmoved = _parse_note(start)
        self._to_read = dict.fromkeys(unmoved)
        #: Taken and not moved, in the order of their offsets.
        self._waiting: dict[int, None] = {}

    @property
    def next_offset(self) -> int:
        """Where reading goes on."""
        return self._next

    def take(self, offset: int) -> bool:
        """Called for each record read; False when it was moved before."""
        if offset < self._next:
            return False
        self._next = offset + 1
        if offset < self._moved_to and offset not in self._to_read:
            return False
        self._to_read.pop(offset, None)
        self._waiting[offset] = None
        return True

    def put_back(self, offset: int) -> None:
        """The record taken last will be read again later."""
        del self._waiting[offset]
        self._next = offset
        if offset < self._moved_to:
            self._to_read = {offset: None, **self._to_read}

    def movable(self, ready: Collection[int]) -> Iterator[int]:
        """Those of the `ready` offsets that may leave now, so that the note stays short enough."""
        left_behind = len(self._to_read)
        for offset in self._waiting:
            if offset not in ready:
                left_behind += 1
            elif left_behind <= MAX_WAITING:
                yield offset

    def moved(self, offset: int) -> None:
        del self._waiting[offset]
        self._moved_to = max(self._moved_to, offset + 1)

    def bookmark(self) -> Bookmark:
        """What to commit together with the records moved so far."""
        first = next(iter(self._waiting), self._next)
        if first >= self._moved_to:
            return Bookmark(first)
        # Both are in the order of their offsets, and what waits lies before what is still to be read.
        unmoved = takewhile(lambda offset: offset < self._moved_to, chain(self._waiting, self._to_read))
        return Bookmark(first, _note(first, self._moved_to, list(unmoved)))


def _note(first: int, moved_to: int, unmoved: list[int]) -> str:
    """`<distance to the end>:<distance from one unmoved offset to the next>,...`, counted from `first`."""
    steps = [after - before for before, after in zip([first, *unmoved], unmoved, strict=False)]
    return f"{moved_to - first}" + (f":{','.join(map(str, steps))}" if steps else "")


def _parse_note(start: Bookmark) -> tuple[int, list[int]]:
    if not start.note:
        return start.offset, []
    if not _NOTE.fullmatch(start.note):
        raise ValueError(f"the note {start.note[:80]!r} beside offset {start.offset} was not written by this service")
    end, _, steps = start.note.partition(":")
    unmoved, offset = [], start.offset
    for step in steps.split(",") if steps else ():
        offset += int(step)
        unmoved.append(offset)
    return start.offset + int(end), unmoved
