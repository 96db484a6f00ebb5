"""A real Apache Kafka of one node (KRaft) on 127.0.0.1: formatted, started, ready. Creates no topics."""

import asyncio
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from muster_local import processes
from muster_local.errors import LocalError
from muster_local.jars import KAFKA_VERSION, Progress, ensure_jars
from muster_local.java import java
from muster_local.ports import LOOPBACK, accepts, free_port, wait_until
from muster_local.processes import ProcessIdentity, Register

_LOG4J = Path(__file__).with_name("log4j2.yaml")
# Any 16 bytes in URL-safe base64 will do: two local clusters never meet.
_CLUSTER_ID = "TXVzdGVyLWxvY2FsLWthZg"
_READY_SECONDS = 60.0

_BROKER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# Topics are declared and created by `muster topics apply`: a typing error must not make one.
auto.create.topics.enable=false
# One node: there is nobody to replicate to, and nobody to wait for before a group starts.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# Few partitions of the internal topics: each costs files and start time.
offsets.topic.num.partitions=6
transaction.state.log.num.partitions=6
share.coordinator.state.topic.num.partitions=1
# A killed worker's open transaction hides what follows it: look for such ones every second (default: ten).
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Tests let a consumer die and do not want to wait six seconds for it.
group.min.session.timeout.ms=1000
# A task may carry a document of 20 MB, in base64.
message.max.bytes=33554432
# The default of 128 MB for the compactor would be a quarter of the heap.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
background.threads=4
"""


@dataclass(frozen=True)
class KafkaOptions:
    """How to run the broker; the defaults are those of the demo."""

    #: None: a free one.
    port: int | None = None
    heap_megabytes: int = 512
    #: Compile quickly instead of well: starts 0.6 s sooner and leaves the cores to the tests; throughput suffers.
    quick_compiler: bool = False


@dataclass(frozen=True)
class KafkaServer:
    """A broker that answers."""

    bootstrap: str
    port: int
    identity: ProcessIdentity
    log: Path

    def stop(self) -> None:
        processes.stop(self.identity)


def start_kafka(
    folder: Path,
    cache: Path,
    options: KafkaOptions = KafkaOptions(),
    progress: Progress = lambda _done, _total: None,
    register: Register = lambda _identity: None,
) -> KafkaServer:
    """Start a broker whose data lives in `folder`; returns when it answers an admin request (about two seconds).

    `progress(done, total)` tells of the jars while they are fetched, at the first start only; `register` gets the
    process as soon as it exists.
    Raises LocalError with the end of the broker's log when it does not come up.
    """
    jars = ensure_jars(cache, progress)
    data, log = folder / "data", folder / "kafka.log"
    _format(data, cache, jars)
    port = free_port(options.port)
    properties = _write_properties(folder, data, port)
    command = [*_java(jars, options), *_shared_classes(cache)]
    identity = processes.start([*command, "kafka.Kafka", properties], log=log, register=register)
    server = KafkaServer(f"{LOOPBACK}:{port}", port, identity, log)
    _wait_ready(server)
    return server


def _java(jars: list[Path], options: KafkaOptions) -> list[str]:
    compiler = ["-XX:TieredStopAtLevel=1"] if options.quick_compiler else []
    return [
        str(java()),
        f"-Xmx{options.heap_megabytes}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        *compiler,
        f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}",
        "-cp",
        os.pathsep.join(map(str, jars)),
    ]


def _archive(cache: Path) -> Path:
    """Where Kafka's classes lie as this Java has parsed them; Java itself checks that they fit."""
    runtime = hashlib.sha256(str(java()).encode()).hexdigest()[:8]
    return cache / f"kafka-classes-{KAFKA_VERSION}-{runtime}.jsa"


def _shared_classes(cache: Path) -> list[str]:
    # Measured: 2.65 instead of 3.2 CPU seconds to the first answer.
    archive = _archive(cache)
    return [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"] if archive.exists() else []


def _write_properties(folder: Path, data: Path, port: int) -> Path:
    properties = folder / "server.properties"
    text = _BROKER.format(host=LOOPBACK, port=port, controller_port=free_port(), data=data)
    properties.write_text(text, encoding="utf-8")
    return properties


def _format(data: Path, cache: Path, jars: list[Path]) -> None:
    """Give `data` the files of a formatted, empty storage; the formatting itself (a Java start) is done once."""
    if (data / "meta.properties").exists():
        return
    template = cache / f"kafka-storage-{KAFKA_VERSION}"
    if not template.exists():
        _make_template(template, jars)
    shutil.copytree(template, data, dirs_exist_ok=True)


def _make_template(template: Path, jars: list[Path]) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as scratch:
        data = Path(scratch) / "data"
        properties = _write_properties(Path(scratch), data, free_port())
        archive = Path(scratch) / "classes.jsa"
        tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
        # The formatting loads a third of the broker's classes: keeping them costs a second, once.
        command = [*_java(jars, KafkaOptions()), f"-XX:ArchiveClassesAtExit={archive}", *tool]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if done.returncode:
            raise LocalError(f"Kafka's storage could not be formatted:\n{(done.stderr or done.stdout)[-2000:]}")
        # Another process may have been quicker; its template is as good.
        if not template.exists():
            data.rename(template)
        if archive.exists():
            archive.replace(_archive(template.parent))


def _wait_ready(server: KafkaServer) -> None:
    def answers_or_died() -> bool:
        return not server.identity.is_alive() or (accepts(server.port) and _answers(server.bootstrap))

    in_time = wait_until(answers_or_died, timeout_seconds=_READY_SECONDS)
    ended = not server.identity.is_alive()
    if ended or not in_time:
        server.stop()
        raise processes.start_failure("Kafka", server.log, ended=ended, seconds=_READY_SECONDS)


def _answers(bootstrap: str) -> bool:
    # A thread of its own: the caller may be inside an event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_describe(bootstrap))).result()


async def _describe(bootstrap: str) -> bool:
    quiet = logging.getLogger("aiokafka")
    level, quiet.disabled = quiet.disabled, True
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (TimeoutError, KafkaError, OSError):
        return False
    finally:
        await admin.close()
        quiet.disabled = level
