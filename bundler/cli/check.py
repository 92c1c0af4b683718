"""bundle check: is the graph right?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import output
from bundler.cli.graph import graph_file, load_graphs, read_exactly
from bundler.cli.options import json_option
from bundler.errors import GraphError, Position, Problem

if TYPE_CHECKING:
    from bundler.collect.graphs import Graphs

_ALL, _EACH, _WAVES = 40, 3, 10  # nodes in a line; of more the first of each step, and the first steps


@click.command("check", short_help="Check a graph and report every problem at once.")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option("--strict", is_flag=True, help="Status 3 where a lint is told.")
@click.option("--fix", is_flag=True, help="Take out of the graph file what nothing uses; shows the diff.")
@json_option
def command(directory: Path, *, strict: bool, fix: bool, as_json: bool) -> int:
    """Check the graph in DIRECTORY (or a graph file) and report every problem with file, line and column; once it is
    right, every config, model and build directory of it that is not there. Its variants are checked with it.

    Lints tell what is right and yet no good, such as a volume that nothing mounts. They have codes (bundle explain
    lints), and `# noqa: B101` at the end of the line that one is told at says that it is meant so."""
    from bundler.cli import linting

    fixed: list[str] = []
    try:
        graphs = load_graphs(directory)
        if fix and (fixed := _fix(directory, graphs, as_json=as_json)):
            graphs = load_graphs(directory)
        union = graphs.union
    except GraphError as error:
        if not as_json:
            raise
        output.answer_json({"valid": False, "problems": [_json(problem) for problem in error.problems]})
        return error.exit_code
    graph = union.graph
    told = linting.found(directory, graphs)
    status = GraphError.exit_code if strict and told else 0
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
                "lints": [linting.as_json(one) for one in told],
                "fixed": fixed,
            }
        )
        return status
    holds = ", ".join(output.count(n, word) for word, n in counts.items() if n)
    output.answer(f"{graph.name} {graph.version} is valid: {holds or 'nothing is in it yet'}")
    if union.variants:
        output.answer(f"with its variants {', '.join(union.variants)}")
    if graph.waves:
        output.answer(f"starts in this order: {_order(graph.waves)}")
    for one in told:
        linting.tell(one)
    if fix and (left := linting.unused(directory, told)):
        output.note(f"not taken out: {', '.join(left)}; a variant names it, or it shares its lines with others")
    return status


def _order(waves: Sequence[Sequence[str]]) -> str:
    """All of them; the first of each where they are many."""
    if sum(map(len, waves)) <= _ALL:
        return " → ".join(", ".join(wave) for wave in waves)
    shown = [f"{', '.join(wave[:_EACH])}{f' and {len(wave) - _EACH} more' * (len(wave) > _EACH)}" for wave in waves]
    later = sum(map(len, waves[_WAVES:]))
    return " → ".join(shown[:_WAVES]) + (f" → {later} more" if later else "") + " (--json tells all)"


def _fix(directory: Path, graphs: Graphs, *, as_json: bool) -> list[str]:
    """What was taken out of the file."""
    from bundler.cli import linting
    from bundler.cli.add import diff
    from bundler.edges.files import replace_text

    path = graph_file(directory)
    text = read_exactly(path)
    made, done = linting.mended(directory, graphs, text)
    if done:
        replace_text(path, text, made)
        for line in () if as_json else diff(text, made, str(path)):
            output.answer_text(line)
    return done


def _json(problem: Problem) -> dict[str, object]:
    where = problem.where
    place = (
        {"file": where.file, "line": where.line, "column": where.column}
        if isinstance(where, Position)
        else {"path": where}
    )
    return {**place, "message": problem.message, "hint": problem.hint}
