"""Takes back tasks of every kind in the middle of their work: `python tests/e2e/cancelled.py [--rounds 5] [--json]`.

Told are the seconds from the order (POST /api/tasks/{id}/revoke with terminate) until the status says REVOKED, and
until no child process of the worker is at work. Exit code 1 when any took longer than 2 s or was not REVOKED.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.postgres import start_postgres

if TYPE_CHECKING:
    from tests.e2e.cancelled_story import Cancelled
    from tests.e2e.system import System


def main() -> int:
    """0 when the promise was kept every time, else 1."""
    from tests.e2e.cancelled_story import KINDS, PROMISED_SECONDS

    options = _options([kind.name for kind in KINDS])
    say: Callable[[str], object] = (lambda line: None) if options.json else partial(print, flush=True)
    with _system() as system:
        found = list(_measured(system, options.kind or [kind.name for kind in KINDS], options.rounds, say))
    kept = all(one.kept for one in found)
    say(f"{'kept' if kept else 'BROKEN'}: cancelled within {PROMISED_SECONDS:g} s, {len(found)} times")
    if options.json:
        print(json.dumps({"kept": kept, "promised_seconds": PROMISED_SECONDS, "cancelled": list(map(asdict, found))}))  # noqa: T201
    return 0 if kept else 1


def _options(kinds: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of every kind")
    parser.add_argument("--kind", action="append", choices=kinds, help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    return parser.parse_args()


def _measured(system: System, names: Sequence[str], rounds: int, say: Callable[[str], object]) -> Iterator[Cancelled]:
    from tests.e2e import cancelled_story
    from tests.e2e.api import Api

    api = Api(system)
    say(f"{'kind':<18}{'rounds':>7}{'REVOKED, median':>17}{'longest':>9}{'child at rest, longest':>24}   seconds")
    try:
        for kind in (kind for kind in cancelled_story.KINDS if kind.name in names):
            with cancelled_story.on_stage(system, api, kind) as scene:
                found = sorted((cancelled_story.tell(scene, kind) for _ in range(rounds)), key=_revoked_seconds)
            rested = max(one.child_seconds for one in found)
            middle, longest = found[len(found) // 2].revoked_seconds, found[-1].revoked_seconds
            say(f"{kind.name:<18}{rounds:>7}{middle:>17.2f}{longest:>9.2f}{rested:>24.2f}")
            yield from found
    finally:
        api.close()


def _revoked_seconds(one: Cancelled) -> float:
    return one.revoked_seconds


@contextmanager
def _system() -> Iterator[System]:
    from tests.e2e.system import start_system

    folder = Path(tempfile.mkdtemp(prefix="muster-cancelled-"))
    # PostgreSQL does not run as root; its own account must be able to enter.
    folder.chmod(0o755)
    postgres = start_postgres(folder / "postgres")
    try:
        kafka = start_kafka(folder / "kafka", cache())
        try:
            system = start_system(folder, kafka.bootstrap, "cancelled.", postgres.create_database("cancelled"))
            try:
                yield system
            finally:
                system.stop()
        finally:
            kafka.stop()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # The stories are a package of the tests, which nobody installs.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
