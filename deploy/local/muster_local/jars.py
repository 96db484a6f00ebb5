"""Kafka's jars as `kafka.lock` names them, verified at every start. Fetching them is maven.py's."""

import fcntl
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Not 4.3.1, with which a single broker that is stopped can hide a partition for ever (decision 0010).
KAFKA_VERSION = "4.2.1"
LOCK = Path(__file__).with_name("kafka.lock")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Jar:
    """One line of the lock file: `group:artifact:version sha256`."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def line(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version} {self.sha256}\n"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [_parse(line) for line in lines if line and not line.startswith("#")]


def _parse(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def ensure_jars(cache: Path, progress: Progress = lambda _done, _total: None) -> list[Path]:
    """All jars of the lock, in its order, as verified files of `cache`; `progress(done, total)` while fetching."""
    folder = cache / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    locked = read_lock()
    # Several test runs may start at once on an empty cache: one fetches, the others wait and find the files.
    with (folder / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        missing = [jar for jar in locked if not is_whole(folder / jar.file_name, jar)]
        if missing:
            # Imported here: jgo costs half a second, and is of no use once the jars are there.
            from muster_local.maven import fetch_all

            fetch_all(missing, folder, progress)
    return [folder / jar.file_name for jar in locked]


def is_whole(path: Path, jar: Jar) -> bool:
    return path.is_file() and sha256_of(path) == jar.sha256


def sha256_of(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
