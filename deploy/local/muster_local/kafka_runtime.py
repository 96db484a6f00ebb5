"""The command that runs Kafka's Java programs, and its classes kept in parsed form. Starts no broker."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from muster_local.jars import KAFKA_VERSION
from muster_local.java import java, major_version
from muster_local.kafka_security import KafkaSecurity

_LOG4J = Path(__file__).with_name("log4j2.yaml")
# From this version on, Java keeps profiles and linked classes too.
_FIRST_WITH_AOT_CACHE = 25


@dataclass(frozen=True)
class KafkaOptions:
    """How to run the broker; the defaults are those of the demo."""

    #: None: a free one.
    port: int | None = None
    heap_megabytes: int = 512
    #: Compile quickly instead of well: starts 0.6 s sooner and leaves the cores to the tests; throughput suffers.
    quick_compiler: bool = False
    #: Listeners with TLS and names; None: only the plain one.
    security: KafkaSecurity | None = None
    #: Kafka's own default. A killed broker stays away this long; a shorter one also ends when the machine stalls.
    session_seconds: float = 9.0


@dataclass(frozen=True)
class KafkaRuntime:
    """Kafka's jars, the Java that runs them, and a folder for what may be computed anew."""

    jars: list[Path]
    cache: Path

    def command(self, options: KafkaOptions, *arguments: str) -> list[str]:
        """The command line of a Java program of Kafka: flags, class name, its arguments."""
        compiler = ["-XX:TieredStopAtLevel=1"] if options.quick_compiler else []
        return [
            str(java()),
            f"-Xmx{options.heap_megabytes}m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            *compiler,
            f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}",
            "-cp",
            os.pathsep.join(map(str, self.jars)),
            *arguments,
        ]

    @property
    def kept_classes(self) -> Path:
        """The file of classes as this Java has parsed them; Java itself checks that it fits."""
        name = hashlib.sha256(str(java()).encode()).hexdigest()[:8]
        return self.cache / f"kafka-classes-{KAFKA_VERSION}-{name}"

    def use_kept_classes(self) -> list[str]:
        """Flags that spare most of the loading: 1.9 instead of 3.2 CPU seconds to the first answer, measured."""
        if not self.kept_classes.exists():
            return []
        flag = "AOTCache" if _has_aot_cache() else "SharedArchiveFile"
        return [f"-XX:{flag}={self.kept_classes}"]

    def keep_classes(self, file: Path) -> list[str]:
        """Flags that make a program write `file` when it ends."""
        return [f"-XX:{'AOTCacheOutput' if _has_aot_cache() else 'ArchiveClassesAtExit'}={file}"]


def _has_aot_cache() -> bool:
    return major_version(java()) >= _FIRST_WITH_AOT_CACHE
