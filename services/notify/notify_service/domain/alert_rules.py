"""The rules of alerts as one readable document: who is told of which failure, how soon again, how loudly. Pure.

What follows from a rule is alerting.py's; where the file lies is the settings'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

SEVERITIES = ("info", "warning", "error", "critical")
#: `webhook:<name>` are the webhooks of that name alone.
CHANNELS = ("notification", "mail", "push", "webhook")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_CHANNEL = re.compile(r"notification|mail|push|webhook(:[a-z0-9_-]{1,40})?")


class InvalidRules(ValueError):
    """The rules cannot be read; the message names the place and what may stand there."""


class Failed(NamedTuple):
    """What rules look at."""

    service: str
    task: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class Match:
    """Patterns as the shell's (`send_*`), any of which may fit; a field without patterns fits everything."""

    service: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    error: tuple[str, ...] = ()

    def fits(self, failed: Failed) -> bool:
        return all(_any(getattr(self, name), getattr(failed, name)) for name in Failed._fields)


@dataclass(frozen=True, slots=True)
class Escalation:
    """Once per episode, when it has `after_count` failures or still goes on `after` its first."""

    channels: tuple[str, ...]
    after_count: int | None = None
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How the failures that `match` are told."""

    name: str = "default"
    match: Match = Match()
    severity: str = "error"
    channels: tuple[str, ...] = CHANNELS
    #: One digest per window.
    window: timedelta = timedelta(minutes=15)
    #: Silence after which the next failure is news again.
    quiet: timedelta = timedelta(hours=6)
    escalate: Escalation | None = None
    #: Count, but tell nobody: always, or until this instant.
    mute: bool | datetime = False

    def muted(self, at: datetime) -> bool:
        return at < self.mute if isinstance(self.mute, datetime) else self.mute


@dataclass(frozen=True, slots=True)
class Storm:
    """How many kinds of failures are news one by one; what is more is told together."""

    most: int = 30
    #: So many within this time.
    window: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class DeadMan:
    """When the pipeline itself counts as stopped."""

    #: Nothing heard of a part for so long.
    silent_for: timedelta = timedelta(minutes=3)
    #: Told again this often while it lasts.
    remind: timedelta = timedelta(hours=6)
    severity: str = "critical"
    channels: tuple[str, ...] = CHANNELS


@dataclass(frozen=True, slots=True)
class Rules:
    """In the order of the file: the first that fits counts, `default` fits everything."""

    default: Rule
    rules: tuple[Rule, ...] = ()
    dead_man: DeadMan = DeadMan()
    storm: Storm = Storm()

    def of(self, failed: Failed) -> Rule:
        return next((rule for rule in self.rules if rule.match.fits(failed)), self.default)


def parse_rules(document: Mapping[str, Any]) -> Rules:
    """The rules of a TOML document.

    Raises:
        InvalidRules: something in it is unknown or cannot work; nothing of it is used.
    """
    _known(document, {"defaults", "rule", "dead_man", "storm"}, "the file")
    default = _rule(_table(document.get("defaults", {}), "[defaults]"), Rule(), "[defaults]")
    if default.match != Match():
        raise InvalidRules("[defaults] fits everything: put match into a [[rule]]")
    listed = document.get("rule", [])
    if not isinstance(listed, list):
        raise InvalidRules("rules are written as [[rule]], with two brackets")
    rules = []
    for number, one in enumerate(listed, 1):
        table = _table(one, f"[[rule]] {number}")
        where = f"[[rule]] {number} ({table.get('name', 'without a name')})"
        rules.append(_rule(table, replace(default, name=f"rule {number}"), where))
    dead_man = _dead_man(_table(document.get("dead_man", {}), "[dead_man]"))
    return Rules(default, tuple(rules), dead_man, _storm(_table(document.get("storm", {}), "[storm]")))


def span(text: object, where: str) -> timedelta:
    """`90s`, `15m`, `6h`, `2d` as a time span, which is never zero."""
    found = _SPAN.fullmatch(text) if isinstance(text, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= 366 * 86_400:
        raise InvalidRules(f"{where} is {text!r}: write a time span such as 90s, 15m, 6h or 2d")
    return timedelta(seconds=seconds)


def _rule(table: Mapping[str, Any], base: Rule, where: str) -> Rule:
    _known(table, {field.name for field in fields(Rule)}, where)
    given: dict[str, Any] = {}
    for key, value in table.items():
        at = f"{where} {key}"
        match key:
            case "match":
                given[key] = _match(_table(value, at), at)
            case "severity":
                given[key] = _severity(value, at)
            case "channels":
                given[key] = _channels(value, at)
            case "window" | "quiet":
                given[key] = span(value, at)
            case "escalate":
                given[key] = _escalation(_table(value, at), at)
            case "mute":
                given[key] = _mute(value, at)
            case _:
                given[key] = _text(value, at)
    rule = replace(base, **given)
    if rule.quiet < rule.window:
        raise InvalidRules(f"{where}: quiet is shorter than window, so a digest would come after its own end")
    return rule


def _match(table: Mapping[str, Any], where: str) -> Match:
    _known(table, set(Failed._fields), where)
    return Match(**{key: _texts(value, f"{where}.{key}") for key, value in table.items()})


def _escalation(table: Mapping[str, Any], where: str) -> Escalation:
    _known(table, {"channels", "after", "after_count"}, where)
    count = table.get("after_count")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 2):
        raise InvalidRules(f"{where}.after_count is {count!r}: write a number of failures, 2 or more")
    after = span(table["after"], f"{where}.after") if "after" in table else None
    if count is None and after is None:
        raise InvalidRules(f"{where} never happens: give it after_count, after or both")
    return Escalation(_channels(table.get("channels"), f"{where}.channels"), count, after)


def _dead_man(table: Mapping[str, Any]) -> DeadMan:
    _known(table, {field.name for field in fields(DeadMan)}, "[dead_man]")
    given: dict[str, Any] = {}
    for key, value in table.items():
        at = f"[dead_man] {key}"
        if key == "severity":
            given[key] = _severity(value, at)
        else:
            given[key] = _channels(value, at) if key == "channels" else span(value, at)
    return DeadMan(**given)


def _storm(table: Mapping[str, Any]) -> Storm:
    _known(table, {field.name for field in fields(Storm)}, "[storm]")
    most = table.get("most", Storm().most)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise InvalidRules(f"[storm] most is {most!r}: write a number of alerts, 1 or more")
    return Storm(most, span(table["window"], "[storm] window") if "window" in table else Storm().window)


def _mute(value: object, where: str) -> bool | datetime:
    if isinstance(value, bool) or (isinstance(value, datetime) and value.tzinfo is not None):
        return value
    raise InvalidRules(f"{where} is {value!r}: write true, false or an instant with its offset")


def _severity(value: object, where: str) -> str:
    if value not in SEVERITIES:
        raise InvalidRules(f"{where} is {value!r}: write one of {', '.join(SEVERITIES)}")
    return str(value)


def _channels(value: object, where: str) -> tuple[str, ...]:
    names = _texts(value, where)
    for name in names:
        if not _CHANNEL.fullmatch(name):
            raise InvalidRules(f"{where} names {name!r}: known are {', '.join(CHANNELS)} and webhook:<name>")
    return tuple(dict.fromkeys(names))


def _texts(value: object, where: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(_text(one, where) for one in listed)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRules(f"{where} is {value!r}: write a text")
    return value


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRules(f"{where} is {value!r}: write a table of names and values")
    return value


def _known(table: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(table.keys() - names):
        raise InvalidRules(f"{where} does not know {', '.join(unknown)}; it knows {', '.join(sorted(names))}")


def _any(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)
