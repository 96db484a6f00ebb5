"""docker-compose.yml without Docker: schema, hardening, order of start, real settings. Image: test_docker_image."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

ROOT = Path(__file__).parents[2]
SERVICES = sorted(folder.parent.name for folder in (ROOT / "services").glob("*/pyproject.toml"))
ONE_SHOT = {"topics", "migrate"}
Compose = dict[str, Any]


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_the_file_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    check = subprocess.run(  # noqa: S603  our own file
        [*command, ROOT / "docker-compose.yml"], check=False, capture_output=True, text=True
    )

    assert check.returncode == 0, check.stdout


def test_yamllint_finds_nothing() -> None:
    command = [sys.executable, "-m", "yamllint", "--strict", "--config-file", ".yamllint.yaml"]
    lint = subprocess.run(  # noqa: S603  our own files
        [*command, "docker-compose.yml", ".yamllint.yaml", "helm"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert lint.returncode == 0, lint.stdout


def test_every_container_gives_up_what_it_does_not_need(compose: Compose) -> None:
    for name, service in compose["services"].items():
        assert service["init"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True or name == "kafka", name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name


def test_every_port_is_bound_to_the_loopback_address(compose: Compose) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert len(ports) >= 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_image_has_a_version(compose: Compose) -> None:
    for name, service in compose["services"].items():
        tag = service["image"].split(":", 1)[1]
        assert re.search(r"\d+\.\d+", tag), f"{name}: {service['image']} may change under our feet"


def test_every_lasting_container_has_a_health_check(compose: Compose) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_services_start_after_topics_and_tables_and_these_after_kafka_and_postgres(compose: Compose) -> None:
    services = compose["services"]

    for name in SERVICES:
        conditions = {part: after["condition"] for part, after in services[name]["depends_on"].items()}
        assert conditions == dict.fromkeys(ONE_SHOT, "service_completed_successfully"), name
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", SERVICES)
def test_docker_waits_longer_than_a_worker_drains(compose: Compose, name: str) -> None:
    service = compose["services"][name]

    assert _seconds(service["stop_grace_period"]) >= service["environment"]["MUSTER_GRACE_SECONDS"] + 10


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_built_for_its_own_service(compose: Compose, name: str) -> None:
    service = compose["services"][name]

    assert service["build"] == {"context": ".", "dockerfile": "deploy/docker/Dockerfile", "args": {"SERVICE": name}}
    assert service["image"].startswith(f"muster/{name}:")


def test_every_named_volume_is_declared_and_used(compose: Compose) -> None:
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}

    assert used == set(compose["volumes"])


@pytest.mark.kafka
async def test_kafka_knows_every_setting_it_is_given(compose: Compose, kafka: str) -> None:
    """The official image turns KAFKA_A_B into a.b and passes it on unchecked: a misspelt one would be ignored."""
    given = compose["services"]["kafka"]["environment"].keys() - {"KAFKA_HEAP_OPTS"}
    settings = {name.removeprefix("KAFKA_").lower().replace("_", ".") for name in given}

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        node = (await admin.describe_cluster())["brokers"][0]["node_id"]
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node))])
    finally:
        await admin.close()

    known = {entry[0] for answer in answers for resource in answer.resources for entry in resource[4]}
    assert settings <= known, f"Kafka has no setting {sorted(settings - known)}"
