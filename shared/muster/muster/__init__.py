"""Muster: a task platform on Kafka.

The public names live in `muster.worker`, `muster.client` and `muster.contracts`.
"""

__version__ = "0.1.0"
