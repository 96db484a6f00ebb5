"""Runs the simulation over many schedules: `python tests/simulation/run.py --schedules 100000`. Holds nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The simulation is a package of the tests, which nobody installs.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.simulation.command import main

    sys.exit(main())
