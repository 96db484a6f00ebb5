"""The CLI against a tracker: what it prints, and how it exits."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
from muster.cli import app
from typer.testing import CliRunner

#: What the tracker says of each task, look by look; the last answer stays.
TASKS: dict[str, list[dict[str, Any]]] = {
    "good": [
        {"status": "STARTED", "progress": {"done": 1, "total": 2, "message": "half"}},
        {"status": "SUCCESS", "name": "greet", "attempt": 1, "max_attempts": 4, "result": {"url": "http://x"}},
    ],
    "bad": [{"status": "FAILURE", "name": "greet", "error": "[red]not an image[/red]"}],
    "slow": [{"status": "STARTED", "name": "greet"}],
    "behind": [{"status": "PENDING", "name": "greet", "waiting_for": "slow", "paused": True}],
}


class Tracker(BaseHTTPRequestHandler):
    """A tracker that knows a few tasks."""

    looks: dict[str, int]

    def do_GET(self) -> None:
        name = self.path.split("/")[2].partition("?")[0]
        if name == "tasks":
            task_id = self.path.split("/")[3].partition("?")[0]
            return self.send_task(task_id)
        if name == "workers":
            return self.send(200, {"workers": [{"worker": "media@a-1", "service": "media", "slots": 4, "running": 1}]})
        return self.send(200, {"task_types": [{"task_type": "greet", "service": "media", "parameters": {}}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path.startswith("/api/task-types/"):
            return self.send_pause(*self.path.split("/")[3:5], force=body.get("force", False))
        if self.path.endswith("/good/revoke"):
            return self.send(409, {"message": "good has ended already"})
        if self.path.endswith("/revoke"):
            return self.send(202, {"message": "ok", "task_id": "slow", "terminated": body["terminate"]})
        if body["parameters"].get("quality") == 900:
            problems = [{"field": "quality", "message": "must be at most 100", "code": "le"}]
            return self.send(422, {"message": "1 parameter is wrong", "details": problems})
        return self.send(202, {"task_id": "good", "status_url": "/api/tasks/good/status"})

    def send_pause(self, task_type: str, action: str, *, force: bool) -> None:
        if task_type != "greet" and not force:
            return self.send(404, {"message": f"no worker has announced a task type {task_type}"})
        return self.send(202, {"task_type": task_type, "paused": action == "pause"})

    def send_task(self, task_id: str) -> None:
        if task_id not in TASKS:
            return self.send(404, {"message": f"no task {task_id}"})
        if task_id == "slow" and self.headers["X-API-Key"] == "wrong":
            return self.send(401, {"message": "this API key is not known"})
        views, look = TASKS[task_id], self.looks.get(task_id, 0)
        self.looks[task_id] = look + 1
        return self.send(200, {"task_id": task_id, **views[min(look, len(views) - 1)]})

    def send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(autouse=True)
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    yield
    structlog.reset_defaults()


@pytest.fixture
def muster(monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    handler = type("FreshTracker", (Tracker,), {"looks": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("MUSTER_API_URL", f"http://127.0.0.1:{server.server_port}")
    yield CliRunner()
    server.shutdown()
    server.server_close()
    thread.join()


def call(runner: CliRunner, *arguments: str) -> tuple[int, str, str]:
    outcome = runner.invoke(app, list(arguments))
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.exit_code, outcome.stdout, outcome.stderr


def test_submit_prints_the_id(muster: CliRunner) -> None:
    assert call(muster, "submit", "greet", "name=Juan") == (0, "Submitted greet as good\n", "")
    assert call(muster, "submit", "greet", "-q") == (0, "good\n", "")
    code, out, _ = call(muster, "submit", "greet", "--json")
    assert (code, json.loads(out)) == (0, {"task_id": "good", "task_type": "greet"})


def test_submit_and_watch_ends_with_the_task(muster: CliRunner) -> None:
    code, out, _ = call(muster, "submit", "greet", "--watch")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["SUCCESS"]


def test_refused_parameters_are_listed(muster: CliRunner) -> None:
    code, out, err = call(muster, "submit", "greet", "quality:=900")
    assert (code, out) == (2, "")
    assert err == "muster: 1 parameter is wrong\n  quality: must be at most 100\n"


def test_errors_are_json_when_json_was_asked_for(muster: CliRunner) -> None:
    code, out, err = call(muster, "submit", "greet", "quality:=900", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["problems"] == [
        {"field": "quality", "message": "must be at most 100", "code": "le"}
    ]


def test_status_is_a_table_for_people_and_one_document_for_machines(muster: CliRunner) -> None:
    call(muster, "status", "good")
    code, out, _ = call(muster, "status", "good")
    assert code == 0
    assert "SUCCESS" in out
    assert '{"url":"http://x"}' in out
    assert json.loads(call(muster, "status", "good", "--json")[1])["result"] == {"url": "http://x"}


def test_a_failed_task_exits_with_one_and_its_text_is_printed_as_it_is(muster: CliRunner) -> None:
    code, out, _ = call(muster, "status", "bad")
    assert code == 1
    assert "[red]not an image[/red]" in out
    assert call(muster, "watch", "bad")[0] == 1


def test_watch_prints_json_lines_per_change(muster: CliRunner) -> None:
    code, out, _ = call(muster, "watch", "good", "bad", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert {(line["task_id"], line["status"]) for line in lines} == {("good", "SUCCESS"), ("bad", "FAILURE")}


def test_an_unknown_task_exits_with_four(muster: CliRunner) -> None:
    assert call(muster, "status", "nope") == (4, "", "muster: no task nope\n")
    assert call(muster, "watch", "good", "nope")[0] == 4


def test_a_timeout_exits_with_five(muster: CliRunner) -> None:
    code, _, err = call(muster, "watch", "slow", "--timeout", "0.2")
    assert code == 5
    assert "slow was STARTED after 0.2 s" in err


def test_a_wrong_key_exits_with_six(muster: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_API_KEY", "wrong")
    code, _, err = call(muster, "status", "slow")
    assert code == 6
    assert "this API key is not known (HTTP 401): set MUSTER_API_KEY" in err


def test_a_revocation_is_acknowledged_or_too_late(muster: CliRunner) -> None:
    code, out, _ = call(muster, "revoke", "slow", "--terminate", "--json")
    assert (code, json.loads(out)) == (0, {"task_id": "slow", "revoke_requested": True, "terminate": True})
    assert call(muster, "revoke", "good") == (1, "", "muster: good has ended already\n")


def test_workers_and_catalog_have_one_shape_whoever_is_asked(muster: CliRunner) -> None:
    (worker,) = json.loads(call(muster, "workers", "--json")[1])
    assert (worker["worker"], worker["slots"], worker["alive"]) == ("media@a-1", 4, True)
    (task,) = json.loads(call(muster, "catalog", "--json")[1])
    assert task["task_type"] == "greet"
    assert "media@a-1" in call(muster, "workers")[1]
    assert "greet" in call(muster, "catalog")[1]


def test_wrong_usage_exits_with_two(muster: CliRunner) -> None:
    assert call(muster, "submit")[0] == 2
    assert call(muster, "submit", "greet", "--lane", "urgent")[0] == 2
    assert call(muster, "status", "a", "b")[0] == 2


@pytest.mark.parametrize("command", ["submit", "status", "watch", "revoke", "workers", "catalog"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    code, out, _ = call(CliRunner(), command, "--help")
    assert code == 0
    assert f"muster {command}" in out.replace("Usage: muster", "")


@pytest.mark.parametrize(
    ("api_url", "sentence"),
    [
        ("http://127.0.0.1:1", "muster: the tracker at http://127.0.0.1:1 did not serve GET /api/workers"),
        ("", "muster: Kafka could not be reached at 127.0.0.1:1"),
    ],
)
def test_the_installed_command_says_in_one_line_that_nothing_listens(api_url: str, sentence: str) -> None:
    environment = {**os.environ, "MUSTER_API_URL": api_url, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "muster.cli", "workers"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.splitlines()) == 1


def test_a_task_that_waits_for_its_turn_says_for_whom(muster: CliRunner) -> None:
    code, out, _ = call(muster, "status", "behind")
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines() if line.startswith(("waiting for", "type is"))] == [
        "slow", "yes",
    ]  # fmt: skip
    shown = json.loads(call(muster, "status", "behind", "--json")[1])
    assert (shown["waiting_for"], shown["paused"]) == ("slow", True)


def test_a_task_type_is_paused_and_resumed(muster: CliRunner) -> None:
    code, out, _ = call(muster, "pause", "greet")
    assert (code, out.split(";")[0]) == (0, "greet is paused")
    assert json.loads(call(muster, "resume", "greet", "--json")[1]) == {"task_type": "greet", "paused": False}


def test_an_unknown_task_type_is_paused_by_force_only(muster: CliRunner) -> None:
    code, _, err = call(muster, "pause", "gret")
    assert (code, err) == (4, "muster: no worker has announced a task type gret\n")
    assert json.loads(call(muster, "pause", "gret", "--force", "--json")[1]) == {"task_type": "gret", "paused": True}
