"""Writes what is generated beside the chart: the golden render and the table of values in its README.

Rendering for tests is tests/deploy's business; nothing here talks to a cluster.
    python helm/render.py           writes both
    python helm/render.py --check   says what is out of date, and changes nothing
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parent / "muster"
README = CHART / "README.md"
TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)


def rendered() -> str:
    """The chart's objects under its default values, as `helm template muster --namespace muster` orders them."""
    with helm_python.Chart.load(CHART) as chart:
        manifests = chart.render(name="muster", namespace="muster")
    objects = {path: text.strip().removeprefix("---").strip() for path, text in manifests.items()}
    return "".join(
        f"---\n# Source: {path}\n{text}\n" for path, text in sorted(objects.items()) if text and path.endswith(".yaml")
    )


def described(text: str) -> Iterator[tuple[str, str]]:
    """Each value that has a `# -- ` comment: its path with dots, and what the comment says."""
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        if says := re.match(r" *# -- (.*)", line):
            comment = says.group(1)
        elif key := re.match(r"( *)([A-Za-z]\w*):", line):
            path[len(key.group(1)) // 2 :] = [key.group(2)]
            if comment:
                yield ".".join(path), comment
            comment = ""


def table() -> str:
    """The README's rows: value, default, meaning."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = "".join(f"| `{path}` | `{_default(values, path)}` | {says} |\n" for path, says in described(text))
    return f"\n| value | default | meaning |\n|---|---|---|\n{rows}\n"


def _default(values: Any, path: str) -> str:
    for key in path.split("."):
        values = values[key]
    return json.dumps(values)


def generated() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {
        CHART / "examples/default/rendered.yaml": rendered(),
        README: TABLE.sub(lambda _: table(), README.read_text()),
    }


def main(arguments: list[str]) -> int:
    """Write, or with --check compare. Exit status 1: something is out of date."""
    outdated = [(path, text) for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if "--check" not in arguments:
        for path, text in outdated:
            path.write_text(text)
        return 0
    for path, _ in outdated:
        sys.stderr.write(f"{path.relative_to(CHART.parent.parent)} is out of date: run python helm/render.py\n")
    return int(bool(outdated))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
