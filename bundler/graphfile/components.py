"""`use: NAME@VERSION` -> the nodes of that component, with good defaults, in the graph.

Reads: a graph's `Source`, components' files (`library`).
Writes: `Expanded`: a `Source` without `use`, whose every part knows the file it stands in.
Next: `check`.

The service that bears the component's name becomes the node that uses it; what else comes along is called NODE-NAME,
so that one component can be used several times (`component_names`). The node's own keys are laid over the component's
(`overriding`), its `parts` over the component's other nodes. A component knows nothing of the graph but what is
connected to the slots that it `needs` (`component_rules`). A volume, config or model of the component that nothing
mounts any more does not come along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.errors import BundleError, GraphError, Problem
from bundler.graphfile import component_rules, forms, library
from bundler.graphfile.component_grammar import VOLUME_NEED
from bundler.graphfile.component_names import MOUNTS, Data, Given, Names, renamed
from bundler.graphfile.forms import UseText
from bundler.graphfile.library import Entry, Libraries, Library
from bundler.graphfile.overriding import changed, overridden
from bundler.graphfile.scope import NODE_KINDS, SINGULAR, as_map, type_of
from bundler.graphfile.source import Mark, Path, Source, quoted, unplaced
from bundler.graphfile.types import TYPES
from bundler.graphfile.walk import closest

Node = tuple[str, str, Data, Mark]  # section, name, data, mark


@dataclass(frozen=True, slots=True)
class _Use:
    """A service that uses a component: `component` with the changes to its parts, `names` as its file has them."""

    node: str
    name: str
    component: Source
    names: Names

    @property
    def needs(self) -> Mapping[str, str]:
        return as_map(as_map(self.component.data).get("needs"))


@dataclass(frozen=True, slots=True)
class Expanded:
    """`source` still has `use` where a component could not be put in; `problems` say why."""

    source: Source
    problems: tuple[Problem, ...] = ()


def expanded(source: Source, libraries: Libraries | None) -> Expanded:
    """`libraries` None: of a graph that is read back from a bundle, which uses none."""
    data = as_map(source.data)
    using = [name for name, service in as_map(data.get("services")).items() if "use" in as_map(service)]
    if libraries is None:
        told = "a packed graph holds its components' nodes, and uses none"
        return Expanded(source, tuple(Problem(source.at(("services", name, "use")), told) for name in using))
    if not using and "libraries" not in data:
        return Expanded(source)
    expansion = _Expansion(source, libraries)
    expansion.run()
    return Expanded(expansion.source, tuple(dict.fromkeys(expansion.problems)))


class _Expansion:
    def __init__(self, source: Source, libraries: Libraries) -> None:
        self._written = source
        self._own = libraries.own
        self._folders = library.folders(as_map(source.data))
        self._libraries = {name: libraries.named(folder) for name, folder in self._folders.items()}
        self._read: dict[Entry, Source | None] = {}
        self._data: Data = dict(as_map(source.data))
        marks = source.marks or unplaced(source.data, source.file)
        self._marks = Mark(marks.value, marks.key, parts=dict(marks.parts))
        self._taken: dict[str, str] = {}
        for kind in NODE_KINDS:
            if isinstance(self._data.get(kind), Mapping):
                self._data[kind] = dict(self._data[kind])
                old = self._marks.parts[kind]
                self._marks.parts[kind] = Mark(old.value, old.key, parts=dict(old.parts))
            for name in as_map(self._data.get(kind)):
                self._taken.setdefault(name, kind)
        self._volumes: set[str] = set()
        self._endpoints: dict[str, Mapping[str, Any]] = {}
        self._unread: tuple[str, ...] = ()
        self._brought: list[tuple[str, str]] = []
        self.problems: list[Problem] = []

    def run(self) -> None:
        for name, folder in self._libraries.items():
            if folder is None:
                hint = "a library is a folder of NAME@VERSION.yaml beside or below the graph"
                self._report(("libraries", name), f"{quoted(self._folders[name])} is no folder", hint)
        found = {node: self._used(node, use) for node, use in library.used(self._data)}
        uses = [use for use in found.values() if use is not None]
        self._unread = tuple(f"{node}-" for node, use in found.items() if use is None)
        self._note_targets(uses)
        for use in uses:
            self._put_in(use)
        self._leave_out()

    @property
    def source(self) -> Source:
        return Source(self._written.file, self._data, self._marks)

    def _report(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        self.problems.append(Problem(self._written.at(path, key=key), message, hint))

    def _node(self, node: str) -> tuple[Mapping[str, Any], Mark]:
        """The service as the graph has it."""
        return self._data["services"][node], self._marks.parts["services"].parts[node]

    # which component

    def _used(self, node: str, use: UseText) -> _Use | None:
        """What a service uses; None where there is a mistake in it, or in the changes to its parts."""
        path: Path = ("services", node)
        entry = self._find(use, (*path, "use"))
        if entry is None or not re.fullmatch(forms.LABEL, node):
            return None
        if entry not in self._read:
            self._read[entry] = self._file(entry, (*path, "use"))
        component = self._read[entry]
        own, mark = self._node(node)
        parts = {} if own.get("parts") is None else own["parts"]
        if component is None or not isinstance(parts, Mapping):
            return None
        made, problems = component, component_rules.wrong_parts(component, parts, self._written, (*path, "parts"))
        if parts and not problems:
            made = changed(component, parts, mark.parts["parts"])
            problems = component_rules.ill_shaped(made)
        self.problems += problems
        return None if problems else _Use(node, use.name, made, Names(node, component))

    def _find(self, use: UseText, path: Path) -> Entry | None:
        found: Library | None = self._own
        which = "the library"
        if use.library is not None:
            if use.library not in self._folders:
                if use.library not in as_map(self._data.get("libraries")):
                    hint = closest(use.library, self._folders) or f"name its folder: libraries: {{{use.library}: ./…}}"
                    self._report(path, f"there is no library {quoted(use.library)}", hint)
                return None
            found, which = self._libraries[use.library], f"the library {use.library}"
        if found is None:
            return None
        entry = found.find(use.name, use.version)
        if entry is None:
            message, known = found.lacks(which, use)
            elsewhere = [name for name, other in self._libraries.items() if other and use.name in other.names]
            if use.library is None and use.name not in found.names and elsewhere:
                known = f"write {elsewhere[0]}/{use.name}"
            self._report(path, message, known)
        return entry

    def _file(self, entry: Entry, path: Path) -> Source | None:
        try:
            component = entry.read()
        except GraphError as error:
            self.problems += error.problems
            return None
        except BundleError as error:
            self._report(path, error.what, error.hint)
            return None
        problems = component_rules.mistakes(component, entry)
        self.problems += problems
        return None if problems else component

    # into the graph

    def _note_targets(self, uses: Iterable[_Use]) -> None:
        """What there is to connect to once every component is in: volumes, and the endpoints of services."""
        self._volumes = set(as_map(self._data.get("volumes")))
        services = as_map(self._data.get("services"))
        self._endpoints = {name: as_map(as_map(service).get("expose")) for name, service in services.items()}
        for use in uses:
            data = as_map(use.component.data)
            self._volumes |= {use.names.of(name) for name in as_map(data.get("volumes"))}
            for inner, service in data["services"].items():
                name = use.names.of(inner)
                own = self._endpoints.get(name, {}) if name == use.node else {}
                self._endpoints[name] = {**as_map(service.get("expose")), **own}

    def _put_in(self, use: _Use) -> None:
        """In the place of the service that uses it; nothing where that has a mistake."""
        given = self._given(use)
        if given is None:
            return
        added = list(renamed(use.component, use.names.with_slots(given)))
        if not self._fit(added, use.node):
            return
        own, own_mark = self._node(use.node)
        for section, name, data, mark in added:
            if (section, name) != ("services", use.node):
                self._put(section, name, data, mark)
                self._brought.append((section, name))
                continue
            over = {key: part for key, part in own.items() if key not in ("use", "parts")}
            if isinstance(over.get("connect"), Mapping):
                over["connect"] = {slot: target for slot, target in over["connect"].items() if slot not in use.needs}
            self._one_form(use.node, data, over)
            self._put(section, name, *overridden(data, mark, over, own_mark))

    def _given(self, use: _Use) -> dict[str, Given] | None:
        """By slot; None where one is not connected, or not to what it takes."""
        own, mark = self._node(use.node)
        connect = {} if own.get("connect") is None else own["connect"]
        if not isinstance(connect, Mapping):
            return None  # the walker tells
        given: dict[str, Given] = {}
        for slot, type in use.needs.items():
            if _target(connect.get(slot)) is None:
                self._missing(use, slot, type, connect)
            elif re.fullmatch(forms.TARGET, str(_target(connect[slot]))):  # else the walker tells
                path: Path = ("services", use.node, "connect", slot)
                one = Given(connect[slot], mark.parts["connect"].parts[slot], path)
                if self._takes(use, slot, type, one):
                    given[slot] = one
        return given if len(given) == len(use.needs) else None

    def _missing(self, use: _Use, slot: str, type: str, connect: Mapping[str, Any]) -> None:
        what = "a volume" if type == VOLUME_NEED else f"an endpoint or external of type {type}"
        example = "VOLUME" if type == VOLUME_NEED else "NODE.ENDPOINT"
        others = (other for other, target in connect.items() if other not in use.needs and target is not None)
        near = next((other for other in others if closest(slot, (other,))), None)
        hint = f"write {slot} instead of {near}" if near else f"write connect: {{{slot}: {example}}}"
        path: Path = ("services", use.node, "connect" if connect else "use")
        self._report(path, f"{use.name} needs {slot}, {what}", hint)

    def _takes(self, use: _Use, slot: str, type: str, given: Given) -> bool:
        """Whether what is connected is what the slot takes; an endpoint that is not there is for others to say."""
        target = given.target
        if type == VOLUME_NEED:
            if target in self._volumes or target.startswith(self._unread):
                return True
            self._no_volume(use, slot, given)
            return False
        found = self._type(target)
        if found in (None, type) or type == "tcp":
            return True
        message = f"{use.name} needs {type} as {slot}, and {target} speaks {found}"
        self._report(given.path, message, f"connect an endpoint with as: {type}")
        return False

    def _no_volume(self, use: _Use, slot: str, given: Given) -> None:
        target = given.target
        kind = self._taken.get(target.partition(".")[0])
        if kind is not None and kind != "volumes":
            what = "an endpoint" if "." in target else SINGULAR[kind]
            message = f"{use.name} needs a volume as {slot}, and {quoted(target)} is {what}"
            hint = "write the name of a volume"
        else:
            message = f"{use.name} needs a volume as {slot}, and there is no volume {quoted(target)}"
            hint = closest(target, self._volumes) or f"declare it: volumes: {{{target.partition('.')[0]}: {{}}}}"
        self._report(given.path, message, hint)

    def _fit(self, added: Iterable[Node], node: str) -> bool:
        """Whether what comes along finds its place: sections that are maps, names that are free and short enough."""
        path: Path = ("services", node, "use")
        fits = True
        for section, name, _, _ in added:
            if not isinstance(self._data.get(section, {}), Mapping):
                return False  # the walker tells
            if name == node:
                continue
            own_name = name.removeprefix(f"{node}-")
            if name in self._taken:
                message = f"the component brings {SINGULAR[section]} {quoted(name)}, and the graph has "
                hint = f"rename the graph's; to change the component's write parts: {{{section}: {{{own_name}: …}}}}"
                self._report(path, f"{message}{SINGULAR[self._taken[name]]} of that name", hint)
                fits = False
            elif len(name) > 63:
                message = (
                    f"the component brings {SINGULAR[section]} {quoted(name)}, and a name has at most 63 characters"
                )
                self._report(path, message, f"give {node} a shorter name, by {len(name) - 63} characters")
                fits = False
        return fits

    def _one_form(self, node: str, data: Data, over: Data) -> None:
        """Dependencies are added where both say them in the same form."""
        had, more = data.get("depends_on"), over.get("depends_on")
        if isinstance(had, list) and isinstance(more, Mapping):
            message = "depends_on is a map of conditions, and that of the component is a list"
            hint = "write a list: depends_on: [NODE]"
        elif isinstance(had, Mapping) and isinstance(more, list):
            message = "depends_on is a list, and that of the component is a map of conditions"
            hint = "write a map: depends_on: {NODE: {condition: service_healthy}}"
        else:
            return
        self._report(("services", node, "depends_on"), message, hint)

    def _put(self, section: str, name: str, data: Any, mark: Mark) -> None:
        if section not in self._data:
            self._data[section] = {}
            self._marks.parts[section] = Mark(mark.value, mark.key)
        self._data[section][name] = data
        self._marks.parts[section].parts[name] = mark
        self._taken.setdefault(name, section)

    def _type(self, target: str) -> str | None:
        node, _, endpoint = target.partition(".")
        external = as_map(as_map(self._data.get("externals")).get(node))
        found = external.get("as") if not endpoint else None
        exposed = self._endpoints.get(node, {})
        if endpoint in exposed:
            found = type_of(endpoint, exposed[endpoint])
        return found if isinstance(found, str) and found in TYPES else None

    def _leave_out(self) -> None:
        """What a component brought to be mounted and nothing mounts, once everyone's keys are laid over it."""
        mounted = set()
        for section in ("services", "jobs"):
            for workload in as_map(self._data.get(section)).values():
                for kind in MOUNTS:
                    mounts = as_map(workload).get(kind)
                    if isinstance(mounts, list):
                        mounted |= {str(text).partition(":")[0] for text in mounts}
        for section, name in self._brought:
            if section in ("volumes", "configs", "models") and name not in mounted:
                del self._data[section][name]
                self._marks.parts[section].parts.pop(name)


def _target(value: Any) -> object:
    """Where an entry of `connect` leads, as written."""
    return value.get("to") if isinstance(value, Mapping) else value
