"""Renders the chart and reads the Compose file for the tests beside it; asserts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

ROOT = Path(__file__).parents[2]
Objects = list[dict[str, Any]]


@pytest.fixture(scope="session")
def chart() -> Iterator[helm_python.Chart]:
    with helm_python.Chart.load(ROOT / "helm/muster") as chart:
        yield chart


@pytest.fixture(scope="session")
def render(chart: helm_python.Chart) -> Callable[[dict[str, Any]], Objects]:
    """Values in, every object out, checked against values.schema.json as `helm install` does."""

    def rendered(values: dict[str, Any]) -> Objects:
        chart.validate_schema(values)
        manifests = chart.render(values, name="muster", namespace="muster")
        texts = [text for path, text in manifests.items() if path.endswith(".yaml")]
        return [found for text in texts for found in yaml.safe_load_all(text) if found]

    return rendered


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded
