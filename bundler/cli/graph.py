"""Finding and reading a graph file for the verbs that take a directory."""

from __future__ import annotations

from pathlib import Path

from bundler.errors import GraphError, UsageError
from bundler.model.graph import Graph

FILE_NAME = "bundle.yaml"


def graph_file(directory: Path) -> Path:
    """The graph file itself, or `bundle.yaml` in the directory. Raises UsageError where there is none."""
    path = directory / FILE_NAME if directory.is_dir() else directory
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file", hint=f"a graph is a file {FILE_NAME}; name its directory")
    if not path.is_file():
        raise UsageError(f"there is no graph at {path}", hint=f"a graph is a file {FILE_NAME}; name its directory")
    return path


def load_graph(directory: Path) -> Graph:
    """The checked graph. Raises GraphError with all its problems, or with all that it names and is not there."""
    from bundler.collect import presence
    from bundler.collect.paths import SourceTree
    from bundler.graphfile import check, source
    from bundler.graphfile.library import Libraries

    path = graph_file(directory)
    written = source.parse(read_text(path), str(path))
    graph, text = check.checked(written, Libraries(path.parent, str(path)))
    if problems := presence.problems(graph, text, SourceTree(path.parent.resolve())):
        raise GraphError(problems)
    return graph


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
