"""The JSON Schemas say what the checker says, as far as shapes go."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.graphfile.check import check
from bundler.graphfile.component_grammar import COMPONENT
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.library import Library
from bundler.graphfile.schema import bundle_schema, component_schema, site_schema, variant_schema
from bundler.graphfile.shapes import Key, MapOf, Record, Shape
from bundler.graphfile.site_grammar import SITE
from bundler.graphfile.source import document, parse
from bundler.graphfile.walk import Walker

ROOT = Path(__file__).parents[2]
SOURCE = parse(Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8"), "bundle.yaml")
SUITE: dict[str, Any] = SOURCE.data  # type: ignore[assignment]
BUNDLE = jsonschema.Draft202012Validator(bundle_schema())
SITES = jsonschema.Draft202012Validator(site_schema())
COMPONENTS = jsonschema.Draft202012Validator(component_schema())
QUEUE: dict[str, Any] = Library.of(Path(__file__).with_name("libraries") / "components", "f").entries[0].read().data  # type: ignore[assignment]
USES: dict[str, Any] = {
    "bundle": "a",
    "version": "1",
    "services": {
        "db": {
            "use": "postgres@17",
            "user": None,
            "expose": {"sql": {"as": "postgres"}, "more": None},
            "environment": {"A": None, "B": "x"},
            "healthcheck": {"interval": "5s", "http": None},
            "resources": {"gpus": {"required": False}, "memory": None},
            "tmpfs": [{"path": "/x"}],
            "depends_on": {"x": {"condition": None}},
            "parts": {"volumes": {"data": {"size": "1GiB"}}},
        }
    },
}
SITE_DATA: dict[str, Any] = {
    "site": "a",
    "values": {"x": 1},
    "secrets": {"a.b": {"file": "x"}},
    "publish": {"ui": {"port": 80, "bind": "::1", "host": "a.b"}},
    "externals": {"a": {"b": "c", "port": 1}},
    "storage": {"x": {"class": "y", "shared": True}},
    "placement": {"services.x": {"gpu_class": "y"}},
    "timeout": "5m",
}


def fits(shape: Record, data: Any) -> bool:
    walker = Walker(document(data))
    walker.walk(shape, data)
    return not walker.problems


def test_the_schemas_in_the_tree_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "schema", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_schemas_are_schemas_and_reach_the_package() -> None:
    for name, schema in (
        ("bundle", bundle_schema()),
        ("component", component_schema()),
        ("site", site_schema()),
        ("variant", variant_schema()),
    ):
        jsonschema.Draft202012Validator.check_schema(schema)
        packaged = ROOT / "bundler" / "schemas" / f"{name}.schema.json"
        assert json.loads(packaged.read_text(encoding="utf-8")) == schema


def test_a_good_graph_fits_the_schema() -> None:
    BUNDLE.validate(SUITE)
    SITES.validate(SITE_DATA)


def test_every_key_is_explained() -> None:
    def keys(shape: Shape) -> list[Key]:
        if isinstance(shape, MapOf):
            return keys(shape.values)
        parts = shape.keys if isinstance(shape, Record) else ()
        return [*parts, *(inner for key in parts for inner in keys(key.shape))]

    for key in (*keys(GRAPH), *keys(COMPONENT), *keys(SITE)):
        assert key.doc.endswith("."), key.name
    for properties in _properties([bundle_schema(), component_schema()]):
        assert all("description" in part for part in properties.values())


def _properties(schema: object) -> list[dict[str, Any]]:
    if not isinstance(schema, dict):
        return [found for part in schema for found in _properties(part)] if isinstance(schema, list) else []
    found = [schema["properties"]] if isinstance(schema.get("properties"), dict) and "type" in schema else []
    return found + [each for part in schema.values() for each in _properties(part)]


def test_the_patterns_are_such_that_editors_read_them_too() -> None:
    """ECMAScript knows no possessive quantifiers, inline flags, named groups in Python's way, or \\A and \\Z."""
    for text in re.findall(
        r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps([bundle_schema(), component_schema(), site_schema()])
    ):
        pattern = json.loads(f'"{text}"')
        assert not re.search(r"\(\?[^:=!]|\\[AZz]|[*+?}]\+", pattern), pattern


_TEXTS = "a A a.b a:/b ./a ../a /a ${values.x} ${a.b} $x 30s 1GiB 512m tcp 0 manual yes 10:10 TERM SIGTERM * :: 1.2.3.4"
_NEW = st.sampled_from(
    [
        *_TEXTS.split(),
        *("", "a b", "0 3 * * *", "x" * 70, "x" * 300),
        *(None, True, False, 0, 1, -1, 1.0, 0.5, 80, 10**6),
        *([], ["a"], ["a", "a"], ["a:/b"], [1], [None], [{"path": "/a"}]),
        *({}, {"a": "b"}, {"a": 1}, {"a": None}, {"to": "a.b"}, {"port": 1}, {"min": 1}, {"max": 2}, {"http": "/"}),
        *({"image": "a"}, {"image": "a", "build": "b"}, {"file": "a"}, {"tcp": False}, {"a": {"condition": "x"}}),
    ]
)
_NAMES = st.sampled_from(
    ["a", "A", "a_b", "use", "image", "build", "connect", "port", "ports", "default", "1a", "x" * 64]
)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, part in parts for found in _paths(part, (*path, key)))]


@st.composite
def _changed(draw: st.DrawFn, data: dict[str, Any]) -> Any:
    changed = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([path for path in _paths(changed) if path]))
        part = changed
        for step in path:
            part = part[step]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                part[last] = copy.deepcopy(draw(_NEW))
            case "remove":
                del part[last]
            case _ if isinstance(part, dict):
                part[draw(_NAMES)] = copy.deepcopy(draw(_NEW))
    return changed


@settings(max_examples=300, deadline=None)
@given(_changed(SUITE))
def test_checker_and_schema_agree_on_the_shape_of_graphs(data: Any) -> None:
    assert fits(GRAPH, data) == BUNDLE.is_valid(data)


@settings(max_examples=200, deadline=None)
@given(_changed(USES))
def test_checker_and_schema_agree_on_what_is_laid_over_a_component(data: Any) -> None:
    assert fits(GRAPH, data) == BUNDLE.is_valid(data)


@settings(max_examples=200, deadline=None)
@given(_changed(QUEUE))
def test_checker_and_schema_agree_on_the_shape_of_components(data: Any) -> None:
    assert fits(COMPONENT, data) == COMPONENTS.is_valid(data)


@settings(max_examples=200, deadline=None)
@given(_changed(SITE_DATA))
def test_checker_and_schema_agree_on_the_shape_of_site_files(data: Any) -> None:
    assert fits(SITE, data) == SITES.is_valid(data)


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"values": {"language": "de", "train_workers": 3}}, True),
        ({"values": {"language": "fr"}}, False),
        ({"values": {"langage": "de"}}, False),
        ({"secrets": {"corpus.secret_key": {"env": "K"}, "admin-password": {"env": "K"}}}, True),
        ({"secrets": {"nothing": {"env": "K"}}}, False),
        ({"externals": {"corpus": {"bucket": "b"}}}, True),
        ({"externals": {"corpus": {"secret_key": "b"}}}, False),
        ({"publish": {"ui": {"port": 1}}}, True),
        ({"publish": {"iu": {}}}, False),
    ],
)
def test_the_site_schema_of_a_graph_knows_its_names(data: dict[str, Any], valid: bool) -> None:
    schema = site_schema(check(SOURCE))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(data) is valid
