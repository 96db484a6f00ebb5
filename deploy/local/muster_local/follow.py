"""Reads several log files at once, from their end on. Knows no parts and prints nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event

# A person reads along: a fifth of a second is at once.
_LOOK_SECONDS = 0.2
_LONGEST_TAIL_BYTES = 1024 * 1024

Line = tuple[str, str]


def last_lines(files: Mapping[str, Path], lines: int) -> Iterator[Line]:
    """The last lines of each file, as (name, line)."""
    for name, file in files.items():
        with file.open("rb") as source:
            source.seek(max(0, file.stat().st_size - _LONGEST_TAIL_BYTES))
            text = source.read().decode(errors="replace").splitlines()
        yield from ((name, line) for line in text[len(text) - min(lines, len(text)) :])


def follow(files: Mapping[str, Path], until: Event) -> Iterator[Line]:
    """New whole lines of all files, as (name, line), until the event is set; a file put aside begins anew."""
    offsets = {name: file.stat().st_size for name, file in files.items()}
    while not until.wait(_LOOK_SECONDS):
        for name, file in files.items():
            size = file.stat().st_size if file.exists() else 0
            offsets[name] = min(offsets[name], size)
            if size > offsets[name]:
                text = _whole_lines(file, offsets[name])
                offsets[name] += len(text)
                yield from ((name, line) for line in text.decode(errors="replace").splitlines())


def _whole_lines(file: Path, offset: int) -> bytes:
    with file.open("rb") as source:
        source.seek(offset)
        text = source.read(_LONGEST_TAIL_BYTES)
    return text[: text.rfind(b"\n") + 1]
