"""What the local system remembers, measures and reads: state, ports, machine, logs, Java, Kafka's jars."""

import hashlib
import socket
import threading
from pathlib import Path

import pytest
from muster_local import java as java_module
from muster_local.checks import check_machine
from muster_local.errors import LocalError
from muster_local.follow import follow, last_lines
from muster_local.home import project_root
from muster_local.jars import KAFKA_VERSION, Jar, ensure_jars, read_lock
from muster_local.parts import KafkaPart, put_aside
from muster_local.ports import free_port, is_free
from muster_local.postgres import PostgresServer
from muster_local.processes import ProcessIdentity
from muster_local.state import PartRecord, State

GB = 1024**3


def test_what_was_recorded_is_read_by_another_terminal(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json")
    state.take(ProcessIdentity(4, 1.5))
    state.record("media", PartRecord(5, 2.5, "media.log", first_signal=2, layer=1))
    state.record_address("media", "127.0.0.1:9")
    state.declare_ready()

    read = State.load(state.file)
    assert read.ready
    assert read.supervisor == ProcessIdentity(4, 1.5)
    assert read.parts == {"media": PartRecord(5, 2.5, "media.log", "127.0.0.1:9", 0, 2, 1)}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"parts": 1}', '{"supervisor": {"pid": 1}}'])
def test_a_damaged_state_file_is_an_empty_state(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    assert State.load(file).parts == {}


def test_a_part_keeps_its_port_over_restarts(tmp_path: Path) -> None:
    port = State(tmp_path / "state.json").port("kafka")
    assert State.load(tmp_path / "state.json").port("kafka") == port


def test_two_parts_never_get_the_same_port(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json")
    default = free_port()
    assert state.port("tracker", default) == default
    assert state.port("media", default) != default


def test_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        port = State(tmp_path / "state.json", ports={"kafka": taken}).port("kafka")
        assert port != taken
        assert is_free(port)


def test_a_broker_whose_port_was_taken_meanwhile_says_so(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        broker = KafkaPart(tmp_path, tmp_path, other.getsockname()[1])
        with pytest.raises(LocalError, match=r"Port \d+ of kafka is taken"):
            broker.start(lambda _identity: None, lambda _done, _total: None)


def test_too_little_memory_or_disk_is_said_before_anything_starts(tmp_path: Path) -> None:
    check_machine(tmp_path, memory_bytes=2 * GB, disk_bytes=2 * GB)
    with pytest.raises(LocalError, match="Not enough memory: 100 MB are free"):
        check_machine(tmp_path, memory_bytes=100 * 1024**2, disk_bytes=2 * GB)
    with pytest.raises(LocalError, match=r"The disk is full: 0 MB are free .* MUSTER_HOME"):
        check_machine(tmp_path, memory_bytes=2 * GB, disk_bytes=0)


def test_the_home_is_found_from_any_folder_of_the_project(tmp_path: Path) -> None:
    deep = tmp_path / "services" / "media"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert project_root(deep) == tmp_path


def test_logs_are_read_from_their_end_and_followed(tmp_path: Path) -> None:
    log = tmp_path / "media.log"
    log.write_text("one\ntwo\nthree\n")
    assert list(last_lines({"media": log}, 2)) == [("media", "two"), ("media", "three")]
    assert list(last_lines({"media": log}, 0)) == []

    lines = follow({"media": log}, threading.Event())

    def write_later() -> None:
        with log.open("a") as target:
            target.write("four\nfi")

    threading.Timer(0.3, write_later).start()
    assert next(lines) == ("media", "four")


def test_a_log_that_grew_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "media.log"
    log.write_bytes(b"x" * (20 * 1024 * 1024 + 1))
    put_aside(log)
    assert not log.exists()
    assert (tmp_path / "media.log.1").exists()


def test_the_lock_names_the_broker_and_its_bridge_to_the_log() -> None:
    locked = {jar.artifact: jar for jar in read_lock()}
    assert locked["kafka_2.13"].version == KAFKA_VERSION
    assert "log4j-slf4j-impl" in locked
    assert all(len(jar.sha256) == 64 for jar in locked.values())


def test_a_jar_that_is_whole_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = Jar("group", "thing", "1", hashlib.sha256(b"content").hexdigest())
    monkeypatch.setattr("muster_local.jars.read_lock", lambda: [jar])
    monkeypatch.setattr("muster_local.maven._maven", lambda _cache: pytest.fail("nothing is to be fetched"))
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / jar.file_name).write_bytes(b"content")
    assert ensure_jars(tmp_path) == [tmp_path / "jars" / "thing-1.jar"]


class Mirror:
    """Stands for the repository of jars: gives out one file under every name, or none at all."""

    def __init__(self, repo_cache: Path, content: bytes | None) -> None:
        self.repo_cache = repo_cache
        self.content = content

    def project(self, _group: str, _artifact: str) -> "Mirror":
        return self

    at_version = project

    def artifact(self) -> "Mirror":
        return self

    def resolve(self) -> Path:
        if self.content is None:
            raise ConnectionError("unreachable")
        self.repo_cache.mkdir(exist_ok=True)
        file = self.repo_cache / "fetched.jar"
        file.write_bytes(self.content)
        return file


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"another", "is not what kafka.lock names"), (None, "the first start needs the network")],
    ids=["changed on the way", "no network"],
)
def test_a_jar_that_cannot_be_had_whole_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    jar = Jar("group", "thing", "1", hashlib.sha256(b"content").hexdigest())
    mirror = Mirror(tmp_path / "maven", content)
    monkeypatch.setattr(mirror, "at_version", lambda _version: mirror)
    monkeypatch.setattr("muster_local.jars.read_lock", lambda: [jar])
    monkeypatch.setattr("muster_local.maven._maven", lambda _cache: mirror)
    with pytest.raises(LocalError, match=message):
        ensure_jars(tmp_path)
    assert not (tmp_path / "jars" / jar.file_name).exists()


def java_home(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch(mode=0o755)
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return folder


@pytest.mark.parametrize(
    ("version", "used"), [("17.0.15", True), ("25", True), ("11.0.2", False), ("1.8.0_292", False)]
)
def test_an_installed_java_is_used_from_version_17_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, used: bool
) -> None:
    home = java_home(tmp_path / "jdk", version)
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert (java_module.java() == home / "bin" / "java") is used


def test_the_password_is_in_no_printed_server() -> None:
    server = PostgresServer(5432, "hunter2", ProcessIdentity(1, 1.0), Path("x.log"), None)
    assert "hunter2" not in repr(server)
