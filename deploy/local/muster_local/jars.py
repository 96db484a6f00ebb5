"""Kafka's jars: fetched once from Maven Central, verified against `kafka.lock` at every start. Runs no Java."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jgo.maven import MavenContext, Model
from requests import RequestException

from muster_local.errors import LocalError

KAFKA_VERSION = "4.3.1"
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
        missing = [jar for jar in locked if not _is_whole(folder / jar.file_name, jar)]
        _fetch_all(missing, folder, progress)
    return [folder / jar.file_name for jar in locked]


def write_lock(cache: Path, version: str = KAFKA_VERSION, lock: Path = LOCK) -> int:
    """Resolve Kafka's dependencies anew and write the lock file; returns the number of jars."""
    context = _maven(cache)
    broker = context.project("org.apache.kafka", "kafka_2.13").at_version(version)
    artifacts = [
        broker.artifact(),
        *(dependency.artifact for dependency in Model(broker.pom(), context).dependencies()[0]),
    ]
    logging = next(artifact for artifact in artifacts if artifact.artifactId == "log4j-core").version
    # Kafka speaks SLF4J and brings Log4j, but leaves the bridge between them to its packager.
    artifacts.append(context.project("org.apache.logging.log4j", "log4j-slf4j-impl").at_version(logging).artifact())
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda artifact: Path(artifact.resolve()), artifacts))
    jars = [
        Jar(artifact.groupId, artifact.artifactId, artifact.version, _sha256(path))
        for artifact, path in zip(artifacts, paths, strict=True)
    ]
    heading = "# Apache Kafka's broker and what it needs. Written by: python -m muster_local lock-kafka\n"
    lock.write_text(heading + "".join(jar.line() for jar in jars), encoding="utf-8")
    return len(jars)


def _fetch_all(missing: list[Jar], folder: Path, progress: Progress) -> None:
    if not missing:
        return
    context = _maven(folder.parent)
    with ThreadPoolExecutor(8) as pool:
        for done, _ in enumerate(pool.map(lambda jar: _fetch(context, jar, folder), missing), start=1):
            progress(done, len(missing))
    shutil.rmtree(context.repo_cache, ignore_errors=True)


def _fetch(context: MavenContext, jar: Jar, folder: Path) -> None:
    try:
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        fetched = Path(component.artifact().resolve())
    except (RequestException, OSError, RuntimeError) as error:
        raise LocalError(
            f"Kafka's file {jar.file_name} could not be fetched ({type(error).__name__}): "
            "the first start needs the network and about 45 MB of disk; try again when both are there."
        ) from error
    if not _is_whole(fetched, jar):
        fetched.unlink(missing_ok=True)
        raise LocalError(f"{jar.file_name} is not what kafka.lock names (its SHA-256 differs): it was thrown away.")
    os.replace(fetched, folder / jar.file_name)


def _maven(cache: Path) -> MavenContext:
    return MavenContext(repo_cache=cache / "maven", timeout=30)


def _is_whole(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
