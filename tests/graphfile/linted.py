"""What is told of a graph."""

from __future__ import annotations

import textwrap
from pathlib import Path

from bundler.cli import linting
from bundler.cli.graph import graph_file, read_graphs
from bundler.graphfile import variants

HEAD = 'bundle: shop\nversion: "1.0"\n'


def graph_in(folder: Path, text: str, **patches: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "bundle.yaml").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    for name, patch in patches.items():
        (folder / "variants").mkdir(exist_ok=True)
        head = f"variant: {name}\nof: shop\n"
        (folder / "variants" / f"{name}.yaml").write_text(head + textwrap.dedent(patch), encoding="utf-8")
    return folder


def told(folder: Path) -> list[str]:
    """`CODE message`, each with the text of the line that it is told at."""
    graphs = read_graphs(folder, variants.names(graph_file(folder).parent))
    lines = []
    for one in linting.found(folder, graphs):
        assert not isinstance(one.where, str)
        line = Path(one.where.file).read_text(encoding="utf-8").splitlines()[one.where.line - 1]
        lines.append(f"{one.code} {one.message} <- {line[one.where.column - 1 :].partition(':')[0]}")
    return lines
