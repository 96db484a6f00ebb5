"""Names in .env.example, docker-compose.yml and values.yaml are names the code reads; values are not looked at."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[2]
SERVICES = sorted(folder.parent.name for folder in (ROOT / "services").glob("*/pyproject.toml"))
#: Read by Compose itself, not by our code.
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "MUSTER_VERSION", "TRACKER_PORT", "KAFKA_PORT", "POSTGRES_PORT", "MAILPIT_PORT"}


def _settings_classes(*folders: str) -> Iterator[type[BaseSettings]]:
    """Every settings class of the modules called `settings` below these folders."""
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("settings.py")):
            package = next(parent for parent in file.parents if not (parent.parent / "__init__.py").exists())
            module = importlib.import_module(".".join(file.relative_to(package.parent).with_suffix("").parts))
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module.__name__:
                    yield value


def _names(settings: type[BaseSettings]) -> set[str]:
    return {name for field, info in settings.model_fields.items() for name in _of_field(settings, field, info)}


def _of_field(settings: type[BaseSettings], field: str, info: FieldInfo) -> set[str]:
    if isinstance(info.annotation, type) and issubclass(info.annotation, BaseSettings):
        return set()  # it is read by a class of its own
    match info.validation_alias:
        case AliasChoices(choices=choices):
            # Lower-case choices are Python's names for the field.
            return {str(choice) for choice in choices if str(choice).isupper()}
        case str(alias):
            return {alias.upper()}
    return {f"{settings.model_config.get('env_prefix', '')}{field}".upper()}


def _read_by(*folders: str) -> set[str]:
    return {name for settings in _settings_classes(*folders) for name in _names(settings)}


def _example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(found.groups() for line in lines if (found := re.fullmatch(r"#?([A-Z][A-Z0-9_]*)=(.*)", line)))  # type: ignore[misc]


def test_the_example_names_exactly_what_the_code_and_compose_read() -> None:
    read = _read_by("shared", "services") | COMPOSE_ONLY

    assert sorted(_example().keys() - read) == [], "named in .env.example, but nobody reads them"
    assert sorted(read - _example().keys()) == [], "read by the code, but missing in .env.example"


def test_the_example_holds_no_secret() -> None:
    secret = re.compile("PASSWORD|SECRET|TOKEN|API_KEY|DATABASE_URL")

    assert {name: value for name, value in _example().items() if secret.search(name) and value} == {}


def test_compose_asks_only_for_names_the_example_explains() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))

    assert sorted(asked - _example().keys()) == []
    assert asked >= COMPOSE_ONLY


@pytest.mark.parametrize("service", SERVICES)
def test_compose_gives_a_service_what_it_reads_and_nothing_else(compose: dict[str, Any], service: str) -> None:
    # A service may be deployed as several containers with different commands; one-shots are none.
    built = [
        one for one in compose["services"].values()
        if one.get("build", {}).get("args", {}).get("SERVICE") == service and "/readyz" in str(one["healthcheck"])
    ]  # fmt: skip
    given = {name for one in built for name in one["environment"]}
    own = _read_by(f"services/{service}")
    shared = _read_by("shared")

    # Two names for one thing, a broker without TLS and SASL, a name that is drawn: Compose leaves these out.
    left_out = {"SECRET_KEY", "MUSTER_DATABASE_URL"}
    assert sorted(own - given - left_out) == [], "docker-compose.yml does not pass these on"
    assert sorted(given - own - shared) == [], "docker-compose.yml passes these on, and nobody reads them"


@pytest.mark.parametrize("service", SERVICES)
def test_the_chart_sets_only_names_the_code_reads(service: str) -> None:
    values = yaml.safe_load((ROOT / "helm/muster/values.yaml").read_text())
    worker = values["workers"][service]
    helpers = (ROOT / "helm/muster/templates/_pod.tpl").read_text()
    everywhere = set(re.findall(r"\b((?:MUSTER|KAFKA)_[A-Z_]+[A-Z])\b", helpers)) | {"DATABASE_URL"}

    read = _read_by("shared", f"services/{service}")

    assert sorted((everywhere | {*worker.get("env", {}), *worker.get("secretEnv", {})}) - read) == []
