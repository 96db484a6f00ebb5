"""Whatever is switched on or off, a cluster accepts each object rendered. What they mean: test_chart_shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

Render = Callable[[dict[str, Any]], list[dict[str, Any]]]

#: Kinds of other projects: their schemas are in the cluster, not in Kubernetes; test_chart_shape looks at their facts.
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor"}

OFF: dict[str, Any] = {
    "networkPolicy": {"enabled": False},
    "jobs": {"topics": {"enabled": False}, "migrate": {"enabled": False}},
    "workerDefaults": {"podDisruptionBudget": {"enabled": False}, "spreadOver": []},
}
ON: dict[str, Any] = {
    "image": {"registry": "registry.example:5000", "tag": "1.2.3-rc.1", "pullSecrets": ["pull"]},
    "kafka": {
        "bootstrapServers": "a:9094,b:9095,c:9094",
        "securityProtocol": "SASL_SSL",
        "existingSecret": "kafka-user",
        "tls": {"existingSecret": "kafka-tls", "clientCertificate": True},
        "topicPrefix": "unit-7.",
    },
    "signing": {"existingSecret": "signing", "acceptUnsigned": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"apiFrom": [{"namespaceSelector": {}}]},
    "extraEnv": [{"name": "TZ", "value": "Asia/Manila"}],
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}, "data": {"a": "b"}}
    ],
    "workerDefaults": {
        "podAnnotations": {"a/b": "c"},
        "podLabels": {"team": "rotc"},
        "serviceAccountAnnotations": {"role": "x"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "tasks", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "spreadOver": ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
        "priorityClassName": "tasks",
        "extraVolumes": [{"name": "fonts", "configMap": {"name": "fonts"}}],
        "extraVolumeMounts": [{"name": "fonts", "mountPath": "/fonts"}],
        "networkPolicy": {"ingress": [{"from": [{"podSelector": {}}]}], "egress": [{"to": [{"podSelector": {}}]}]},
    },
    "workers": {
        "media": {"env": {"MEDIA_ALLOWED_HOSTS": "example.org"}, "extraEnv": [{"name": "A", "value": "b"}]},
        "tracker": {
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "hosts": ["tasks.example.org"],
                "annotations": {"a": "b"},
                "tls": [{"secretName": "t", "hosts": ["tasks.example.org"]}],
            }
        },
    },
}
KEDA: dict[str, Any] = {"workers": {"media": {"keda": {"enabled": True}}}}
HPA: dict[str, Any] = {"workers": {"media": {"hpa": {"enabled": True}}, "tracker": {"hpa": {"enabled": True}}}}
MANY: dict[str, Any] = {
    "workers": {
        "reports": {"lanes": ["default", "bulk"], "keda": {"enabled": True, "maxReplicas": 3}},
        "import": {"lanes": ["bulk"], "replicas": 0},
        "media": {"enabled": False},
    }
}
MATRIX = {"default": {}, "off": OFF, "on": ON, "keda": KEDA, "hpa": HPA, "many": MANY, "on-keda": ON | KEDA}


@pytest.mark.parametrize("version", ["1.30", "1.33", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())
def test_every_object_is_valid_kubernetes(render: Render, values: dict[str, Any], version: str) -> None:
    objects = [found for found in render(values) if found["kind"] not in CUSTOM]

    assert len(objects) >= 8
    for found in objects:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())
def test_no_two_objects_share_a_name(render: Render, values: dict[str, Any]) -> None:
    names = [(found["kind"], found["metadata"]["name"]) for found in render(values)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())
def test_every_reference_points_at_an_object_of_the_release(render: Render, values: dict[str, Any]) -> None:
    objects = render(values)
    named = {(found["kind"], found["metadata"]["name"]) for found in objects}

    for found in objects:
        for kind, name in _references(found):
            assert (kind, name) in named, f"{found['kind']} {found['metadata']['name']} names {kind} {name}"


def _references(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of what an object refers to inside the chart; Secrets belong to whoever installs it."""
    spec = found.get("spec", {})
    match found["kind"]:
        case "Deployment" | "Job":
            pod = spec["template"]["spec"]
            sources = pod["containers"][0].get("envFrom", [])
            maps = [("ConfigMap", source["configMapRef"]["name"]) for source in sources]
            return [("ServiceAccount", pod["serviceAccountName"]), *maps]
        case "HorizontalPodAutoscaler" | "ScaledObject":
            triggers = [trigger for trigger in spec.get("triggers", []) if "authenticationRef" in trigger]
            asked = [("TriggerAuthentication", trigger["authenticationRef"]["name"]) for trigger in triggers]
            return [("Deployment", spec["scaleTargetRef"]["name"]), *asked]
        case "Ingress":
            paths = [path for rule in spec["rules"] for path in rule["http"]["paths"]]
            return [("Service", path["backend"]["service"]["name"]) for path in paths]
    return []
