"""`python -m notify_service`: one notify worker; with `vapid` behind it, a new key pair for web push instead."""

import sys

from muster.bootstrap import run_worker

from notify_service.tasks import app
from notify_service.vapid import new_pair


def print_pair() -> None:
    """As lines of an environment file."""
    pair = new_pair()
    sys.stdout.write(f"VAPID_PUBLIC_KEY={pair.public}\nVAPID_PRIVATE_KEY={pair.private}\n")


if __name__ == "__main__":
    print_pair() if sys.argv[1:] == ["vapid"] else run_worker(app)
