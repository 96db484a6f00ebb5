"""Invented letters and documents for tests, the benchmark and the demo. Nothing here runs in a worker."""
