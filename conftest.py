"""Gives every test real parts: fixtures `kafka`, `postgres`, `topic_prefix`. Holds no fixture itself."""

pytest_plugins = ["muster_local.pytest_plugin"]
