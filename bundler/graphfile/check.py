"""Source -> Graph, or every problem of the graph at once.

Reads: `Source`, no file.
Writes: `model.graph.Graph`.
Next: collecting what the graph names.

First the shape of every part (`walk` over `grammar`), then the rules between parts, each over what is well-shaped:
nodes, edges, references. A part with a mistake in it silences the rules that would only repeat the mistake.
"""

from __future__ import annotations

from collections.abc import Mapping

from bundler.errors import GraphError
from bundler.graphfile.build import build
from bundler.graphfile.edges import check_edges
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.nodes import check_nodes
from bundler.graphfile.references import check_references, check_template
from bundler.graphfile.scope import Scope
from bundler.graphfile.source import Source, document, problem_order
from bundler.graphfile.walk import Walker
from bundler.model.graph import Graph

__all__ = ["check", "check_document", "check_template"]


def check(source: Source) -> Graph:
    """GraphError carries every problem, sorted by position."""
    walker = Walker(source)
    if not isinstance(source.data, Mapping):
        what = "empty" if source.data is None else "no map of keys"
        walker.report((), f"the file is {what}", "a graph begins with bundle: NAME and version: VERSION")
    elif any(key in source.data for key in GRAPH.later):
        for key in (key for key in source.data if key in GRAPH.later):
            walker.report((key,), f"{key}: {GRAPH.later[key]} not yet supported in this version", key=True)
    else:
        scope = Scope(walker, walker.walk(GRAPH, source.data))
        check_nodes(scope)
        check_edges(scope)
        check_references(scope)
        if not walker.problems:
            return build(scope)
    raise GraphError(sorted(walker.problems, key=problem_order))


def check_document(data: Mapping[str, object]) -> Graph:
    """A graph read back from a bundle: problems carry a dotted path such as `services.api.connect.embed`."""
    return check(document(data))
