"""`python -m rotc`: the command line of cli.py, nothing else."""

from rotc.cli import main

main()
