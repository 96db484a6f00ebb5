"""Who runs PostgreSQL: it refuses to run as root, so root hands it to the account `nobody`. Alters no account."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from muster_local.errors import LocalError


class PopenArguments(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    uid: int
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Whether every folder on the way to `path` lets strangers through (group and ACL are not considered)."""
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def unprivileged() -> Account | None:
    """The account to hand a server to; None for an ordinary user, who runs it himself."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalError(
            "PostgreSQL cannot run as root and no account 'nobody' exists: run as an ordinary user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def popen_arguments(account: Account | None) -> PopenArguments:
    """What subprocess needs to run a program as `account`; nothing for None, the caller himself."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
