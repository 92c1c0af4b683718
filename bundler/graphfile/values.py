"""The knobs of a graph: whether a value's schema makes sense, and whether an answer fits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bundler.graphfile.regex import Pattern, PatternError
from bundler.graphfile.shapes import kind
from bundler.graphfile.walk import closest, found

Plain = str | int | float | bool
_FITTING = {"string": ("text",), "integer": ("integer",), "number": ("integer", "number"), "boolean": ("flag",)}
_EXPECTED = {"string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false"}
_KEYS_OF = {
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "minLength": ("string",),
    "maxLength": ("string",),
    "pattern": ("string",),
}
MAX_LENGTH = 4096


def type_of(schema: Mapping[str, Any]) -> str:
    """The type given, else that of the choices, the default and the bounds, else string."""
    if "type" in schema:
        return str(schema["type"])
    shown = [*schema.get("enum", ()), *(schema.get(key) for key in ("default", "minimum", "maximum"))]
    types = {"number" if isinstance(each, float) else kind(each) for each in shown if each is not None}
    if types == {"flag"}:
        return "boolean"
    if types == {"integer"}:
        return "integer"
    return "number" if types and types <= {"integer", "number"} else "string"


def problems(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str | None]]:
    """What is wrong with a value's schema: the key, a message, a hint."""
    type = type_of(schema)
    schema = {**schema, "type": type}
    for key, types in _KEYS_OF.items():
        if key in schema and type not in types:
            yield (key,), f"{key} does not go with type {type}", f"it goes with {' and '.join(types)}"
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength")):
        if low in schema and high in schema and schema[low] > schema[high]:
            yield (low,), f"{low} is {schema[low]}, more than {high}, {schema[high]}", None
    if "pattern" in schema:
        try:
            Pattern(schema["pattern"])
        except PatternError as error:
            yield (("pattern",), f"pattern is no regular expression read here: {error}", None)
            schema = {key: part for key, part in schema.items() if key != "pattern"}
    plain = {key: part for key, part in schema.items() if key != "enum"}
    for index, choice in enumerate(schema.get("enum", ())):
        if choice is not None and (message := misfit(plain, choice)):
            yield ("enum", index), f"enum[{index}] {message}", _quote_hint(type, choice)
    if "default" in schema and (message := misfit(schema, schema["default"])):
        choices = [each for each in schema.get("enum", ()) if isinstance(each, str)]
        hint = closest(str(schema["default"]), choices) or _quote_hint(type, schema["default"])
        yield ("default",), f"default {message}", hint


def misfit(schema: Mapping[str, Any], value: object) -> str | None:
    """Why `value` does not fit, as `is …, expected …`; None where it does."""
    type = type_of(schema)
    expected = None
    if kind(value) not in _FITTING[type]:
        expected = _EXPECTED[type]
    elif type == "integer" and isinstance(value, float):  # containers see a value as it is written
        expected = f"{_EXPECTED[type]}, written {value:.0f}"
    elif "enum" in schema and not any(value == each and kind(value) == kind(each) for each in schema["enum"]):
        expected = "one of " + ", ".join(found(each) for each in schema["enum"] if each is not None)
    elif isinstance(value, str):
        expected = _text_misfit(schema, value)
    elif not isinstance(value, bool) and isinstance(value, int | float):
        if "minimum" in schema and value < schema["minimum"]:
            expected = f"at least {schema['minimum']}"
        elif "maximum" in schema and value > schema["maximum"]:
            expected = f"at most {schema['maximum']}"
    return f"is {found(value)}, expected {expected}" if expected else None


def _text_misfit(schema: Mapping[str, Any], text: str) -> str | None:
    if len(text) < schema.get("minLength", 0):
        return f"at least {schema['minLength']} characters"
    most = schema.get("maxLength", MAX_LENGTH)
    if len(text) > most:
        return f"at most {most} characters"
    if "pattern" in schema and not Pattern(schema["pattern"]).search(text):
        return f"a text that matches {schema['pattern']}"
    return None


def _quote_hint(type: str, value: object) -> str | None:
    return f'quote it: "{found(value)}"' if type == "string" and kind(value) in ("integer", "number", "flag") else None
