"""Reads the file of alert rules. What stands in it is checked by domain/alert_rules.py."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from muster.contracts.errors import ConfigurationError

from notify_service.domain.alert_rules import InvalidRules, Rules, parse_rules


def read_rules(path: Path | None) -> Rules:
    """The rules of this file, or the packaged ones.

    Raises:
        ConfigurationError: it cannot be read; the message says where and why.
    """
    name = str(path) if path else "the packaged rules.toml"
    try:
        text = (path or files("notify_service.alerts") / "rules.toml").read_text(encoding="utf-8")
        return parse_rules(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidRules) as error:
        raise ConfigurationError(f"the rules of alerts ({name}) cannot be used: {error}") from None
