"""`python -m muster_local`: the command line of cli.py, nothing else."""

from muster_local.cli import main

main()
