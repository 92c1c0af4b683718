"""Whatever the checker is given, it answers with a graph or with problems, never otherwise."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.errors import GraphError, Problem
from bundler.graphfile.check import check, check_document, check_template
from bundler.graphfile.edges import Order, cycles, waves
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.parts import HEALTHCHECK
from bundler.graphfile.shapes import Record
from bundler.graphfile.site import SiteError, parse_site, with_values
from bundler.graphfile.source import document, parse
from bundler.graphfile.workloads import JOB, SERVICE
from bundler.graphfile.written import written
from bundler.model.graph import Graph
from bundler.model.site import Site

TEXT = Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8")
SUITE: dict[str, Any] = parse(TEXT, "f").data  # type: ignore[assignment]

GRAPH_OF_SUITE = check_document(SUITE)


def _keys(*records: Record) -> list[str]:
    return [key.name for record in records for key in record.keys] + ["use", "ports", "a", "b", "c"]


_WORDS = (
    "a b.c a.http a:/b ./x ${a.b} ${values.a} ${publish.a.url} 1GiB 5s upgrade service_healthy tcp postgres localhost"
)
_SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-5, 100_000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(_WORDS.split())
    | st.text(max_size=5)
)
_NAME = st.sampled_from(_keys(GRAPH, SERVICE, JOB, HEALTHCHECK)) | st.text(max_size=4)
_DATA = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAME, inner, max_size=5), max_leaves=25
)
_NODES = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from(_keys(SERVICE, JOB)), _DATA, max_size=6)
)
_GRAPHS = st.dictionaries(st.sampled_from(_keys(GRAPH)), _NODES | _DATA, max_size=8)


def problems(call: Callable[[], object]) -> tuple[object, tuple[Problem, ...]]:
    """What a call gives, or the problems it has; anything else that it raises is a failure of the test."""
    try:
        return call(), ()
    except (GraphError, SiteError) as error:
        return None, error.problems


def reads_back(graph: object) -> bool:
    assert isinstance(graph, Graph)
    return check_document(json.loads(json.dumps(written(graph), sort_keys=True))) == graph


@settings(max_examples=200, deadline=None)
@given(_GRAPHS | _DATA)
def test_any_data_is_a_graph_or_has_problems(data: Any) -> None:
    graph, found = problems(lambda: check_document(data))
    assert found or reads_back(graph)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_graph_with_one_part_changed_is_a_graph_or_has_problems(data: st.DataObject) -> None:
    changed = copy.deepcopy(SUITE)
    part: Any = changed
    while True:
        key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            part[key] = data.draw(_DATA)
            break
        part = part[key]
    graph, found = problems(lambda: check(document(changed)))
    assert found or reads_back(graph)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(TEXT)), st.integers(0, 30), st.text(alphabet="ab:-[]{}$\"' \n#&*", max_size=4))
def test_a_graph_with_some_characters_changed_is_a_graph_or_has_problems(at: int, length: int, new: str) -> None:
    graph, found = problems(lambda: check(parse(TEXT[:at] + new + TEXT[at + length :], "f")))
    assert found or reads_back(graph)


@settings(max_examples=200, deadline=None)
@given(_DATA | st.dictionaries(st.sampled_from(["values", "secrets", "publish", "externals", "timeout"]), _DATA))
def test_any_data_is_a_site_or_has_problems(data: Any) -> None:
    site, found = problems(lambda: parse_site([document(data), document(data)], GRAPH_OF_SUITE))
    assert found or isinstance(site, Site)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30) | st.from_regex(r"(values|publish|secrets|externals)(\.[a-z]+){0,3}=.{0,5}", fullmatch=True)
)
def test_any_assignment_is_taken_or_refused(assignment: str) -> None:
    site, found = problems(lambda: with_values(Site(), GRAPH_OF_SUITE, [assignment]))
    assert found or isinstance(site, Site)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="${}ab.-\n values", max_size=60))
def test_any_text_can_be_a_template(text: str) -> None:
    check_template(text, GRAPH_OF_SUITE, "start", "f")


_EDGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=14, unique=True)


@given(_EDGES)
def test_there_is_a_cycle_exactly_where_waves_cannot_hold_every_node(edges: list[tuple[str, str]]) -> None:
    found = cycles([Order(node, first, (), breakable=True) for node, first in edges])
    in_waves = [node for wave in waves("abcdef", edges) for node in wave]
    assert bool(found) == (len(in_waves) < 6)
    for cycle in found:
        assert all(edge.first == after.node for edge, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        assert len({edge.node for edge in cycle}) == len(cycle)


@given(_EDGES)
def test_a_node_is_in_a_later_wave_than_what_it_waits_for(edges: list[tuple[str, str]]) -> None:
    rank = {node: index for index, wave in enumerate(waves("abcdef", edges)) for node in wave}
    for node, first in edges:
        if node in rank:
            assert rank[first] < rank[node]


def test_a_graph_as_large_as_a_file_can_be_is_checked_in_seconds() -> None:
    nodes = "".join(f"  n{i}: {{image: a, expose: {{http: 80}}, connect: {{x: n{i + 1}.http}}}}\n" for i in range(3000))
    text = f'bundle: b\nversion: "1"\nservices:\n{nodes}  n3000: {{image: a, expose: {{http: 80}}}}\n'
    begun = time.process_time()
    graph = check(parse(text, "f"))
    assert len(graph.waves) == 3001
    assert time.process_time() - begun < 10
    closed = text.replace("n3000: {image: a,", "n3000: {image: a, connect: {x: n0.http},")
    _, (cycle,) = problems(lambda: check(parse(closed, "f")))
    assert "n0 -> n1 -> " in cycle.message
