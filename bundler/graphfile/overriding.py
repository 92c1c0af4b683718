"""What a graph says of a component's nodes, laid over what the component says.

JSON Merge Patch (RFC 7386): maps merge, null removes, anything else takes the place of what was there. Besides: mounts
and a list of dependencies are added, a mount at a path that is taken replaces the one there, and one of several keys of
which only one can hold (`build` and `image`; `http`, `tcp` and `test`) replaces the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bundler.graphfile.component_grammar import COMPONENT
from bundler.graphfile.component_names import MOUNTS, Data
from bundler.graphfile.scope import as_map
from bundler.graphfile.shapes import MapOf, Record, Shape
from bundler.graphfile.source import Mark, Source, patched, unplaced
from bundler.graphfile.workloads import SERVICE


def overridden(data: Data, mark: Mark, over: Data, over_mark: Mark) -> tuple[Data, Mark]:
    """A component's service under the keys of the node that it becomes; problems there are the node's."""
    base: Data = _without_rivals(SERVICE, data, over)
    more = dict(over)
    marks = Mark(over_mark.value, over_mark.key, parts=dict(over_mark.parts))
    for key in (*MOUNTS, "depends_on"):
        _add(key, base, mark, more, marks)
    return patched(base, Mark(over_mark.value, over_mark.key, parts=mark.parts), more, marks)


def changed(component: Source, parts: Mapping[str, Any], marks: Mark) -> Source:
    """A component with its other nodes changed."""
    base = _without_rivals(COMPONENT, as_map(component.data), parts)
    old = component.marks or unplaced(component.data, component.file)
    return Source(component.file, *patched(base, old, parts, marks))


def _without_rivals(shape: Shape, base: Mapping[str, Any], over: Mapping[str, Any]) -> Data:
    """The base without keys that cannot hold beside what is laid over it."""
    kept = dict(base)
    if isinstance(shape, Record):
        for group in shape.one_of:
            if any(over.get(key) is not None for key in group):
                kept = {key: part for key, part in kept.items() if key not in group or key in over}
        if over.get("test") is not None and "port" not in over:
            kept.pop("port", None)  # of a health check: a test asks no port
    for key, part in over.items():
        inner = _inner(shape, key)
        if inner is not None and isinstance(part, Mapping) and isinstance(kept.get(key), Mapping):
            kept[key] = _without_rivals(inner, kept[key], part)
    return kept


def _inner(shape: Shape, name: str) -> Shape | None:
    if isinstance(shape, MapOf):
        return shape.values
    key = shape.key(name) if isinstance(shape, Record) else None
    return key.shape if key is not None else None


def _add(key: str, base: Data, mark: Mark, over: Data, over_mark: Mark) -> None:
    """Lays the node's list `key` beside the component's."""
    had, more = base.get(key), over.get(key)
    if not isinstance(had, list) or not isinstance(more, list):
        return
    places = [_place(key, item) for item in more]
    kept = [index for index, item in enumerate(had) if _place(key, item) not in places]
    over[key] = [*more, *(had[index] for index in kept)]  # so that a place in the node's own list stays what it is
    here, there = mark.parts[key], over_mark.parts[key]
    marks = [*(there.parts[index] for index in range(len(more))), *(here.parts[index] for index in kept)]
    over_mark.parts[key] = Mark(there.value, there.key, parts=dict(enumerate(marks)))


def _place(key: str, item: object) -> object:
    """What two entries of a list cannot both have."""
    if key == "depends_on" or not isinstance(item, str):
        return item
    name, _, path = item.partition(":")
    return path.removesuffix(":ro") or f"/run/secrets/{name}"
