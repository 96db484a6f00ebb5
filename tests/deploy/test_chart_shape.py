"""What the chart promises: hardening, drain, scaling, isolation. That a cluster accepts it: test_chart_objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.contracts.topics import Topics
from tracker_service.api.routes import router

Render = Callable[[dict[str, Any]], list[dict[str, Any]]]


def _kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def _pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    templates = [found["spec"]["template"]["spec"] for found in objects if found["kind"] in ("Deployment", "Job")]
    return templates + [found["spec"] for found in objects if found["kind"] == "Pod"]


def _environment(deployment: dict[str, Any]) -> dict[str, Any]:
    entries = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def test_every_pod_meets_the_restricted_security_standard(render: Render) -> None:
    for pod in _pods(render({})):
        container = pod["containers"][0]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert not container["image"].endswith(":latest")


def test_no_secret_is_rendered_and_no_password_has_a_default(render: Render) -> None:
    objects = render({"workers": {"media": {"keda": {"enabled": True}}}})

    assert not _kind(objects, "Secret")
    for deployment in _kind(objects, "Deployment").values():
        for name, value in _environment(deployment).items():
            if any(word in name for word in ("SECRET", "PASSWORD", "API_KEY", "DATABASE_URL")):
                assert set(value) == {"secretKeyRef"}


def test_a_second_entry_may_run_the_same_service_for_bulk_alone(render: Render) -> None:
    bulk = {"runs": "media", "lanes": ["bulk"], "keda": {"enabled": True}, "childMemoryMb": 300}

    objects = render({"workers": {"media": {"lanes": ["high", "default"]}, "media-bulk": bulk}})

    first, second = (_kind(objects, "Deployment")[f"muster-media{name}"] for name in ("", "-bulk"))
    images = [worker["spec"]["template"]["spec"]["containers"][0]["image"] for worker in (first, second)]
    assert images[0] == images[1]
    assert _environment(first)["MUSTER_LANES"] == "high,default"
    assert (_environment(second)["MUSTER_LANES"], _environment(second)["MUSTER_CHILD_MEMORY_MB"]) == ("bulk", "300")
    assert first["spec"]["selector"] != second["spec"]["selector"]
    [trigger] = _kind(objects, "ScaledObject")["muster-media-bulk"]["spec"]["triggers"]
    assert (trigger["metadata"]["topic"], trigger["metadata"]["consumerGroup"]) == ("tasks.media.bulk", "muster.media")


@pytest.mark.parametrize("grace", [0, 30, 600])
def test_kubernetes_waits_longer_than_a_worker_drains(render: Render, grace: int) -> None:
    objects = render({"workerDefaults": {"graceSeconds": grace}})

    for deployment in _kind(objects, "Deployment").values():
        assert _environment(deployment)["MUSTER_GRACE_SECONDS"] == str(grace)
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= grace + 10


def test_probes_ask_the_admin_port_and_only_liveness_restarts(render: Render) -> None:
    for deployment in _kind(render({"adminPort": 9100}), "Deployment").values():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        paths = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")}
        assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
        assert {"name": "admin", "containerPort": 9100, "protocol": "TCP"} in container["ports"]


def test_selectors_hold_only_what_never_changes(render: Render) -> None:
    for deployment in _kind(render({}), "Deployment").values():
        labels = deployment["spec"]["selector"]["matchLabels"]
        assert set(labels) == {f"app.kubernetes.io/{part}" for part in ("name", "instance", "component")}
        assert labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_a_changed_setting_restarts_the_pods_and_a_changed_replica_count_does_not(render: Render) -> None:
    def checksum(values: dict[str, Any]) -> str:
        deployment = _kind(render(values), "Deployment")["muster-media"]
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum({"settings": {"beatSeconds": 3}}) != checksum({})
    assert checksum({"workers": {"media": {"replicas": 3}}}) == checksum({})


@pytest.mark.parametrize("scaler", ["hpa", "keda"])
def test_an_autoscaled_deployment_leaves_its_replicas_to_the_autoscaler(render: Render, scaler: str) -> None:
    objects = render({"workers": {"media": {scaler: {"enabled": True}}}})

    deployments = _kind(objects, "Deployment")
    assert "replicas" not in deployments["muster-media"]["spec"]
    assert deployments["muster-tracker"]["spec"]["replicas"] == 2
    kinds = {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}
    assert {name: list(_kind(objects, kind)) for name, kind in kinds.items()} == {
        name: ["muster-media"] if name == scaler else [] for name in kinds
    }


@pytest.mark.parametrize("prefix", ["", "unit-7."])
def test_keda_watches_the_very_topics_and_group_the_worker_uses(render: Render, prefix: str) -> None:
    values = {"kafka": {"topicPrefix": prefix}, "workers": {"media": {"keda": {"enabled": True}}}}

    scaled = _kind(render(values), "ScaledObject")["muster-media"]["spec"]

    triggers = [trigger["metadata"] for trigger in scaled["triggers"]]
    assert [trigger["topic"] for trigger in triggers] == list(Topics(prefix).lanes("media"))
    assert {trigger["consumerGroup"] for trigger in triggers} == {Topics(prefix).group("media")}
    assert all(isinstance(value, str) for trigger in triggers for value in trigger.values())
    assert 1 <= scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    scale_down = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert scale_down["stabilizationWindowSeconds"] >= 300


def test_keda_enters_kafka_with_the_same_secrets_as_the_workers(render: Render) -> None:
    kafka = {
        "securityProtocol": "SASL_SSL",
        "existingSecret": "user",
        "tls": {"existingSecret": "tls", "clientCertificate": True},
    }

    objects = render({"kafka": kafka, "workers": {"media": {"keda": {"enabled": True}}}})

    entries = _kind(objects, "TriggerAuthentication")["muster-kafka"]["spec"]["secretTargetRef"]
    secrets = {entry["parameter"]: (entry["name"], entry["key"]) for entry in entries}
    assert secrets == {
        "username": ("user", "username"),
        "password": ("user", "password"),
        "ca": ("tls", "ca.crt"),
        "cert": ("tls", "tls.crt"),
        "key": ("tls", "tls.key"),
    }
    trigger = _kind(objects, "ScaledObject")["muster-media"]["spec"]["triggers"][0]
    assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == ("scram_sha512", "enable")


def test_the_network_policy_opens_each_kafka_port_once(render: Render) -> None:
    policy = _kind(render({"kafka": {"bootstrapServers": "a:9094,b:9095,c:9094"}}), "NetworkPolicy")["muster"]

    ports = [port["port"] for port in policy["spec"]["egress"][-1]["ports"]]
    assert ports == [9094, 9095, 5432]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_a_component_has_a_service_only_when_it_serves_something(render: Render) -> None:
    objects = render({})

    assert list(_kind(objects, "Service")) == ["muster-tracker"]
    tracker = _kind(objects, "Deployment")["muster-tracker"]
    assert _environment(tracker)["TRACKER_HTTP_PORT"] == "8000"


def test_helm_test_asks_a_path_the_tracker_answers(render: Render) -> None:
    pod = _kind(render({}), "Pod")["muster-tracker-test"]

    asked = pod["spec"]["containers"][0]["env"][0]["value"]
    paths = {f"http://muster-tracker:8000{getattr(route, 'path', '')}" for route in router.routes}
    assert asked in paths


def test_prometheus_scrapes_every_pod_through_one_headless_service(render: Render) -> None:
    objects = render({"serviceMonitor": {"enabled": True}})

    service = _kind(objects, "Service")["muster-metrics"]["spec"]
    monitor = _kind(objects, "ServiceMonitor")["muster-metrics"]["spec"]
    for deployment in _kind(objects, "Deployment").values():
        assert service["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["ports"][0]["name"] == "admin"


def test_the_hooks_stand_on_nothing_that_is_created_after_them(render: Render) -> None:
    objects = render({})

    account = _kind(objects, "ServiceAccount")["muster-jobs"]["metadata"]["annotations"]
    for job in _kind(objects, "Job").values():
        hook = job["metadata"]["annotations"]
        assert hook["helm.sh/hook"] == account["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(account["helm.sh/hook-weight"]) < int(hook["helm.sh/hook-weight"])
        assert "envFrom" not in job["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("tables", "command"),
    [
        ("check", "python -m rotc check && exec python -m tracker_service migrate"),
        ("migrate", "python -m rotc migrate && exec python -m tracker_service migrate"),
        ("skip", "exec python -m tracker_service migrate"),
    ],
)
def test_an_existing_django_database_is_checked_and_never_changed_unasked(
    render: Render, tables: str, command: str
) -> None:
    job = _kind(render({"jobs": {"migrate": {"djangoTables": tables}}}), "Job")["muster-migrate"]

    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["/bin/sh", "-ec", command]
