"""A service is known in every place that must name it; what may import what is import-linter's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
#: Names of folders, also of half-made ones: that is when this test is needed.
SERVICES = sorted(
    folder.name for folder in (ROOT / "services").iterdir() if any(folder.rglob("*.py")) or any(folder.glob("*.toml"))
)


def _toml(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text())


def _yaml(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return loaded


def _missing(service: str) -> list[str]:
    """One sentence for each place that does not know the service."""
    folder = f"services/{service}"
    package = f"{service}_service"
    workspace = _toml("pyproject.toml")
    compose = _yaml("docker-compose.yml")["services"].get(service, {})
    workers = _yaml("helm/muster/values.yaml")["workers"]
    known = {
        f"{folder}/pyproject.toml is missing: name it {service}-service": _declares(service),
        f"{folder}/README.md is missing: tasks, limits, environment, at most 40 lines": _readme(service),
        f"{folder}/{package}/__main__.py is missing: `python -m {package}` starts the service": (
            ROOT / folder / package / "__main__.py"
        ).is_file(),
        f"{folder}/tests holds no test": any((ROOT / folder / "tests").glob("test_*.py")),
        f"docker-compose.yml has no service {service}": bool(compose),
        f"docker-compose.yml does not build {service} with SERVICE={service}": (
            compose.get("build", {}).get("args", {}).get("SERVICE") == service
        ),
        f"helm/muster/values.yaml has no entry workers.{service}": service in workers,
        f"pyproject.toml: {package} is missing in tool.importlinter.root_packages": (
            package in workspace["tool"]["importlinter"]["root_packages"]
        ),
        f"pyproject.toml: {package} is missing in the layers of tool.importlinter": _layered(workspace, package),
        f"pyproject.toml: {folder} is missing in tool.mypy.mypy_path": folder in workspace["tool"]["mypy"]["mypy_path"],
        f"pyproject.toml: {service}-service is missing in dependencies": (
            f"{service}-service" in workspace["project"]["dependencies"]
        ),
        f"deploy/local/pyproject.toml: {service}-service is missing in dependencies": (
            f"{service}-service" in _toml("deploy/local/pyproject.toml")["project"]["dependencies"]
        ),
    }
    return [sentence for sentence, is_there in known.items() if not is_there]


def _declares(service: str) -> bool:
    path = f"services/{service}/pyproject.toml"
    return (ROOT / path).is_file() and bool(_toml(path)["project"]["name"] == f"{service}-service")


def _readme(service: str) -> bool:
    readme = ROOT / "services" / service / "README.md"
    return readme.is_file() and len(readme.read_text().splitlines()) <= 40


def _layered(workspace: dict[str, Any], package: str) -> bool:
    contracts = workspace["tool"]["importlinter"]["contracts"]
    return any(package in layer.split(" | ") for contract in contracts for layer in contract.get("layers", []))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_known_everywhere_it_must_be(service: str) -> None:
    missing = _missing(service)

    assert not missing, "\n".join([f"the service {service} is not complete:", *missing])


def test_a_half_made_service_is_told_every_place_at_once() -> None:
    missing = _missing("weather")

    assert len(missing) == 12
    assert "helm/muster/values.yaml has no entry workers.weather" in missing


def test_nothing_is_deployed_that_has_no_folder() -> None:
    workers = _yaml("helm/muster/values.yaml")["workers"]
    charted = {(entry or {}).get("runs") or name for name, entry in workers.items()}
    stanzas = _yaml("docker-compose.yml")["services"].values()
    composed = {stanza["build"]["args"]["SERVICE"] for stanza in stanzas if "build" in stanza}

    assert sorted((charted | composed) - set(SERVICES)) == []
