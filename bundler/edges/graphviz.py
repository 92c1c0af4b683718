"""Graphviz: where the parts of a picture go. The library of the package pygraphviz, or the program `dot`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bundler.edges import process
from bundler.errors import UsageError

MISSING = "pip install 'graphbundle[pictures]', or install Graphviz (dot); json, mermaid and dot need neither"
_UNPLACED = "--format mermaid and --format dot need no layout, and have all of it"
_TIMEOUT_S = 120.0


def laid_out(document: str) -> dict[str, Any]:
    """A graph in the DOT language as Graphviz's JSON, with positions. Raises UsageError where there is no Graphviz."""
    try:
        import pygraphviz  # type: ignore[import-untyped]
    except ImportError:
        text = _program(document)
    else:
        with closing(pygraphviz.AGraph(string=document)) as graph, _unheard():
            text = graph.draw(format="json0", prog="dot")
    data: dict[str, Any] = json.loads(text)
    return data


def found() -> str | None:
    """What would lay out a picture."""
    if find_spec("pygraphviz") is not None:
        return "the package pygraphviz"
    return "the program dot" if process.has("dot") else None


@contextmanager
def _unheard() -> Iterator[None]:
    """The library's warnings, and its package's, go nowhere: they are written to the process's own standard error."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _program(document: str) -> bytes:
    dot = process.find("dot", hint=MISSING, as_error=UsageError)
    try:
        done = process.run([dot, "-Tjson0"], stdin=document.encode(), timeout_s=_TIMEOUT_S, as_error=UsageError)
    except UsageError as error:
        raise UsageError(error.what, hint=_UNPLACED) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"{dot} could not lay out the picture: {said[-500:]}", hint=MISSING)
    return done.stdout
