"""The command `muster-local` as a person runs it, while nothing of the system is up."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from muster_local.stack import load_secrets, read_environment, write_environment
from muster_local.state import PartRecord, State


def muster_local(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MUSTER_HOME": str(home)}
    command = [sys.executable, "-m", "muster_local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)  # noqa: S603


def test_nothing_runs_and_nothing_is_ended(tmp_path: Path) -> None:
    status = muster_local(tmp_path, "status")
    assert status.returncode == 1
    assert "Nothing runs" in status.stdout

    down = muster_local(tmp_path, "down")
    assert (down.returncode, down.stdout) == (0, "Nothing was running.\n")


def test_the_status_is_one_json_object(tmp_path: Path) -> None:
    State(tmp_path / "state.json").record("media", PartRecord(2**22 + 1, 1.0, "media.log"))
    told = json.loads(muster_local(tmp_path, "status", "--json").stdout)
    assert told["running"] is False
    assert [(part["name"], part["alive"]) for part in told["parts"]] == [("media", False)]


def test_a_second_system_of_the_same_project_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        second = muster_local(tmp_path, "up")
    assert second.returncode == 2
    assert second.stderr.startswith("Error: The system of ")
    assert "already runs" in second.stderr


def test_logs_are_shown_and_unknown_ones_named(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "media.log").write_text("one\ntwo\n")
    assert muster_local(tmp_path, "logs", "media", "-n", "1").stdout.split() == ["media", "two"]

    unknown = muster_local(tmp_path, "logs", "medai")
    assert unknown.returncode == 2
    assert unknown.stderr == "Error: There is no log of 'medai': choose one of media.\n"


def test_the_environment_survives_the_shell(tmp_path: Path) -> None:
    write_environment(tmp_path, {"DATABASE_URL": "postgresql://m:p'w@127.0.0.1/rotc"})
    printed = muster_local(tmp_path, "env").stdout
    script = f'{printed}\nprintf %s "$DATABASE_URL"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert shell.stdout == "postgresql://m:p'w@127.0.0.1/rotc"


def test_secrets_are_made_once_and_readable_to_their_owner_alone(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    assert len(first["DJANGO_SECRET_KEY"]) >= 50
    write_environment(tmp_path, first)
    assert (tmp_path / "environment.json").stat().st_mode & 0o077 == 0
    assert read_environment(tmp_path) == first


@pytest.mark.parametrize(("port", "message"), [("http", "give a port number"), ("70000", "give a port number")])
def test_a_wrong_port_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str, message: str
) -> None:
    monkeypatch.setenv("TRACKER_HTTP_PORT", port)
    refused = muster_local(tmp_path, "up")
    assert refused.returncode == 2
    assert message in refused.stderr


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("TRACKER_HTTP_PORT", str(port))
        refused = muster_local(tmp_path, "up")
    assert refused.returncode == 2
    assert refused.stderr == (
        f"Error: Port {port} (TRACKER_HTTP_PORT) is taken: end the program that uses it, or name another.\n"
    )


def test_secrets_are_kept_and_those_of_newer_parts_added(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    older = {name: value for name, value in first.items() if not name.startswith("VAPID_")}
    (tmp_path / "secrets.json").write_text(json.dumps(older))

    second = load_secrets(tmp_path)

    assert second.items() >= older.items()
    assert second.keys() == first.keys()
    assert load_secrets(tmp_path) == second
