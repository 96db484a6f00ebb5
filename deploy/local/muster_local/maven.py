"""Fetches jars from Maven Central and resolves what Kafka needs. What is fetched is judged by the lock of jars.py."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext, Model
from requests import RequestException

from muster_local.errors import LocalError
from muster_local.jars import KAFKA_VERSION, LOCK, Jar, Progress, is_whole, sha256_of


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
    # The console producer and consumer, without what only their other tools need.
    artifacts.append(context.project("org.apache.kafka", "kafka-tools").at_version(version).artifact())
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda artifact: Path(artifact.resolve()), artifacts))
    jars = [
        Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256_of(path))
        for artifact, path in zip(artifacts, paths, strict=True)
    ]
    heading = (
        "# Apache Kafka's broker, console tools and what they need. Written by: python -m muster_local lock-kafka\n"
    )
    lock.write_text(heading + "".join(jar.line() for jar in jars), encoding="utf-8")
    return len(jars)


def fetch_all(missing: list[Jar], folder: Path, progress: Progress) -> None:
    """Bring the jars into `folder`, all of them verified. Raises LocalError."""
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
    if not is_whole(fetched, jar):
        fetched.unlink(missing_ok=True)
        raise LocalError(f"{jar.file_name} is not what kafka.lock names (its SHA-256 differs): it was thrown away.")
    os.replace(fetched, folder / jar.file_name)


def _maven(cache: Path) -> MavenContext:
    return MavenContext(repo_cache=cache / "maven", timeout=30)
