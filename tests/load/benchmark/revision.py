"""Which code a stack runs: this checkout's, or an older revision's laid out beside it. Installs nothing."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmark.stack import BenchError

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Revision:
    """The root of a tree of this repository, and what its stack is called."""

    name: str
    root: Path

    @property
    def load(self) -> Path:
        """Its own worker and producer: they speak their own revision's client."""
        return self.root / "tests" / "load"

    @property
    def env(self) -> dict[str, str]:
        """Puts its packages before the installed ones; the libraries are those of this checkout."""
        members = [file.parent for file in (*self.root.glob("*/*/pyproject.toml"),) if file.parent != self.root]
        return {"PYTHONPATH": os.pathsep.join(map(str, sorted(members)))}


OURS = Revision("muster", ROOT)


def lay_out(revision: str, folder: Path) -> Revision:
    """The tree of a git revision, in `folder`.

    Raises:
        BenchError: git does not know it.
    """
    commit = _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()
    root = folder / f"muster-{commit}"
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(root, filter="data")
    return Revision(f"muster {commit}", root)


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise BenchError(f"git {' '.join(arguments)} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
