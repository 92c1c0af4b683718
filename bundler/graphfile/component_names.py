"""A component's nodes under the names that they have in a graph.

The service of the component's name becomes the node that uses it, everything else is called NODE-NAME, and a slot that
the component `needs` is what the graph connects to it. A name that is none of the component's is the graph's: only
changes of its `parts` have such.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bundler.graphfile import placeholders
from bundler.graphfile.component_grammar import SECTIONS
from bundler.graphfile.scope import as_map
from bundler.graphfile.source import Mark, Path, Source, unplaced

Data = dict[str, Any]
MOUNTS = ("volumes", "configs", "secrets", "models")


@dataclass(frozen=True, slots=True)
class Given:
    """What a graph connects to a slot that a component needs: `value` as written, at `path` of the graph."""

    value: Any
    mark: Mark
    path: Path

    @property
    def target(self) -> str:
        return str(self.value["to"]) if isinstance(self.value, Mapping) else str(self.value)


def declared(component: Source) -> dict[str, str]:
    """The names of a component's nodes, and their kinds."""
    data = as_map(component.data)
    return {name: section for section in SECTIONS for name in as_map(data.get(section))}


class Names:
    """How a component's names read in the graph, where `node` uses it."""

    def __init__(self, node: str, component: Source) -> None:
        """`component` as its file has it, before any change."""
        self.node = node
        self.own = declared(component)
        self._itself = as_map(component.data).get("component")
        self._given: Mapping[str, Given] = {}

    def with_slots(self, given: Mapping[str, Given]) -> Names:
        """Slots by what is connected to them."""
        made = copy.copy(self)
        made._given = given
        return made

    def of(self, name: str) -> str:
        if name == self._itself:
            return self.node
        return f"{self.node}-{name}" if name in self.own else name

    def mount(self, kind: str, text: str) -> str:
        name, colon, path = text.partition(":")
        if kind == "volumes" and name in self._given:
            return f"{self._given[name].target}{colon}{path}"
        if kind == "secrets" and not colon and name in self.own:
            return f"{self.of(name)}:/run/secrets/{name}"
        return f"{self.of(name)}{colon}{path}"

    def text(self, text: Any) -> Any:
        """`${secrets.x}` by its new name; all else as it stands."""
        if not isinstance(text, str):
            return text
        made, done = "", 0
        for index, ref in placeholders.offsets(text):
            if ref.scope == "secrets":
                made += f"{text[done:index]}{replace(ref, field=self.of(ref.field))}"
                done = index + len(str(ref))
        return made + text[done:]

    def connection(self, value: Any, mark: Mark) -> tuple[Any, Mark]:
        """An edge of the component. Of an edge to a slot, the graph decides where it leads and has the last word on
        how."""
        target = value["to"] if isinstance(value, Mapping) else value
        node, dot, endpoint = target.partition(".")
        given = None if dot else self._given.get(node)
        if given is None:
            renamed = f"{self.of(node)}{dot}{endpoint}"
            return ({**value, "to": renamed} if isinstance(value, Mapping) else renamed), mark
        if isinstance(value, Mapping):
            short = not isinstance(given.value, Mapping)
            more = {"to": given.value} if short else given.value
            parts: Mapping[str | int, Mark] = {"to": given.mark} if short else given.mark.parts
            return {**value, **more}, Mark(given.mark.value, given.mark.key, parts={**mark.parts, **parts})
        return given.value, given.mark


def renamed(component: Source, names: Names) -> Iterator[tuple[str, str, Data, Mark]]:
    """(section, name, data, mark) of each node as it is in the graph."""
    marks = component.marks or unplaced(component.data, component.file)
    for section in SECTIONS:
        for name, data in as_map(as_map(component.data).get(section)).items():
            mark = marks.parts[section].parts[name]
            if section in ("services", "jobs"):
                yield section, names.of(name), *_workload(data, mark, names)
            elif section == "configs" and "content" in data:
                yield section, names.of(name), {**data, "content": names.text(data["content"])}, mark
            else:
                yield section, names.of(name), dict(data), mark


def _workload(data: Mapping[str, Any], mark: Mark, names: Names) -> tuple[Data, Mark]:
    made: Data = dict(data)
    marks = Mark(mark.value, mark.key, parts=dict(mark.parts))
    if "connect" in made:
        edges = {
            slot: names.connection(made["connect"][slot], part) for slot, part in mark.parts["connect"].parts.items()
        }
        made["connect"] = {str(slot): value for slot, (value, _) in edges.items()}
        marks.parts["connect"] = _of(mark.parts["connect"], {slot: part for slot, (_, part) in edges.items()})
    match made.get("depends_on"):
        case list(nodes):
            made["depends_on"] = [names.of(node) for node in nodes]
        case dict(nodes):
            made["depends_on"] = {names.of(node): part for node, part in nodes.items()}
            old = mark.parts["depends_on"]
            marks.parts["depends_on"] = _of(old, {names.of(str(node)): part for node, part in old.parts.items()})
    for kind in MOUNTS:
        if kind in made:
            made[kind] = [names.mount(kind, text) for text in made[kind]]
    if "environment" in made:
        made["environment"] = {key: names.text(text) for key, text in made["environment"].items()}
    for key in ("entrypoint", "command"):
        if key in made:
            made[key] = [names.text(text) for text in made[key]]
    for key in ("healthcheck", "liveness"):
        if "test" in as_map(made.get(key)):
            made[key] = {**made[key], "test": [names.text(text) for text in made[key]["test"]]}
    if "outputs" in made:
        made["outputs"] = {
            endpoint: {field: names.text(text) for field, text in fields.items()}
            for endpoint, fields in made["outputs"].items()
        }
    return made, marks


def _of(old: Mark, parts: Mapping[str | int, Mark]) -> Mark:
    return Mark(old.value, old.key, parts=dict(parts))
