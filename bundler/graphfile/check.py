"""Source -> Graph, or every problem of the graph at once.

Reads: `Source`, no file.
Writes: `model.graph.Graph`.
Next: collecting what the graph names.

First components are put in (`components`), then the shape of every part (`walk` over `grammar`), then the rules
between parts, each over what is well-shaped: nodes, edges, references. A part with a mistake in it silences the rules
that would only repeat the mistake.
"""

from __future__ import annotations

from collections.abc import Mapping

from bundler.errors import GraphError, Problem
from bundler.graphfile import components
from bundler.graphfile.build import build
from bundler.graphfile.edges import check_edges
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.library import Libraries
from bundler.graphfile.nodes import check_nodes
from bundler.graphfile.references import check_references, check_template
from bundler.graphfile.scope import Scope
from bundler.graphfile.source import Source, document, problem_order
from bundler.graphfile.walk import Walker
from bundler.model.graph import Graph

__all__ = ["check", "check_document", "check_template", "checked"]


def check(source: Source, libraries: Libraries | None = None) -> Graph:
    """GraphError carries every problem, sorted by position. Without `libraries` no component can be used."""
    return checked(source, libraries)[0]


def checked(source: Source, libraries: Libraries | None) -> tuple[Graph, Source]:
    """The graph, and the source with its components put in, for places of what is found later."""
    problems: list[Problem] = []
    if not isinstance(source.data, Mapping):
        what = "empty" if source.data is None else "no map of keys"
        hint = "a graph begins with bundle: NAME and version: VERSION"
        problems.append(Problem(source.at(()), f"the file is {what}", hint))
    elif "component" in source.data:
        hint = "it lies in a library as NAME@VERSION.yaml, and a graph has services: {NODE: {use: NAME@VERSION}}"
        problems.append(Problem(source.at(("component",), key=True), "this is a component, not a graph", hint))
    elif "variant" in source.data and "bundle" not in source.data:
        hint = "it lies beside a graph as variants/NAME.yaml; bundle check takes it in where the graph is checked"
        problems.append(Problem(source.at(("variant",), key=True), "this is a variant, not a graph", hint))
    else:
        expanded = components.expanded(source, libraries)
        walker = Walker(expanded.source)
        walker.problems += expanded.problems
        scope = Scope(walker, walker.walk(GRAPH, expanded.source.data))
        check_nodes(scope)
        check_edges(scope)
        check_references(scope)
        if not walker.problems:
            return build(scope), expanded.source
        problems = walker.problems
    raise GraphError(sorted(dict.fromkeys(problems), key=problem_order))


def check_document(data: Mapping[str, object]) -> Graph:
    """A graph read back from a bundle: problems carry a dotted path such as `services.api.connect.embed`."""
    return check(document(data))
