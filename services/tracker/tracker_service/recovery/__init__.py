"""Brings back the tasks of workers that died."""
