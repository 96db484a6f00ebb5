"""Kills Muster while it works and counts what became of every task: what `make chaos` runs. Holds nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Chaos is a package of the tests, which nobody installs.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.chaos.command import main

    sys.exit(main())
