"""`python -m muster.cli` is the same as `muster`. The commands are in the modules beside."""

from muster.cli import main

main()
