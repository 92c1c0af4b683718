"""The lints of a graph file and its variants, as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from bundler.cli import output
from bundler.cli.graph import graph_file, read_text
from bundler.errors import Position, Problem
from bundler.graphfile import lints, noqa, removing, variants
from bundler.graphfile.source import parse

if TYPE_CHECKING:
    from bundler.collect.graphs import Graphs
    from bundler.graphfile.lints import Lint


def found(directory: Path, graphs: Graphs, text: str | None = None) -> tuple[Lint, ...]:
    """`graphs` are those of the directory, all its variants with them; `text` is the graph's where it is another than
    the file's."""
    path = graph_file(directory)
    texts = {str(path): read_text(path) if text is None else text}
    for name in graphs.union.variants:
        beside = PurePath(variants.FOLDER) / f"{name}.yaml"
        texts[str(PurePath(str(path)).parent / beside)] = read_text(path.parent / beside)
    sources = {file: (written, parse(written, file)) for file, written in texts.items()}
    each = {name: lints.lints(graph, graphs.sources[name]) for name, graph in graphs.union.graphs.items()}
    return noqa.left(lints.joined(each, graphs.union.graphs, texts.keys()), sources)


def mended(directory: Path, graphs: Graphs, text: str) -> tuple[str, list[str]]:
    """The graph's text without what nothing uses, as far as `removing` can take it out, and what was. A text
    that would no longer be right with all variants is none."""
    from bundler.collect import graphs as reading
    from bundler.errors import GraphError

    path = graph_file(directory)
    patches = reading.variant_texts(path.parent, graphs.union.variants)
    done: list[str] = []
    left: set[tuple[str | int, ...]] = set()
    while True:
        unused = [one for one in found(directory, graphs, text) if _mechanical(one, str(path)) and one.path not in left]
        if not unused:
            return text, done
        section, name = str(unused[0].path[0]), str(unused[0].path[1])
        left.add(unused[0].path)
        made = removing.removed(text, str(path), section, name)
        if made is None:
            continue
        try:
            graphs = reading.read(made.encode(), str(path), path.parent, patches)
        except GraphError:
            continue
        text = made
        done.append(f"{section}.{name}")


def _mechanical(lint: Lint, file: str) -> bool:
    return lint.code in lints.UNUSED and isinstance(lint.where, Position) and lint.where.file == file


def unused(directory: Path, told: Iterable[Lint]) -> list[str]:
    """The nodes of the graph's file that nothing uses, as SECTION.NAME."""
    file = str(graph_file(directory))
    return list(dict.fromkeys(f"{one.path[0]}.{one.path[1]}" for one in told if _mechanical(one, file)))


def tell(one: Lint) -> None:
    """On stderr, as problems are."""
    output.problem(Problem(one.where, f"{one.code} {one.message}", one.hint))


def as_json(one: Lint) -> Mapping[str, object]:
    where = one.where
    place = (
        {"file": where.file, "line": where.line, "column": where.column}
        if isinstance(where, Position)
        else {"path": where}
    )
    return {**place, "code": one.code, "message": one.message, "hint": one.hint, "variant": one.variant or None}
