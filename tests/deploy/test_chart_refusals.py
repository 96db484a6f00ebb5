"""Values that make no sense are refused before anything is installed; the chart lints. Objects: test_chart_objects."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest

ROOT = Path(__file__).parents[2]
Render = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"wrokers": {}}, "wrokers"),
        ({"workers": {"media": {"replcas": 2}}}, "replcas"),
        ({"workers": {"media": {"replicas": -1}}}, "replicas"),
        ({"workers": {"media": {"replicas": "2"}}}, "replicas"),
        ({"workers": {"media": {"slots": 0}}}, "slots"),
        ({"workers": {"media": {"lanes": ["urgent"]}}}, "lanes"),
        ({"workers": {"media": {"keda": {"minReplicas": 0}}}}, "minReplicas"),
        ({"workers": {"media": {"secretEnv": {"TOKEN": "in-the-clear"}}}}, "TOKEN"),
        ({"workers": {"My_Worker": {}}}, "My_Worker"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
        ({"kafka": {"securityProtocol": "TLS"}}, "securityProtocol"),
        ({"kafka": {"topicPrefix": "no spaces"}}, "topicPrefix"),
        ({"database": {"password": "x"}}, "password"),
        ({"database": {"existingSecret": ""}}, "existingSecret"),
        ({"jobs": {"migrate": {"djangoTables": "drop"}}}, "djangoTables"),
        ({"adminPort": 70000}, "adminPort"),
    ],
)
def test_the_schema_refuses_a_bad_value_and_names_it(
    chart: helm_python.Chart, values: dict[str, Any], named: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=named):
        chart.validate_schema(values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"workers": {"media": {"hpa": {"enabled": True}, "keda": {"enabled": True}}}}, "two autoscalers would fight"),
        ({"workers": {"tracker": {"keda": {"enabled": True}}}}, "keda.enabled needs lanes"),
        (
            {"workers": {"media": {"hpa": {"enabled": True, "minReplicas": 9}}}},
            r"hpa.minReplicas \(9\) is greater than hpa.maxReplicas \(6\)",
        ),
        ({"workers": {"tracker": {"ingress": {"enabled": True}}}}, "ingress.enabled needs service.enabled"),
        ({"workers": {"media": {"ingress": {"enabled": True, "hosts": ["a"]}}}}, "needs service.enabled"),
        ({"kafka": {"securityProtocol": "SASL_SSL"}}, "needs kafka.existingSecret"),
        ({"settings": {"leaseSeconds": 20}}, "must be longer than settings.fenceSeconds"),
        ({"jobs": {"worker": "nobody"}}, "jobs.worker nobody is not one of workers"),
    ],
)
def test_values_that_contradict_each_other_fail_with_a_sentence(
    render: Render, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=sentence):
        render(values)


def test_the_chart_lints_without_a_warning() -> None:
    report = helm_python.lint(ROOT / "helm/muster", strict=True, kube_version="v1.33.0")

    info = 1  # "icon is recommended": there is no picture to point at
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > info] == []


def test_the_golden_render_and_the_table_of_values_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "helm/render.py", "--check"], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert check.returncode == 0, check.stderr


def test_every_default_passes_the_schema_and_every_value_is_described(chart: helm_python.Chart) -> None:
    chart.validate_schema({})

    readme = (ROOT / "helm/muster/README.md").read_text()
    missing = [path for path in _leaves(chart.values) if f"| `{path}` |" not in readme]
    assert missing == [], "describe them by a comment `# -- ...` in values.yaml and run python helm/render.py"


def _leaves(values: dict[str, Any], path: str = "") -> list[str]:
    """Paths of the values a person sets; entries of `workers` repeat workerDefaults, contexts are Kubernetes' own."""
    whole = {"workers", "podSecurityContext", "securityContext", "resources", "strategy"}
    found: list[str] = []
    for key, value in values.items():
        inside = isinstance(value, dict) and value and key not in whole
        found += _leaves(value, f"{path}{key}.") if inside else [f"{path}{key}"]
    return [leaf for leaf in found if leaf != "workers"]
