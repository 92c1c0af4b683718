"""A graph file and the variants beside it -> checked graphs.

Reads: the text of the graph, files of variants and of components.
Writes: `Graphs`.
Next: what they name is found and packed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from bundler.collect.union import Union
from bundler.errors import GraphError, Problem, UsageError, typed
from bundler.graphfile import check, library, variants
from bundler.graphfile.library import Libraries
from bundler.graphfile.scope import as_map
from bundler.graphfile.source import Source, parse, problem_order

_COMPOSE = re.compile(rb"^services[ \t]*:", re.MULTILINE)  # which may be no YAML that is read here
_OURS = re.compile(rb"^(?:bundle|component|variant)[ \t]*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Graphs:
    """`sources` are what the graphs were read from, components put in, by variant ("": the graph itself); `libraries`
    the folders of components that they name."""

    union: Union
    sources: Mapping[str, Source]
    libraries: tuple[str, ...]


def variant_texts(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Of variants beside the graph file in `folder`, by name, in order. Raises UsageError for one that is not there."""
    known = variants.names(folder)
    read = {}
    for name in sorted(set(names)):
        if name not in known:
            has = f"there is: {', '.join(known)}" if known else f"a variant is a file {variants.FOLDER}/NAME.yaml"
            raise UsageError(f"there is no variant {name!r}", hint=has)
        path = folder / variants.FOLDER / f"{name}.yaml"
        try:
            read[name] = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or 'cannot be read'}") from error
    return read


def read(text: bytes, file: str, folder: Path, texts: Mapping[str, bytes]) -> Graphs:
    """`file` is the graph file as the user calls it, `texts` are those of its variants. GraphError carries the problems
    of all; those of a variant are told where the graph itself has none. UsageError for a Compose file."""
    if PurePath(file).name != "bundle.yaml" and _COMPOSE.search(text) and not _OURS.search(text):
        hint = f"make a graph of it: bundle import compose {typed(file)}"
        raise UsageError(f"{file} is a Compose file, not a graph", hint=hint)
    source = _parsed(text, file)
    libraries = Libraries(folder, file)
    graph, whole = check.checked(source, libraries)
    varied, sources, problems = {}, {"": whole}, list[Problem]()
    folders = set(library.folders(as_map(source.data)).values())
    for name, written in texts.items():
        try:
            over = variants.varied(source, _parsed(written, _beside(file, name)), name)
            folders |= set(library.folders(as_map(over.data)).values())
            varied[name], sources[name] = variants.checked(over, source, name, libraries)
        except GraphError as error:
            problems += error.problems
    if problems:
        raise GraphError(sorted(problems, key=problem_order))
    return Graphs(Union(graph, varied), sources, tuple(sorted(folders)))


def _beside(file: str, name: str) -> str:
    return str(PurePath(file).parent / variants.FOLDER / f"{name}.yaml")


def _parsed(text: bytes, name: str) -> Source:
    try:
        return parse(text.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 (byte {error.start})") from error
