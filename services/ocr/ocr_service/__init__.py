"""Reads letters and documents; see README.md."""
