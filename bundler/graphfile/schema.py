"""The grammar as JSON Schema (draft 2020-12): completion, hover texts and squiggles in editors.

A schema says what one part may look like; what holds between parts is the checker's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from bundler.graphfile import forms, placeholders, types
from bundler.graphfile.component_grammar import COMPONENT
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.shapes import Either, Flag, ListOf, MapOf, Number, Patch, Record, Scalar, Shape, Text, kinds
from bundler.graphfile.site_grammar import SITE
from bundler.graphfile.variants import VARIANT
from bundler.model.graph import Graph

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"text": "string", "integer": "integer", "number": "number", "flag": "boolean"}
_NAMED = ("a service", "a job", "a health check")  # written once, under $defs
_NULL = {"type": "null"}


def bundle_schema() -> dict[str, Any]:
    """Of graph files."""
    return _document(GRAPH, "bundle.yaml", "A graph: a whole system in one file.")


def component_schema() -> dict[str, Any]:
    """Of components' files."""
    return _document(COMPONENT, "NAME@VERSION.yaml", "A component: nodes with good defaults, to be used in a graph.")


def variant_schema() -> dict[str, Any]:
    """Of variants' files; what they change is held against the graph's once it is changed."""
    return _document(VARIANT, "variants/NAME.yaml", "A variant: a graph as one customer gets it.")


def site_schema(graph: Graph | None = None) -> dict[str, Any]:
    """Of site files; with a graph, of this graph's: its values, secrets, doors and externals by name."""
    schema = _document(SITE, "site.yaml", "A site file: what differs from place to place.")
    if graph is None:
        return schema
    sections = schema["properties"]
    sections["values"] = _closed(sections["values"], {value.name: dict(value.schema) for value in graph.values})
    for section, names in (
        ("publish", [door.name for door in graph.doors]),
        ("storage", [volume.name for volume in graph.volumes]),
    ):
        item = sections[section]["additionalProperties"]
        sections[section] = _closed(sections[section], dict.fromkeys(names, item))
    secrets = [secret.name for secret in graph.secrets]
    secrets += [f"{each.name}.{field}" for each in graph.externals for field in sorted(types.TYPES[each.type].fields)]
    item = sections["secrets"]["additionalProperties"]
    sections["secrets"] = _closed(sections["secrets"], dict.fromkeys(secrets, item))
    field_schema = sections["externals"]["additionalProperties"]["additionalProperties"]
    sections["externals"] = _closed(
        sections["externals"],
        {
            each.name: {
                "type": "object",
                "properties": dict.fromkeys(
                    sorted(types.fields_of(each.type) - types.secret_fields(each.type)), field_schema
                ),
                "additionalProperties": False,
            }
            for each in graph.externals
        },
    )
    return schema


def _closed(section: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    closed = {key: part for key, part in section.items() if key not in ("propertyNames", "additionalProperties")}
    return {**closed, "properties": dict(properties), "additionalProperties": False}


def _document(shape: Record, title: str, description: str) -> dict[str, Any]:
    defined: dict[str, Any] = {}
    body = _record(shape, defined)
    head = {"$schema": _DRAFT, "title": title, "description": description}
    return {**head, **{key: part for key, part in body.items() if key != "description"}} | (
        {"$defs": dict(sorted(defined.items()))} if defined else {}
    )


def _schema(shape: Shape, defined: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """`partial`: of what is laid over something else, where null removes, and what is missing is there."""
    match shape:
        case Text():
            return _text(shape)
        case Number():
            return _without_none(
                type="integer" if shape.integer else "number",
                minimum=shape.minimum,
                maximum=shape.maximum,
                exclusiveMinimum=shape.above,
            )
        case Flag():
            return {"type": "boolean"} if shape.only is None else {"const": shape.only}
        case Scalar():
            return {"type": ["string", "number", "boolean"]}
        case ListOf():
            return _without_none(
                type="array",
                items=_schema(shape.items, defined),
                minItems=shape.min_items or None,
                uniqueItems=shape.unique or None,
            )
        case MapOf():
            values = _schema(shape.values, defined, partial=partial)
            return _without_none(
                type="object",
                propertyNames={key: part for key, part in _text(shape.names).items() if key not in ("type", "not")},
                additionalProperties={"anyOf": [values, _NULL]} if partial else values,
                minProperties=shape.min_items or None,
            )
        case Patch():
            return {"type": "object"}
        case Record():
            if shape.title not in _NAMED:
                return _record(shape, defined, partial=partial)
            name = shape.title.removeprefix("a ").replace(" ", "-") + ("-override" if partial else "")
            if name not in defined:
                defined[name] = _choice(shape, name, defined) or _record(shape, defined, partial=partial)
            return {"$ref": f"#/$defs/{name}"}
        case Either():
            return {"anyOf": [_schema(each, defined, partial=partial) for each in shape.shapes]}
        case _:
            assert_never(shape)


def _choice(shape: Record, name: str, defined: dict[str, Any]) -> dict[str, Any] | None:
    """Of a record that something else may complete: as it is then, and as it is without."""
    if shape.completed_by is None:
        return None
    defined[f"{name}-override"] = _record(shape, defined, partial=True)
    defined[f"{name}-itself"] = _record(shape, defined)
    return {
        "description": shape.doc,
        "if": {"required": [shape.completed_by]},
        "then": {"$ref": f"#/$defs/{name}-override"},
        "else": {"$ref": f"#/$defs/{name}-itself"},
    }


def _text(shape: Text) -> dict[str, Any]:
    taken = [_TYPES[kind] for kind in ("text", "number", "flag") if kind in kinds(shape)]
    schema: dict[str, Any] = {"type": taken[0] if len(taken) == 1 else taken}
    if shape.choices:
        return {**schema, "enum": list(shape.choices)}
    if shape.pattern is not None:
        schema["pattern"] = f"^(?:{shape.pattern})$"
    elif shape.min_length:
        schema["minLength"] = shape.min_length
    schema["maxLength"] = shape.max_length
    if not shape.placeholders and shape.pattern in (None, forms.URL_PATH):  # other patterns leave no room for one
        schema["not"] = {"type": "string", "pattern": placeholders.PATTERN}
    return schema


def _record(shape: Record, defined: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
    properties = {}
    for key in shape.keys:
        removable = partial and key.name != shape.completed_by
        schema = _schema(key.shape, defined, partial=removable)
        doc = key.doc if key.default is None else f"{key.doc} Default: {key.default}."
        properties[key.name] = {"description": doc, **({"anyOf": [schema, _NULL]} if removable else schema)}
    whole = not partial
    return _without_none(
        description=shape.doc,
        type="object",
        properties=properties,
        required=[key.name for key in shape.keys if key.required and whole] or None,
        oneOf=[{"required": [name]} for name in shape.one_of[0]] if shape.one_of and whole else None,
        additionalProperties=False,
    )


def _without_none(**parts: Any) -> dict[str, Any]:
    return {key: part for key, part in parts.items() if part is not None}
