"""What a broker finds when it starts: its configuration and a formatted, empty storage. Starts no broker."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from muster_local.errors import LocalError
from muster_local.jars import KAFKA_VERSION
from muster_local.kafka_runtime import KafkaOptions, KafkaRuntime
from muster_local.ports import LOOPBACK, free_port

# Any 16 bytes in URL-safe base64 will do: two local clusters never meet.
_CLUSTER_ID = "TXVzdGVyLWxvY2FsLWthZg"

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
# Deleted topics give their files and memory maps back at once: nobody here reads on in a topic that was deleted.
log.segment.delete.delay.ms=0
# Else the topics deleted in the first 30 s stay until then, and whoever waits for it waits.
log.initial.task.delay.ms=500
# The default of 128 MB for the compactor would be a quarter of the heap.
log.cleaner.dedupe.buffer.size=16777216
# A killed broker may come back only when its old session has ended.
broker.session.timeout.ms={session_ms}
broker.heartbeat.interval.ms={beat_ms}
num.network.threads=2
num.io.threads=4
background.threads=4
"""


def write_properties(folder: Path, port: int, options: KafkaOptions) -> Path:
    """The broker's configuration file, for the storage in `folder`/data."""
    properties = folder / "server.properties"
    session_ms = int(options.session_seconds * 1000)
    text = _BROKER.format(
        host=LOOPBACK, port=port, controller_port=free_port(), data=folder / "data", session_ms=session_ms,
        beat_ms=session_ms // 4,
    )  # fmt: skip
    # It may hold passwords.
    properties.touch(mode=0o600)
    properties.write_text(options.security.extend(text) if options.security else text, encoding="utf-8")
    return properties


def provide_storage(folder: Path, runtime: KafkaRuntime) -> None:
    """Give `folder`/data the files of a formatted, empty storage, unless it has them.

    The formatting itself, a Java start, is done once per cache.
    """
    if (folder / "data" / "meta.properties").exists():
        return
    template = runtime.cache / f"kafka-storage-{KAFKA_VERSION}"
    if not template.exists():
        _format(template, runtime)
    shutil.copytree(template, folder / "data", dirs_exist_ok=True)


def _format(template: Path, runtime: KafkaRuntime) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as scratch:
        options = KafkaOptions(quick_compiler=True)
        properties = write_properties(Path(scratch), free_port(), options)
        tool = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties))
        command = runtime.command(options, *tool)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        if done.returncode:
            raise LocalError(f"Kafka's storage could not be formatted:\n{(done.stderr or done.stdout)[-2000:]}")
        (Path(scratch) / "data").rename(template)
