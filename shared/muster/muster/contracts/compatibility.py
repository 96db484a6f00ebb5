"""Whether a changed JSON Schema still accepts every record that was written under the old one. Pure.

It knows the words that pydantic writes; a word it does not know may stay as it is or go, but not change. A name that an
open object did not declare counts as never used, else no field could ever be added to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from muster.contracts.schema_reading import (
    Document,
    Schema,
    admits,
    alternatives,
    are_disjoint,
    item_at,
    single_values,
    types_of,
)

_WIDEN = "keep accepting it and check the rest in the task, or make a new task type"
_DEFAULT = "give it a default, or make a new task type"
_KEEP = "keep the field, optional and unused, until no record holds it (dead letters stay for 90 days)"

#: Words that say nothing about what is accepted, or that have a comparison of their own below.
_KNOWN = frozenset((
    "$defs", "$ref", "$schema", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
    "writeOnly", "discriminator", "anyOf", "oneOf", "type", "enum", "const", "properties", "required",
    "additionalProperties", "items", "prefixItems", "uniqueItems", "multipleOf", "minimum", "exclusiveMinimum",
    "maximum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems",
))  # fmt: skip
_COUNTED = {"minLength": "characters", "minItems": "entries", "maxLength": "characters", "maxItems": "entries"}


class Break(NamedTuple):
    """One thing that records of the old schema may hold and the new one refuses."""

    field: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.field}: {self.what}: {self.advice}"


def breaks(old: Schema, new: Schema) -> tuple[Break, ...]:
    """Everything that a record written under `old` may break on under `new`; nothing when all are still accepted."""
    return tuple(_Comparison(Document(old), Document(new)).of(old, new, ""))


class _Comparison:
    """Of two documents; a pair that is being compared already is taken for fine, so that recursive models end."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[int, int]] = set()

    def of(self, old: Schema | bool, new: Schema | bool, where: str) -> list[Break]:
        old, new = self._old.resolve(old), self._new.resolve(new)
        pair = (id(old), id(new))
        if pair in self._open or old is False or new is True:
            return []
        if new is False:
            return [Break(where or "parameters", "nothing is accepted here any more", _WIDEN)]
        self._open.add(pair)
        try:
            return self._of_unions(old if isinstance(old, dict) else {}, new, where)
        finally:
            self._open.discard(pair)

    def _of_unions(self, old: Schema, new: Schema, where: str) -> list[Break]:
        """Each form that was accepted must find a new one that takes all of it."""
        before = [one for form in alternatives(old, self._old) for one in single_values(form)]
        after = alternatives(new, self._new)
        if "oneOf" in new and not all(
            are_disjoint(one, other) for number, one in enumerate(after) for other in after[number + 1 :]
        ):
            return self._unknown(old, new, where, ["oneOf"])
        found: list[Break] = []
        for one in before:
            attempts = [self._of_forms(one, other, where) for other in after]
            if all(attempts):
                found += sorted(attempts, key=len)[0]
        return list(dict.fromkeys(found))

    def _of_forms(self, old: Schema, new: Schema, where: str) -> list[Break]:
        here = where or "parameters"
        if "const" in old:
            lost = msgspec.json.encode(old["const"]).decode()
            return [] if admits(old["const"], new) else [Break(here, f"{lost} is no longer accepted", _WIDEN)]
        if "enum" in new or "const" in new:
            return [Break(here, "only a few values are accepted now", _WIDEN)]
        kinds, taken = types_of(old), types_of(new)
        lost_kinds = sorted(kinds - taken - ({"integer"} if "number" in taken else set()))
        if lost_kinds:
            return [Break(here, f"{' and '.join(lost_kinds)} is no longer accepted", _WIDEN)]
        found = self._unknown(old, new, here, sorted(new.keys() - _KNOWN))
        for kind, compare in self._by_kind():
            if kind in kinds:
                found += compare(old, new, where)
        return found

    def _by_kind(self) -> Iterable[tuple[str, Callable[[Schema, Schema, str], list[Break]]]]:
        yield from (("object", self._objects), ("array", self._arrays), ("string", _lengths), ("number", _numbers))
        yield "integer", _numbers

    def _unknown(self, old: Schema, new: Schema, where: str, words: Iterable[str]) -> list[Break]:
        return [
            Break(where or "parameters", f"{word} is new or has changed, which cannot be compared", _WIDEN)
            for word in words
            if word not in old or self._old.expand(old[word]) != self._new.expand(new[word])
        ]

    def _objects(self, old: Schema, new: Schema, where: str) -> list[Break]:
        before, after = old.get("properties", {}), new.get("properties", {})
        found: list[Break] = []
        for name in before:
            found += self._of_field(name, old, new, where)
        was_required, others = set(old.get("required", ())), new.get("additionalProperties", True)
        for name in new.get("required", ()):
            if name not in was_required:
                what = "is required now" if name in before else "is a new field and required"
                found.append(Break(_join(where, name), what, _DEFAULT))
        open_before = old.get("additionalProperties", True)
        if open_before is not False:
            if others is False:
                found.append(Break(where or "parameters", "unknown names are refused now", _WIDEN))
            else:
                found += self.of(open_before, others, _join(where, "(any name)"))
        return [self._renamed(one, before, after, where) for one in found]

    def _of_field(self, name: str, old: Schema, new: Schema, where: str) -> list[Break]:
        after = new.get("properties", {}).get(name, new.get("additionalProperties", True))
        if after is False and old["properties"][name] is not False:
            return [Break(_join(where, name), "was removed, and unknown names are refused", _KEEP)]
        return self.of(old["properties"][name], after, _join(where, name))

    def _renamed(self, one: Break, before: Schema, after: Schema, where: str) -> Break:
        """Say so when exactly one new field looks like the removed one."""
        name = one.field.removeprefix(f"{where}.") if where else one.field
        if one.advice is not _KEEP or name not in before:
            return one
        shape = self._old.expand(before[name])
        twins = [new for new in after if new not in before and self._new.expand(after[new]) == shape]
        if len(twins) != 1:
            return one
        return one._replace(
            what=f"was renamed to {twins[0]}", advice=f"accept both names (AliasChoices({twins[0]!r}, {name!r}))"
        )

    def _arrays(self, old: Schema, new: Schema, where: str) -> list[Break]:
        found = _lengths(old, new, where)
        if new.get("uniqueItems") and not old.get("uniqueItems"):
            found.append(Break(where or "parameters", "entries must differ now", _WIDEN))
        longest = min(old.get("maxItems", math.inf), new.get("maxItems", math.inf))
        places = max(len(old.get("prefixItems", ())), len(new.get("prefixItems", ())))
        for place in range(places + 1):
            if place < longest:
                label = str(place) if place < places else "(each)"
                found += self.of(item_at(old, place), item_at(new, place), _join(where, label))
        return found


def _lengths(old: Schema, new: Schema, where: str) -> list[Break]:
    found = []
    for word, unit in _COUNTED.items():
        least = word.startswith("min")
        default = 0 if least else math.inf
        before, after = old.get(word, default), new.get(word, default)
        if (after > before) if least else (after < before):
            said = "no limit" if before == default else before
            bound = "at least" if least else "at most"
            found.append(Break(where or "parameters", f"{bound} {after} {unit} now, {said} before", _WIDEN))
    return found


def _numbers(old: Schema, new: Schema, where: str) -> list[Break]:
    here, found = where or "parameters", []
    if _lowest(new) > _lowest(old):
        found.append(Break(here, f"the smallest number is higher now: {_said(new, 'inimum')}", _WIDEN))
    if _lowest(new, sign=-1) > _lowest(old, sign=-1):
        found.append(Break(here, f"the largest number is lower now: {_said(new, 'aximum')}", _WIDEN))
    step = new.get("multipleOf")
    steps_before = old.get("multipleOf", 1 if old.get("type") == "integer" else None)
    if step is not None and (steps_before is None or steps_before % step != 0):
        found.append(Break(here, f"only multiples of {step} are accepted now", _WIDEN))
    return found


def _lowest(schema: Schema, sign: int = 1) -> tuple[float, bool]:
    """The bound, and whether it is itself left out; with sign -1, of the numbers mirrored at zero."""
    word = "inimum" if sign > 0 else "aximum"
    closed, open_ = schema.get(f"m{word}"), schema.get(f"exclusiveM{word}")
    bounds = [(sign * closed, False)] if closed is not None else []
    bounds += [(sign * open_, True)] if open_ is not None else []
    return max(bounds, default=(-math.inf, False))


def _said(schema: Mapping[str, Any], word: str) -> str:
    bounds = [f"{name} {schema[name]}" for name in (f"m{word}", f"exclusiveM{word}") if name in schema]
    return " and ".join(bounds)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
