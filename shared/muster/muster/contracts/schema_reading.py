"""How a JSON Schema is read for a comparison: references, forms, types, values. Pure; judging is compatibility.py's."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_ANNOTATIONS = frozenset({"title", "description", "examples", "default", "deprecated", "discriminator", "$comment"})


class Document:
    """A schema with its definitions."""

    def __init__(self, root: Schema) -> None:
        self._definitions: Schema = root.get("$defs", {})

    def resolve(self, schema: Schema | bool) -> Schema | bool:
        """What a reference stands for; words beside it come on top."""
        if not isinstance(schema, dict) or "$ref" not in schema:
            return schema
        found = self.resolve(self._definitions[str(schema["$ref"]).rpartition("/")[2]])
        beside = {word: value for word, value in schema.items() if word != "$ref" and word not in _ANNOTATIONS}
        if not beside:
            return found
        return {**(found if isinstance(found, dict) else {}), **beside}

    def expand(self, value: Any, *, seen: frozenset[str] = frozenset()) -> Any:
        """Comparable by `==`: without annotations, with every reference replaced, recursive ones by their name."""
        if isinstance(value, list):
            return [self.expand(item, seen=seen) for item in value]
        if not isinstance(value, dict):
            return value
        name = value.get("$ref")
        if isinstance(name, str):
            if name in seen:
                return name
            return self.expand(self._definitions[name.rpartition("/")[2]], seen=seen | {name})
        return {word: self.expand(item, seen=seen) for word, item in value.items() if word not in _ANNOTATIONS}


def alternatives(schema: Schema, document: Document) -> list[Schema]:
    """The forms of a union, each with the words beside it; `type` lists and unions in unions are taken apart too."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {key: value for key, value in schema.items() if key != word}
            found: list[Schema] = []
            for branch in schema[word]:
                inner = document.resolve(branch)
                if inner is not False:
                    found += alternatives({**(inner if isinstance(inner, dict) else {}), **rest}, document)
            return found
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    return [schema]


def single_values(form: Schema) -> list[Schema]:
    """One form for each value of an enumeration; the form itself where there is none."""
    if "enum" not in form:
        return [form]
    return [{"const": value} for value in form["enum"]]


def types_of(schema: Schema) -> frozenset[str]:
    """The JSON types that a form without unions allows."""
    kind = schema.get("type")
    return TYPES if kind is None else frozenset({str(kind)})


def item_at(schema: Schema, place: int) -> Schema | bool:
    """What stands at this place of an array."""
    prefix = schema.get("prefixItems", [])
    found: Schema | bool = prefix[place] if place < len(prefix) else schema.get("items", True)
    return found


def admits(value: object, schema: Schema) -> bool:
    """Whether a form takes this one value of an enumeration; what is no plain value is not looked into."""
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return False
    kind = _type_of(value)
    if kind not in types_of(schema) and not (kind == "integer" and "number" in types_of(schema)):
        return False
    if isinstance(value, str):
        return _fits_text(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _fits_number(value, schema)
    return kind in ("boolean", "null")


def are_disjoint(one: Schema, other: Schema) -> bool:
    """Whether no value fits both forms: other types, or objects told apart by a required field's fixed value."""
    kinds = types_of(one) & types_of(other)
    if not kinds and not {"integer", "number"} <= types_of(one) | types_of(other):
        return True
    if kinds != {"object"}:
        return False
    return any(
        name in one.get("required", ()) and name in other.get("required", ()) and _told_apart(fixed, other, name)
        for name, fixed in one.get("properties", {}).items()
    )


def _told_apart(fixed: Any, other: Schema, name: str) -> bool:
    ours, theirs = _values(fixed), _values(other.get("properties", {}).get(name))
    return bool(ours and theirs) and not any(_same(value, one) for value in ours for one in theirs)


def _values(schema: Any) -> list[Any]:
    if not isinstance(schema, dict):
        return []
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _fits_text(value: str, schema: Schema) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    # Whether a text has a format is the validators' secret.
    return "format" not in schema and re.search(schema.get("pattern", ""), value) is not None


def _fits_number(value: float, schema: Schema) -> bool:
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or value % schema["multipleOf"] == 0)
    )


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names = {str: "string", float: "number", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _same(one: object, other: object) -> bool:
    """JSON's equality: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
