"""What the Dockerfile does, done without an engine: lint, install steps, entry point, health. Compose: test_compose."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
SERVICES = sorted(folder.parent.name for folder in (ROOT / "services").glob("*/pyproject.toml"))
TOOLS = Path(sys.executable).parent  # uv and hadolint live beside this Python

Done = subprocess.CompletedProcess[str]
Install = Callable[[str, Path], Done]


def _run(command: list[str | Path], cwd: Path = ROOT, **environment: str) -> Done:
    found_here = {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
    return subprocess.run(  # noqa: S603  our own files
        command, cwd=cwd, env=os.environ | found_here | environment, check=False, capture_output=True, text=True
    )


def _instruction(pattern: str) -> list[str]:
    """The JSON array of an instruction in exec form."""
    found = re.search(rf"^\s*{pattern} (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found, f"the Dockerfile has no {pattern} in exec form"
    words: list[str] = json.loads(found.group(1))
    return words


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The files the Dockerfile may copy from."""
    context = tmp_path / "context"
    for path in ("shared", "services", "deploy/docker"):
        shutil.copytree(ROOT / path, context / path, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for path in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / path, context / path)
    return context


@pytest.fixture
def install(tmp_path: Path) -> Install:
    def run(service: str, context: Path) -> Done:
        return _run([context / "deploy/docker/install.sh", service, tmp_path / "environment"], cwd=context)

    return run


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    lint = _run([TOOLS / "hadolint", DOCKERFILE])

    assert lint.returncode == 0, lint.stdout


#: Imports every module of a package, and says which of ours are there: what a service needs, it must have declared.
IMPORT_ALL = """
import importlib, importlib.util, pkgutil
package = importlib.import_module("{service}_service")
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name in {names!r} if importlib.util.find_spec(name)])
"""


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_service_and_no_other(
    context: Path, install: Install, tmp_path: Path, service: str
) -> None:
    for other in set(SERVICES) - {service}:
        shutil.rmtree(context / "services" / other)

    installed = install(service, context)

    assert installed.returncode == 0, installed.stderr
    names = [*(f"{name}_service" for name in SERVICES), "muster", "rotc", "muster_local", "pytest", "uv", "hatchling"]
    script = IMPORT_ALL.format(service=service, names=names)
    imported = _run([tmp_path / "environment/bin/python", "-c", script], cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    needs = (ROOT / f"services/{service}/pyproject.toml").read_text()
    domain = ["rotc"] if re.search(r'"rotc["[]', needs) else []
    assert imported.stdout.strip() == str([f"{service}_service", "muster", *domain])


def test_a_package_that_the_lock_does_not_name_stops_the_build(context: Path, install: Install) -> None:
    lock = context / "requirements.lock"
    lock.write_text(re.sub(r"^pillow==.*\n(?:    .*\n)+", "", lock.read_text(), flags=re.MULTILINE))

    installed = install("media", context)

    assert installed.returncode != 0
    assert "pillow" in installed.stderr


def test_a_changed_file_on_the_index_stops_the_build(context: Path, install: Install) -> None:
    lock = context / "requirements.lock"
    pillow = re.compile(r"^pillow==.*\n(?:    --hash.*\n)+", re.MULTILINE)
    lock.write_text(pillow.sub(lambda found: re.sub("sha256:.{8}", "sha256:00000000", found.group()), lock.read_text()))

    installed = install("media", context)

    assert installed.returncode != 0
    assert "Hash mismatch for `pillow" in installed.stderr


def test_an_unknown_service_is_refused_with_a_sentence(context: Path, install: Install) -> None:
    installed = install("medai", context)

    assert installed.returncode == 64
    assert "<service> is a folder of services/" in installed.stderr


def test_the_build_context_lets_nothing_in_but_what_is_named() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()

    named = [rule for rule in rules if rule and not rule.startswith("#")]
    assert named[0] == "*"
    copied = re.findall(r"^COPY (?!--from)([^$]*?)(?:\$.*)? \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    allowed = tuple(rule[1:] for rule in named if rule.startswith("!"))
    for path in " ".join(copied).split():
        assert path.startswith(allowed), f".dockerignore keeps {path} out of the image"


def test_the_process_is_the_service_itself_and_gets_the_arguments(tmp_path: Path) -> None:
    package = tmp_path / "probe_service"
    package.mkdir()
    (package / "__main__.py").write_text("import os, sys; sys.stdout.write(f'{os.getpid()} {sys.argv[1:]}')")
    environment = os.environ | {
        "SERVICE": "probe",
        "PYTHONPATH": str(tmp_path),
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
    }
    command = [*_instruction("ENTRYPOINT"), "migrate", "two words"]

    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own file
    output, _ = started.communicate(timeout=120)

    assert output == f"{started.pid} ['migrate', 'two words']"


class _Probe(http.server.BaseHTTPRequestHandler):
    """Answers /livez with the status its server was given."""

    def do_GET(self) -> None:
        self.send_response(getattr(self.server, "status", 500) if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Said nowhere: the test reads the exit status."""


@pytest.fixture
def admin() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Probe) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _healthy(port: int) -> bool:
    return _run([*_instruction("CMD")], MUSTER_HTTP_PORT=str(port)).returncode == 0


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_health_check_passes_only_when_livez_says_so(
    admin: http.server.HTTPServer, status: int, healthy: bool
) -> None:
    admin.status = status  # type: ignore[attr-defined]

    assert _healthy(admin.server_port) is healthy


def test_the_health_check_fails_when_nobody_listens(admin: http.server.HTTPServer) -> None:
    port = admin.server_port
    admin.socket.close()

    assert not _healthy(port)


def test_the_image_runs_as_a_numbered_ordinary_user() -> None:
    text = DOCKERFILE.read_text()

    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert "STOPSIGNAL SIGTERM" in text
    assert all(":" in image for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
