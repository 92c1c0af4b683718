"""A variant laid over a graph: the same system as one customer gets it.

Reads: the `Source` of a graph, and that of a variant's file.
Writes: a `Source` that says the variant's graph whole, every part with the file it stands in.
Next: `check`.

A variant is a JSON Merge Patch (RFC 7386): maps merge, anything else replaces, null removes. One rule more: a service
whose `use` changes is replaced whole, because what was said of one component means nothing to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from bundler.errors import GraphError, Position, Problem, UsageError
from bundler.graphfile import check
from bundler.graphfile.atoms import LABEL
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.library import Libraries
from bundler.graphfile.scope import SINGULAR, as_map
from bundler.graphfile.shapes import Key, Patch, Record
from bundler.graphfile.source import Mark, Path, Source, patched, problem_order, quoted, unplaced
from bundler.graphfile.walk import Walker, suggestion
from bundler.model.graph import Graph

FOLDER = "variants"  # beside the graph file: NAME.yaml
SECTIONS = tuple(key.name for key in GRAPH.keys if key.name not in ("bundle", "version"))

_OTHERS = {"values": "a value", "publish": "a front door", "libraries": "a library"}
VARIANT = Record(
    "a variant",
    "What differs from the graph for one customer: a JSON Merge Patch (RFC 7386). Maps merge, anything else replaces, "
    "null removes; a service whose `use` changes is replaced whole.",
    (
        Key("variant", LABEL, "Its name, that of its file: variants/NAME.yaml.", True),
        Key("of", LABEL, "The name of the graph that it changes, as in bundle: NAME.", True),
        *(Key(name, Patch("a map of changes"), f"Changes to {name}.") for name in SECTIONS),
    ),
    elsewhere={
        "bundle": "of: NAME says which graph it changes",
        "version": "a variant has the version of its graph",
        "name": "write variant: NAME",
    },
)


def names(folder: FilePath) -> tuple[str, ...]:
    """Of the variants beside a graph file in `folder`. UsageError where one is called so that it would be none."""
    # a glob would hide a folder that may not be read
    found = sorted((folder / FOLDER).iterdir()) if (folder / FOLDER).is_dir() else []
    for path in found:
        if path.name.endswith(".yml"):
            wanted = path.with_suffix(".yaml").name
            raise UsageError(f"{path}: a variant's file ends in .yaml", hint=f"rename it {wanted}")
    return tuple(sorted(path.name.removesuffix(".yaml") for path in found if path.name.endswith(".yaml")))


def varied(graph: Source, variant: Source, name: str) -> Source:
    """The graph under a variant, which lies in a file of that name. Raises GraphError where it is another graph's."""
    problems = _mistakes(graph, variant, name)
    if problems:
        raise GraphError(sorted(problems, key=problem_order))
    changes = {key: part for key, part in as_map(variant.data).items() if key in SECTIONS}
    mark = variant.marks or unplaced(variant.data, variant.file)
    data, marks = dict(as_map(graph.data)), graph.marks or unplaced(graph.data, graph.file)
    if "services" in changes:
        services = _services(data.get("services"), marks, changes.pop("services"), mark.parts["services"])
        data["services"] = services[0]
        marks = Mark(marks.value, marks.key, parts={**marks.parts, "services": services[1]})
    made, made_marks = patched(data, marks, changes, mark)
    return Source(graph.file, made, made_marks)


def checked(varied: Source, graph: Source, name: str, libraries: Libraries | None) -> tuple[Graph, Source]:
    """As `check.checked`, of a variant's graph: the problems of it say whose they are."""
    try:
        return check.checked(varied, libraries)
    except GraphError as error:
        raise GraphError([_told(problem, graph, name) for problem in error.problems]) from error


def _told(problem: Problem, graph: Source, name: str) -> Problem:
    """A problem of a varied graph; one that stands in another file than the variant's says whose it is."""
    where = problem.where
    if isinstance(where, Position) and FilePath(where.file) == FilePath(graph.file).parent / FOLDER / f"{name}.yaml":
        return problem
    return replace(problem, message=f"{problem.message} (in the variant {name})")


def _services(old: Any, marks: Mark, changes: Mapping[str, Any], mark: Mark) -> tuple[dict[str, Any], Mark]:
    had = as_map(old)
    known = marks.parts.get("services") or mark
    made = dict(had)
    parts = dict(known.parts) if had else {}
    for name, change in changes.items():
        if change is None:
            made.pop(name, None)
            parts.pop(name, None)
            continue
        before = made.get(name)
        whole = "use" in change and change["use"] != as_map(before).get("use")
        if not isinstance(before, Mapping) or whole:
            before, parts[name] = {}, mark.parts[name]
        # A component's key is not in the graph's file, so null over it stays until the component is put in.
        used = (change.get("use") or before.get("use")) is not None
        made[name], parts[name] = patched(before, parts[name], change, mark.parts[name], keep_null=used)
    return made, Mark(known.value, known.key, parts=parts)


def _mistakes(graph: Source, variant: Source, name: str) -> list[Problem]:
    walker = Walker(variant)
    if not isinstance(variant.data, Mapping):
        what = "empty" if variant.data is None else "no map of keys"
        walker.report((), f"the file is {what}", "a variant begins with variant: NAME and of: BUNDLE")
        return walker.problems
    walker.walk(VARIANT, variant.data)
    data = variant.data
    if isinstance(data.get("variant"), str) and data["variant"] != name:
        walker.report(("variant",), f"the file is called {name}.yaml", f"write variant: {name}, or rename the file")
    bundle = as_map(graph.data).get("bundle")
    if isinstance(data.get("of"), str) and isinstance(bundle, str) and data["of"] != bundle:
        walker.report(("of",), f"the graph beside it is {quoted(bundle)}", f"write of: {bundle}")
    if isinstance(data.get("services"), Mapping):
        for service, change in data["services"].items():
            if change is not None and not isinstance(change, Mapping):
                walker.report(("services", service), "a service is changed by a map of its keys")
    for section in SECTIONS:
        known = as_map(as_map(graph.data).get(section))
        for path in _removed(section, as_map(data.get(section))):
            if path[1] not in known:
                kind = SINGULAR.get(section, _OTHERS.get(section, "")).partition(" ")[2]
                hint = suggestion(str(path[1]), known, kind)
                walker.report(path, f"the graph has no {kind} {quoted(str(path[1]))} to leave out", hint, key=True)
    return walker.problems


def _removed(section: str, changes: Mapping[str, Any]) -> Iterator[Path]:
    for name, change in changes.items():
        if change is None:
            yield section, name
