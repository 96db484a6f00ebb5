"""A changed schema beside the one that records were stored under: every break is named, and nothing is missed."""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from muster.contracts.compatibility import breaks
from muster.contracts.stored_schemas import differences
from pydantic import BaseModel, ConfigDict, Field, create_model

Fields = dict[str, Any]


def schema(extra: Literal["forbid", "ignore"] = "forbid", **fields: Any) -> Fields:
    """Of a model with these fields: a type (required), or a type and its default."""
    wanted = {name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()}
    made: Any = create_model("Params", **wanted, __config__=ConfigDict(extra=extra))  # type: ignore[call-overload]
    found: Fields = made.model_json_schema()
    return found


class Leaf(BaseModel):
    name: str


class Tree(BaseModel):
    leaf: Leaf
    branches: list[Tree] = []


class LongLeaf(BaseModel):
    name: Annotated[str, Field(min_length=3)]


class LongTree(BaseModel):
    leaf: LongLeaf
    branches: list[LongTree] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


Short, Long = Annotated[str, Field(max_length=10)], Annotated[str, Field(max_length=20)]
Low, High = Annotated[int, Field(ge=0, le=10)], Annotated[int, Field(ge=0, le=100)]
Few = Annotated[list[int], Field(max_length=3)]
Pet = Annotated[Cat | Dog, Field(discriminator="kind")]

BREAKS = [
    ("a new field that is required", schema(a=int), schema(a=int, b=int), "b: is a new field and required"),
    ("an optional field becomes required", schema(a=(int, 1)), schema(a=int), "a: is required now"),
    ("a field is removed", schema(a=int, b=(int, 1)), schema(a=int), "b: was removed"),
    ("a field is renamed", schema(old=str), schema(new=str), "old: was renamed to new: accept both names"),
    ("a type is narrowed", schema(a=int | str), schema(a=int), "a: string is no longer accepted"),
    ("null is not allowed any more", schema(a=(int | None, None)), schema(a=(int, 1)), "a: null is no longer accepted"),
    ("a type is another one", schema(a=int), schema(a=str), "a: integer is no longer accepted"),
    ("a number becomes whole", schema(a=float), schema(a=int), "a: number is no longer accepted"),
    ("a value is taken away", schema(a=Literal["x", "y"]), schema(a=Literal["x"]), 'a: "y" is no longer accepted'),
    ("free text becomes a choice", schema(a=str), schema(a=Literal["x"]), "a: only a few values"),
    ("a text must be shorter", schema(a=Long), schema(a=Short), "a: at most 10 characters now, 20 before"),
    ("a text gets its first limit", schema(a=str), schema(a=Short), "a: at most 10 characters now, no limit before"),
    ("a number must be smaller", schema(a=High), schema(a=Low), "a: the largest number is lower now: maximum 10"),
    (
        "a bound is left out",
        schema(a=Annotated[int, Field(ge=0)]),
        schema(a=Annotated[int, Field(gt=0)]),
        "a: the smallest number is higher now: exclusiveMinimum 0",
    ),
    (
        "steps appear",
        schema(a=int),
        schema(a=Annotated[int, Field(multiple_of=5)]),
        "a: only multiples of 5 are accepted now",
    ),
    (
        "a pattern changes",
        schema(a=Annotated[str, Field(pattern="^a")]),
        schema(a=Annotated[str, Field(pattern="^ab")]),
        "a: pattern is new or has changed",
    ),
    (
        "a list gets shorter",
        schema(a=list[int]),
        schema(a=Annotated[list[int], Field(max_length=3)]),
        "at most 3 entries",
    ),
    ("entries are narrowed", schema(a=list[int | str]), schema(a=list[int]), "a.(each): string is no longer accepted"),
    ("a pair becomes three", schema(a=tuple[int, int]), schema(a=tuple[int, int, int]), "a: at least 3 entries now"),
    ("extra names are refused", schema("ignore", a=int), schema(a=int), "parameters: unknown names are refused now"),
    ("deep inside", schema(a=list[Cat]), schema(a=list[Dog]), 'a.(each).kind: "cat" is no longer accepted'),
    (
        "in a recursive model",
        Tree.model_json_schema(),
        LongTree.model_json_schema(),
        "leaf.name: at least 3 characters",
    ),
    ("a form of a union goes", schema(a=Pet), schema(a=Dog), 'a.kind: "cat" is no longer accepted'),
    ("map values are narrowed", schema(a=dict[str, int | str]), schema(a=dict[str, int]), "a.(any name): string"),
    (
        "a word we do not know",
        {"type": "object", "propertyNames": {"maxLength": 5}},
        {"type": "object", "propertyNames": {"maxLength": 4}},
        "parameters: propertyNames is new or has changed",
    ),
]

SAFE = [
    ("nothing changed", schema(a=int), schema(a=int)),
    ("a new field with a default", schema(a=int), schema(a=int, b=(int, 1))),
    ("a required field gets a default", schema(a=int), schema(a=(int, 1))),
    ("a type is widened", schema(a=int), schema(a=int | str | None)),
    ("whole numbers become any", schema(a=int), schema(a=float)),
    ("a value is added", schema(a=Literal["x"]), schema(a=Literal["x", "y"])),
    ("a choice becomes free text", schema(a=Literal["x", "y"]), schema(a=str)),
    ("limits are lifted", schema(a=Short, b=Low), schema(a=Long, b=High)),
    ("unknown names are welcome now", schema(a=int), schema("ignore", a=int)),
    ("a field that open models may drop", schema("ignore", a=int, b=int), schema("ignore", a=int)),
    ("other words, the same values", schema(a=int), {**schema(a=int), "description": "new", "title": "New"}),
    ("a union gets a form more", schema(a=Dog), schema(a=Pet)),
    ("a union stays", schema(a=Pet), schema(a=Pet)),
    ("a recursive model is widened", LongTree.model_json_schema(), Tree.model_json_schema()),
    ("a list gets longer", schema(a=tuple[int, int]), schema(a=list[int])),
]


@pytest.mark.parametrize(("old", "new", "said"), [one[1:] for one in BREAKS], ids=[one[0] for one in BREAKS])
def test_a_change_that_breaks_stored_tasks_is_named(old: Fields, new: Fields, said: str) -> None:
    found = [str(one) for one in breaks(old, new)]

    assert any(said in sentence for sentence in found), found


@pytest.mark.parametrize(("old", "new"), [one[1:] for one in SAFE], ids=[one[0] for one in SAFE])
def test_a_change_that_breaks_nothing_is_let_through(old: Fields, new: Fields) -> None:
    assert breaks(old, new) == ()


def test_each_break_says_what_to_do() -> None:
    found = breaks(schema(old=str, b=int, c=Long), schema(new=str, b=(int, 1), c=Short, d=int))

    advice = {one.field: one.advice for one in found}
    assert advice["old"] == "accept both names (AliasChoices('new', 'old'))"
    assert advice["c"].startswith("keep accepting it and check the rest in the task")
    assert advice["d"] == "give it a default, or make a new task type"


def test_a_task_type_that_is_gone_is_a_break_and_a_new_one_is_none() -> None:
    [gone, new] = differences({"a": schema(a=int)}, {"b": schema(a=int)})

    assert (gone.is_safe, new.is_safe) == (False, True)
    assert "keep it until its dead letters are 90 days old" in gone.sentences()[0]


# --- Values that fit an old schema fit every new one that is judged compatible ---------------------------------------

_TEXTS = st.text("abc", max_size=6)
_WHOLE = st.integers(-6, 6)


def _sized(low: str, high: str) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries({}, optional={low: st.integers(0, 2), high: st.integers(2, 5)})


_RANGES = st.fixed_dictionaries(
    {}, optional={"minimum": st.integers(-5, 0), "maximum": st.integers(0, 5), "exclusiveMaximum": st.integers(1, 6)}
)
_SCALARS: st.SearchStrategy[Fields] = st.one_of(
    _sized("minLength", "maxLength").map({"type": "string"}.__or__),
    st.lists(_TEXTS, min_size=1, max_size=3, unique=True).map(lambda values: {"enum": values, "type": "string"}),
    _RANGES.map({"type": "integer"}.__or__),
    _RANGES.map({"type": "number"}.__or__),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": 1}, {"const": "a"}, {}]),
)


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[Fields]) -> Fields:
    properties = draw(st.dictionaries(st.sampled_from("abcd"), inner, max_size=3))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    found: Fields = {"type": "object", "properties": properties, "required": required}
    return found | draw(st.sampled_from([{}, {"additionalProperties": False}]))


def _larger(inner: st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    arrays = st.tuples(inner, _sized("minItems", "maxItems")).map(lambda p: {"type": "array", "items": p[0]} | p[1])
    unions = st.lists(inner, min_size=2, max_size=3).map(lambda forms: {"anyOf": forms})
    return _objects(inner) | arrays | unions


_SCHEMAS: st.SearchStrategy[Fields] = st.recursive(_SCALARS, _larger, max_leaves=6)


_BOUNDS = {
    "string": ["minLength", "maxLength"], "array": ["minItems", "maxItems"],
    "integer": ["minimum", "maximum"], "number": ["minimum", "maximum", "exclusiveMinimum"],
}  # fmt: skip


def _change(draw: Any, node: Fields) -> None:
    """One change of one node: half of them narrow it."""
    kind = str(node.get("type"))
    if "properties" in node:
        name = draw(st.sampled_from("abcdef"))
        match draw(st.sampled_from(["field", "drop", "require", "optional", "close"])):
            case "field":
                node["properties"][name] = draw(_SCALARS)
            case "drop":
                node["properties"].pop(name, None)
            case "require":
                node["required"] = sorted({*node["required"], name})
            case "optional":
                node["required"] = node["required"][1:]
            case _:
                node["additionalProperties"] = False
    elif kind in _BOUNDS and draw(st.booleans()):
        node[draw(st.sampled_from(_BOUNDS[kind]))] = draw(st.integers(0, 4))
    elif node and draw(st.booleans()):
        node.pop(draw(st.sampled_from(sorted(node))))
    else:
        before = dict(node)
        node.clear()
        node.update(draw(st.sampled_from([{"anyOf": [before, {"type": "null"}]}, {"enum": ["a", 1]}, draw(_SCALARS)])))


@st.composite
def _changed(draw: st.DrawFn, old: Fields) -> Fields:
    """The schema with some of it changed: words taken away, drawn anew, fields and forms added."""
    new = copy.deepcopy(old)
    nodes: list[Fields] = []

    def collect(node: Fields) -> None:
        nodes.append(node)
        for child in (*node.get("properties", {}).values(), *node.get("anyOf", ()), *filter(None, [node.get("items")])):
            collect(child)

    collect(new)
    for _ in range(draw(st.integers(1, 2))):
        _change(draw, draw(st.sampled_from(nodes)))
    return new


def _values(of: Fields) -> st.SearchStrategy[Any]:
    """Values that fit, and mostly lie at the edges; unknown names are none that a new schema might declare."""
    if "anyOf" in of:
        return st.one_of(*[_values(form) for form in of["anyOf"]])
    match of.get("type"):
        case "object":
            fields = {name: _values(one) for name, one in of.get("properties", {}).items()}
            required = {name: fields[name] for name in of.get("required", ()) if name in fields}
            optional = {name: one for name, one in fields.items() if name not in required}
            if of.get("additionalProperties") is not False:
                optional["zz"] = _WHOLE
            return st.fixed_dictionaries(required, optional=optional)
        case "array":
            return st.lists(
                _values(of.get("items", {})), min_size=of.get("minItems", 0), max_size=of.get("maxItems", 6)
            )
    return st.one_of(_TEXTS, _WHOLE, st.floats(-6, 6), st.booleans(), st.none(), st.just([]), st.just({}))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.data())
def test_what_fits_an_old_schema_fits_every_new_one_that_is_judged_compatible(data: st.DataObject) -> None:
    old = data.draw(_SCHEMAS, "old")
    new = data.draw(_changed(old), "new")
    assume(breaks(old, new) == ())
    for _ in range(3):
        value = data.draw(_values(old), "value")
        if Draft202012Validator(old).is_valid(value):
            assert Draft202012Validator(new).is_valid(value)


@settings(max_examples=200, deadline=None)
@given(_SCHEMAS)
def test_no_schema_breaks_itself(one: Fields) -> None:
    assert breaks(one, copy.deepcopy(one)) == ()
