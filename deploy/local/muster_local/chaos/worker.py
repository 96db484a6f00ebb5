"""`python -m muster_local.chaos.worker`: a worker of the tasks of chaos. They are in tasks.py."""

from __future__ import annotations

from muster.bootstrap import run_worker

from muster_local.chaos.tasks import app

if __name__ == "__main__":
    run_worker(app)
