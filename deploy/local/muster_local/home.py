"""Where the local system keeps its files: `.muster/` of the project, or MUSTER_HOME. Starts nothing."""

import os
from pathlib import Path


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards of `start` (default: the current one) that holds `.git` or `.muster`; else `start`."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / ".git").exists() or (folder / ".muster").is_dir():
            return folder
    return here


def home() -> Path:
    """The folder of all local state, made when missing."""
    configured = os.environ.get("MUSTER_HOME")
    folder = Path(configured).expanduser().resolve() if configured else project_root() / ".muster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache() -> Path:
    """What may be deleted at any time and is fetched again: jars, the formatted Kafka storage."""
    folder = home() / "cache"
    folder.mkdir(exist_ok=True)
    return folder
