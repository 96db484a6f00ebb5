"""A real Apache Kafka of one node (KRaft) on 127.0.0.1: started, ready, stopped. Creates no topics."""

import asyncio
import fcntl
import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from muster_local import processes
from muster_local.jars import Progress, ensure_jars
from muster_local.kafka_runtime import KafkaOptions, KafkaRuntime
from muster_local.kafka_security import KafkaSecurity
from muster_local.kafka_storage import provide_storage, write_properties
from muster_local.ports import LOOPBACK, accepts, free_port, wait_until
from muster_local.processes import ProcessIdentity, Register

__all__ = ["KafkaOptions", "KafkaSecurity", "KafkaServer", "start_kafka"]

_READY_SECONDS = 60.0
_DEMO = KafkaOptions()
# Writing the classes takes three seconds on an idle machine.
_REHEARSAL_END_SECONDS = 90.0


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
    options: KafkaOptions = _DEMO,
    progress: Progress = lambda _done, _total: None,
    register: Register = lambda _identity: None,
) -> KafkaServer:
    """Start a broker whose data lives in `folder`; returns when it answers an admin request (about two seconds).

    `progress(done, total)` tells of the jars while they are fetched, at the first start only; `register` gets the
    process as soon as it exists (twice at the first start, which begins with a rehearsal).
    Raises LocalError with the end of the broker's log when it does not come up.
    """
    runtime = KafkaRuntime(ensure_jars(cache, progress), cache)
    _prepare(runtime, register)
    provide_storage(folder, runtime)
    return _launch(folder, runtime, options, runtime.use_kept_classes(), register)


def _launch(
    folder: Path, runtime: KafkaRuntime, options: KafkaOptions, flags: list[str], register: Register
) -> KafkaServer:
    log, port = folder / "kafka.log", free_port(options.port)
    properties = write_properties(folder, port, options)
    command = runtime.command(options, *flags, "kafka.Kafka", str(properties))
    identity = processes.start(command, log=log, register=register)
    server = KafkaServer(f"{LOOPBACK}:{port}", port, identity, log)
    _wait_ready(server)
    return server


def _prepare(runtime: KafkaRuntime, register: Register) -> None:
    """Once per cache: a rehearsal, after which Java keeps the classes that a broker loads."""
    # Several test runs may start at once on an empty cache: one rehearses, the others wait for what it leaves.
    with (runtime.cache / "kafka.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not runtime.kept_classes.exists():
            _rehearse(runtime, register)


def _rehearse(runtime: KafkaRuntime, register: Register) -> None:
    with tempfile.TemporaryDirectory(dir=runtime.cache) as scratch:
        folder = Path(scratch)
        provide_storage(folder, runtime)
        classes = folder / "classes"
        server = _launch(folder, runtime, _DEMO, runtime.keep_classes(classes), register)
        processes.stop(server.identity, timeout_seconds=_REHEARSAL_END_SECONDS)
        if classes.exists():
            classes.replace(runtime.kept_classes)


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
