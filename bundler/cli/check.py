"""bundle check: is the graph right?"""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli import output
from bundler.cli.graph import load_graphs
from bundler.cli.options import json_option
from bundler.errors import GraphError, Position, Problem


@click.command("check", short_help="Check a graph and report every problem at once.")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@json_option
def command(directory: Path, *, as_json: bool) -> int:
    """Check the graph in DIRECTORY (or a graph file) and report every problem with file, line and column; once it is
    right, every config, model and build directory of it that is not there. Its variants are checked with it."""
    try:
        union = load_graphs(directory).union
    except GraphError as error:
        if not as_json:
            raise
        output.answer_json({"valid": False, "problems": [_json(problem) for problem in error.problems]})
        return error.exit_code
    graph = union.graph
    counts = {
        "services": len(graph.services),
        "jobs": len(graph.jobs),
        "volumes": len(graph.volumes),
        "configs": len(graph.configs),
        "secrets": len(graph.secrets),
        "models": len(graph.models),
        "externals": len(graph.externals),
        "values": len(graph.values),
        "doors": len(graph.doors),
    }
    if as_json:
        output.answer_json(
            {
                "valid": True,
                "name": graph.name,
                "version": graph.version,
                "nodes": counts,
                "waves": [list(wave) for wave in graph.waves],
                "variants": list(union.variants),
            }
        )
        return 0
    holds = ", ".join(output.count(n, word) for word, n in counts.items() if n)
    output.answer(f"{graph.name} {graph.version} is valid: {holds or 'nothing is in it yet'}")
    if union.variants:
        output.answer(f"with its variants {', '.join(union.variants)}")
    if graph.waves:
        output.answer("starts in this order: " + " → ".join(", ".join(wave) for wave in graph.waves))
    return 0


def _json(problem: Problem) -> dict[str, object]:
    where = problem.where
    place = (
        {"file": where.file, "line": where.line, "column": where.column}
        if isinstance(where, Position)
        else {"path": where}
    )
    return {**place, "message": problem.message, "hint": problem.hint}
