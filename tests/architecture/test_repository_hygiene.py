"""What is in the repository works on any machine and names one version. Size and shape of code: test_size_budget."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REGISTRIES = re.compile(r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|repo1?\.maven\.(apache\.)?org)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:home/[a-z][\w.-]*|root|Users/[A-Za-z][\w.-]*|work)(?:/|\b(?![\w-]))")
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".ico", ".pdf", ".ttf", ".otf", ".woff2", ".zip"}


def _files() -> dict[str, str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]  # what is, or will be, committed
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    paths = [Path(line) for line in listed.stdout.splitlines()]
    return {
        str(path): (ROOT / path).read_text()
        for path in paths
        if path.suffix.lower() not in PICTURES and (ROOT / path).is_file()
    }


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return _files()


def _hits(files: dict[str, str], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {line.strip()[:120]}"
        for name, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_registry_is_named_so_that_a_mirror_can_stand_in(files: dict[str, str]) -> None:
    assert _hits(files, REGISTRIES) == []


@pytest.mark.parametrize(("name", "found"), [("pypi", True), ("files.pythonhosted", True), ("mypypi", False)])
def test_the_check_for_registries_has_teeth(name: str, found: bool) -> None:
    assert bool(REGISTRIES.search(f"https://{name}.org/simple")) is found


def test_no_path_of_one_machine_is_written_down(files: dict[str, str]) -> None:
    assert _hits(files, MACHINE_PATHS) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/home/" + "ana/code", True),
        ("cd /ro" + "ot/x", True),
        ("https://example.org/home/news", False),
        ("${HOME}/work/x", False),
        ("services/work/main", False),
    ],
)
def test_the_check_for_machine_paths_has_teeth(line: str, found: bool) -> None:
    assert bool(MACHINE_PATHS.search(line)) is found


def test_every_file_is_utf8_and_ends_with_a_line_end(files: dict[str, str]) -> None:
    assert [name for name, text in files.items() if text and not text.endswith("\n")] == []


def test_the_newest_entry_of_the_changelog_is_the_version_of_everything() -> None:
    newest = re.search(r"^## \[?v?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest, "CHANGELOG.md has no entry like `## 0.1.0 - 2026-01-31`"

    versions = _versions()

    assert {place: version for place, version in versions.items() if version != newest.group(1)} == {}
    assert len(versions) >= 10


def _versions() -> dict[str, str]:
    """Each place that states our version."""
    projects = [*ROOT.glob("*/*/pyproject.toml"), ROOT / "pyproject.toml"]
    found = {
        str(path.relative_to(ROOT)): str(tomllib.loads(path.read_text())["project"]["version"]) for path in projects
    }
    chart = yaml.safe_load((ROOT / "helm/muster/Chart.yaml").read_text())
    found |= {"Chart.yaml version": chart["version"], "Chart.yaml appVersion": chart["appVersion"]}
    for name in ("docker-compose.yml", "deploy/docker/Dockerfile", ".env.example"):
        stated = re.findall(
            r"(?:^ARG VERSION=|MUSTER_VERSION(?::-|=))(\d[\w.]*)", (ROOT / name).read_text(), re.MULTILINE
        )
        assert stated, f"{name} states no version"
        found |= {f"{name} ({number})": version for number, version in enumerate(stated, 1)}
    return found


def test_the_values_schema_is_json_and_closed() -> None:
    schema = json.loads((ROOT / "helm/muster/values.schema.json").read_text())

    assert schema["additionalProperties"] is False
    assert schema["definitions"]["worker"]["additionalProperties"] is False
