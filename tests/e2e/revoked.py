"""Runs the story of the revoked tasks with as many as asked: `python tests/e2e/revoked.py --tasks 1000`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.postgres import start_postgres


def main() -> int:
    """0 when every task is REVOKED and none ran, else 1. Prints one JSON object."""
    from tests.e2e import revoked_story
    from tests.e2e.api import Api
    from tests.e2e.system import start_system

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--due", type=float, default=60.0, help="seconds after their submission")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="muster-revoked-"))
    # PostgreSQL does not run as root; its own account must be able to enter.
    folder.chmod(0o755)
    postgres = start_postgres(folder / "postgres")
    try:
        kafka = start_kafka(folder / "kafka", cache())
        try:
            system = start_system(folder, kafka.bootstrap, "revoked.", postgres.create_database("revoked"))
            api = Api(system)
            try:
                told = revoked_story.tell(system, api, options.tasks, due_seconds=options.due, patience=300)
            finally:
                api.close()
                system.stop()
        finally:
            kafka.stop()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(asdict(told)))  # noqa: T201
    return 0 if (told.revoked, told.executions) == (told.tasks, 0) else 1


if __name__ == "__main__":
    # The stories are a package of the tests, which nobody installs.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
