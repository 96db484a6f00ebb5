"""`python -m notify_service`: one notify worker.

With `alerts` behind it, the process that tells of failures; with `vapid`, a new key pair for web push.
"""

import sys

from muster.bootstrap import run_worker

from notify_service.tasks import app
from notify_service.vapid import new_pair


def print_pair() -> None:
    """As lines of an environment file."""
    pair = new_pair()
    sys.stdout.write(f"VAPID_PUBLIC_KEY={pair.public}\nVAPID_PRIVATE_KEY={pair.private}\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["alerts"]:
            # Here, since a worker needs nothing of it.
            from notify_service.alerts.command import main

            sys.exit(main())
        case ["vapid"]:
            print_pair()
        case _:
            run_worker(app)
