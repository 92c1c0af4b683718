"""YAML text -> data with positions: the subset, and what is said of everything outside it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.errors import GraphError, Position
from bundler.graphfile import source
from bundler.graphfile.source import MAX_DEPTH, MAX_SIZE_BYTES, document, dotted, merge, parse, quoted

SUITE = Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8")


def said(text: str) -> list[str]:
    with pytest.raises(GraphError) as caught:
        parse(text, "f")
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers must say the same."""
    monkeypatch.setattr(source, "_LOADER", getattr(yaml, request.param, yaml.SafeLoader))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("012", "012"),
        ("1e3", "1e3"),
        ("0x1f", "0x1f"),
        ("12:30", "12:30"),
        ("2024-01-02", "2024-01-02"),
        ("1_000", "1_000"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("+1", "+1"),
        ("True", "True"),
        ("1" * 5000, "1" * 5000),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("1.50", 1.5),
        ('"1"', "1"),
        ("'true'", "true"),
        ("|-\n  true", "true"),
        ("${a.b}", "${a.b}"),
    ],
)
def test_a_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    data = parse(f"key: {text}\n", "f").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)  # type: ignore[index]


def test_the_characters_of_a_number_can_be_had_as_written() -> None:
    read = parse("a: 1.50\nb: [1, x]\n", "f")
    assert read.written(("a",)) == "1.50"
    assert read.written(("b", 0)) == "1"
    assert read.written(("b", 1)) is None
    assert read.written(("c", "d")) is None


def test_positions_are_those_of_values_keys_and_the_nearest_part_around() -> None:
    read = parse("a:\n  b: [x, yy]\n  c: 1\n", "f")
    assert read.at(()) == Position("f", 1, 1)
    assert read.at(("a", "b", 1)) == Position("f", 2, 10)
    assert read.at(("a", "c")) == Position("f", 3, 6)
    assert read.at(("a", "c"), key=True) == Position("f", 3, 3)
    assert read.at(("a", "missing", "deeper")) == Position("f", 1, 1)
    assert read.at(("missing",)) == Position("f", 1, 1)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "a: &x [1]\nb: *x\n",
            [
                "f:1:4: &x is a YAML anchor; aliases and anchors are not read\n"
                "    write the value out where it is used",
                "f:2:4: *x is a YAML alias; aliases and anchors are not read\n"
                "    write the value out: what stands in the file is what is signed",
            ],
        ),
        (
            'a: !!python/object/apply:os.system ["id"]\n',
            [
                "f:1:4: tag:yaml.org,2002:python/object/apply:os.system is a YAML tag; tags are not read\n"
                "    leave it out"
            ],
        ),
        ("a: ! x\n", ["f:1:4: ! is a YAML tag; tags are not read\n    leave it out"]),
        (
            "a: 1\nb: 2\na: 3\n",
            ['f:3:1: the key "a" stands twice in one map; first at line 1, column 1\n    keep one of them'],
        ),
        ("<<: {a: 1}\n", ["f:1:1: << is a YAML merge key; merge keys are not read\n    write the keys out"]),
        ("a: 1\n---\nb: 1\n", ["f:2:1: a second document starts here; a file holds one"]),
        ("8080: x\n", ['f:1:1: the key 8080 is a number; a key is text\n    quote it: "8080":']),
        ("true: x\n", ['f:1:1: the key true is true or false, not text; a key is text\n    quote it: "true":']),
        ("[a]: x\n", ["f:1:1: a list or map is no key; a key is text\n    quote a key that begins with { or ["]),
        ('"a\\nb": x\n', ['f:1:1: the key "a\\nb" is longer than one line']),
        ("a: b\n\x07", ["f:2:1: the control character U+0007 may not stand in the file"]),
        ('a: "\\x1b[31m"\n', ["f:1:4: the text holds the control character U+001B"]),
        (
            "a: {b: ${x.y}, c: 1}\n",
            [
                "f:1:8: ${x.y} must be quoted inside {…} and […]\n"
                '    put the whole value in double quotes, as in "${x.y}"'
            ],
        ),
        (
            "a: [--x=${x.y}]\n",
            [
                "f:1:9: ${x.y} must be quoted inside {…} and […]\n"
                '    put the whole value in double quotes, as in "${x.y}"'
            ],
        ),
        ("a: x: y\n", ['f:1:5: not YAML: a ": " where none can stand\n    quote a value that holds ": "']),
        ("a: @x\n", ["f:1:4: an unquoted value cannot begin with @\n    quote the value"]),
        ("a:\n\tb: 1\n", ["f:2:1: a tab where YAML wants spaces\n    indent with spaces"]),
    ],
)
def test_what_is_outside_the_subset_is_named_and_located(text: str, problems: list[str]) -> None:
    assert said(text) == problems


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    assert all("not read" in problem for problem in said(bomb))


def test_depth_has_a_limit() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(deep, "f").data
    assert said(f"[{deep}]")[0] == f"f:1:{MAX_DEPTH + 1}: nested more than {MAX_DEPTH} levels deep"
    assert said("[" * 500)[0] == f"f:1:{MAX_DEPTH + 1}: nested more than {MAX_DEPTH} levels deep"
    assert said("[" * 10_000)[0].endswith(f": nested more than {MAX_DEPTH} levels deep")
    nested: object = "x"
    for _ in range(10_000):
        nested = [nested]
    with pytest.raises(GraphError, match="problem"):
        document(nested)


def test_size_has_a_limit() -> None:
    parse("a: " + "x" * (MAX_SIZE_BYTES - 3), "f")
    assert "1048577 bytes long" in said("a: " + "x" * (MAX_SIZE_BYTES - 2))[0]
    assert "bytes long" in said("é" * MAX_SIZE_BYTES)[0]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert parse("\ufeffa: 1\r\nb: 2\r\n", "f").data == {"a": 1, "b": 2}


def test_a_graph_of_its_usual_size_is_read_in_milliseconds() -> None:
    begun = time.perf_counter()
    for _ in range(5):
        parse(SUITE, "f")
    assert (time.perf_counter() - begun) / 5 < (0.1 if source._LOADER is yaml.SafeLoader else 0.02)


def test_a_document_without_positions_is_located_by_dotted_paths() -> None:
    read = document({"services": {"api": {"command": ["a"]}}})
    assert read.at(("services", "api", "command", 0)) == "services.api.command[0]"
    assert dotted(("environment", "A.B")) == 'environment["A.B"]'


@pytest.mark.parametrize("data", [{1: 2}, {"a": b"x"}, {"a": float("nan")}, {"a": "\x00"}, {"a": {"b\n": 1}}, object()])
def test_a_document_that_json_cannot_say_is_refused(data: object) -> None:
    with pytest.raises(GraphError):
        document(data)


def test_merging_follows_rfc_7386_and_keeps_positions() -> None:
    first = parse("a: {b: 1, c: [1, 2]}\nd: x\n", "first")
    second = parse("a: {b: null, c: [3], e: {f: null, g: 1}}\nd: {h: 1}\n", "second")
    merged = merge(first, second)
    assert merged.data == {"a": {"c": [3], "e": {"g": 1}}, "d": {"h": 1}}
    assert merged.at(("a", "c", 0)) == Position("second", 1, 18)
    assert merged.at(("a",), key=True) == Position("first", 1, 1)
    assert merged.at(("d",), key=True) == Position("second", 2, 1)


def test_quoted_text_is_safe_to_print() -> None:
    assert quoted('a"\n\x1b\u202e') == '"a\\"\\n\\x1b\\u202e"'
    assert len(quoted("x" * 1000)) == 82


_PLAIN = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | _PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_PLAIN.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\t$~<\\x01", max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    try:
        parse(text, "f")
    except GraphError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(isinstance(problem.where, Position) for problem in problems)


@settings(max_examples=100, deadline=None)
@given(_JSON)
def test_what_is_written_as_json_is_read_back(data: object) -> None:
    assert parse(json.dumps(data, ensure_ascii=False), "f").data == data
