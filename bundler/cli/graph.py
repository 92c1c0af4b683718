"""Finding and reading a graph file for the verbs that take a directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.errors import GraphError, UsageError, typed

if TYPE_CHECKING:
    from bundler.collect.graphs import Graphs
    from bundler.model.graph import Graph

FILE_NAME = "bundle.yaml"
COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")  # as Compose looks


def graph_file(directory: Path) -> Path:
    """The graph file itself, or `bundle.yaml` in the directory. Raises UsageError where there is none."""
    path = directory / FILE_NAME if directory.is_dir() else directory
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file", hint=f"a graph is a file {FILE_NAME}; name its directory")
    if not path.is_file():
        if any((path.parent / name).is_file() for name in COMPOSE_NAMES) and directory.is_dir():
            beside = "" if directory == Path() else f" {typed(directory)}"
            hint = f"a Compose file is there; to make a graph of it: bundle import compose{beside}"
            raise UsageError(f"there is no graph at {path}", hint=hint)
        hint = f"a graph is a file {FILE_NAME}; name its directory, or begin one: bundle init"
        raise UsageError(f"there is no graph at {path}", hint=hint)
    return path


def load_graphs(directory: Path) -> Graphs:
    """The checked graph with all its variants. Raises GraphError with all their problems, or with all that they name
    and is not there."""
    from bundler.collect import presence
    from bundler.collect.paths import SourceTree
    from bundler.graphfile import variants

    path = graph_file(directory)
    found = read_graphs(directory, variants.names(path.parent))
    tree = SourceTree(path.parent.resolve())
    problems = [
        problem
        for variant, graph in found.union.graphs.items()
        for problem in presence.problems(graph, found.sources[variant], tree)
    ]
    if problems:
        raise GraphError(dict.fromkeys(problems))
    return found


def is_graph(place: Path) -> bool:
    """Whether it is a graph file or a directory for one; else a bundle."""
    return place.is_dir() or place.suffix in (".yaml", ".yml")


def graph_at(place: Path, variant: str) -> tuple[Graph, tuple[str, ...]]:
    """The graph in a directory or bundle as a variant has it, and the names of all variants there."""
    if is_graph(place):
        from bundler.graphfile.variants import names

        graphs = read_graphs(place, (variant,) if variant else ()).union.graphs
        return graphs[variant], names(graph_file(place).parent)
    from bundler.cli.bundlefile import of_variant, read_whole

    known = tuple(one.variant for one in read_whole(place).variants)
    return of_variant(place, variant).graph, known


def read_graphs(directory: Path, variants: Iterable[str]) -> Graphs:
    """The checked graph with those of its variants; nothing that they name is looked for."""
    from bundler.collect import graphs

    path = graph_file(directory)
    texts = graphs.variant_texts(path.parent, variants)
    return graphs.read(read_text(path).encode(), str(path), path.parent, texts)


def read_text(path: Path) -> str:
    """A text file of the user's, each line with the same end. Raises UsageError where it cannot be read as UTF-8."""
    return read_exactly(path).replace("\r\n", "\n").replace("\r", "\n")


def read_exactly(path: Path) -> str:
    """A text file of the user's with its own ends of lines. Raises UsageError where it cannot be read as UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
