"""A component into a graph's text: which, under which name, connected to what.

Reads: the text of a graph file, its libraries, what is asked for.
Writes: `Adding`, and from it the new text, checked as a whole.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from bundler.errors import BundleError, GraphError, UsageError
from bundler.graphfile import component_rules, components, editing, forms, library
from bundler.graphfile.check import check
from bundler.graphfile.component_grammar import VOLUME_NEED
from bundler.graphfile.described import Described, described, need
from bundler.graphfile.editing import Addition
from bundler.graphfile.forms import UseText
from bundler.graphfile.library import Entry, Libraries, Library
from bundler.graphfile.scope import NODE_KINDS, SINGULAR, as_map, type_of
from bundler.graphfile.source import Source, parse, quoted
from bundler.graphfile.walk import closest, suggestion


@dataclass(frozen=True, slots=True)
class Adding:
    """`use` is what is written; `names` are the graph's nodes with their kinds, those of components too; `fitting`:
    what the graph has for each slot that the component needs."""

    text: str
    file: str
    use: str
    node: str
    component: Described
    names: Mapping[str, str]
    doors: frozenset[str]
    fitting: Mapping[str, tuple[str, ...]]

    def additions(self, connect: Mapping[str, str], *, publish: bool) -> list[Addition]:
        """The node, the volumes that it needs and that are not there, and its front door. UsageError for a volume whose
        name is nearly that of one that is there."""
        data: dict[str, str | Mapping[str, str]] = {"use": self.use}
        if connect:
            data["connect"] = connect
        added = [Addition("services", self.node, data)]
        for slot, target in connect.items():
            new = self.component.needs[slot] == VOLUME_NEED and target not in self.names
            if new and (near := self._near(target)):
                raise UsageError(
                    f"there is no volume {target}, and there is {near}",
                    hint=f"--connect {slot}={near}; if both are meant, first write volumes: {{{target}: {{}}}}",
                )
            if new and re.fullmatch(forms.LABEL, target) and Addition("volumes", target, {}) not in added:
                added.append(Addition("volumes", target, {}))
        if publish:
            front = self.component.front
            if front is None:
                raise UsageError(f"{self.component.name} has no endpoint that speaks http, so no front door")
            if self.node in self.doors:
                hint = "leave --publish out, and give it a door of another name in the file"
                raise UsageError(f"{self.file} has a front door {self.node} already", hint=hint)
            added.append(Addition("publish", self.node, f"{self.node}.{front.name}"))
        return added

    def _near(self, name: str) -> str | None:
        """The volume that was meant, if one was; those that are numbered are several."""
        there = [one for one, kind in self.names.items() if kind == "volumes" and _letters(one) != _letters(name)]
        return next(iter(get_close_matches(name, there, 1, 0.75)), None)

    def checked(self, additions: list[Addition], libraries: Libraries) -> str:
        """The new text. GraphError where the graph would have problems, with all of them."""
        text = editing.added(self.text, self.file, additions)
        try:
            check(parse(text, self.file), libraries)
        except GraphError as error:
            error.hint = "nothing was written"
            raise
        return text

    def came(self, text: str, libraries: Libraries) -> Mapping[str, list[str]]:
        """The nodes of the new text that were not in the old, by kind; those that the component brings along too."""
        after = _names(components.expanded(parse(text, self.file), libraries).source)
        return {
            kind: new
            for kind in NODE_KINDS
            if (new := sorted(name for name, of in after.items() if of == kind and name not in self.names))
        }


def adding(text: str, file: str, libraries: Libraries, component: str, node: str | None) -> Adding:
    """UsageError where there is no such component or the name cannot be taken, GraphError where a file is no YAML."""
    source = parse(text, file)
    if not isinstance(source.data, Mapping):
        check(source)  # says what it is instead
    entry, use = found(source, libraries, component)
    what = read(entry)
    graph = components.expanded(source, libraries).source
    names = _names(graph)
    node = node or entry.name
    if not re.fullmatch(forms.LABEL, node):
        hint = "lower-case letters, digits and dashes, a letter first"
        raise UsageError(f"{quoted(node)} cannot name a node", hint=forms.name_hint(node) or hint)
    if node in names:
        free = next(name for number in range(2, len(names) + 3) if (name := f"{node}-{number}") not in names)
        raise UsageError(
            f"the name {node} is taken by {SINGULAR[names[node]]} of {file}", hint=f"give another one: --as {free}"
        )
    fitting = {slot: _fitting(graph, type) for slot, type in what.needs.items()}
    doors = frozenset(as_map(as_map(source.data).get("publish")))
    return Adding(text, file, use, node, what, names, doors, fitting)


def offering(place: Library, type: str) -> list[str]:
    """The components of a library that have an endpoint of a type themselves."""
    names = []
    for name in place.names:
        entry = place.find(name, None)
        with contextlib.suppress(BundleError):
            what = described(entry.read()) if entry is not None else None
            if what is not None and any(each.type == type and each.service == name for each in what.endpoints):
                names.append(name)
    return names


def connections(component: Described, given: Mapping[str, str]) -> dict[str, str]:
    """What is given for the slots that it needs, in their order. UsageError for any other slot."""
    for slot in given:
        if slot not in component.needs:
            has = ", ".join(f"{name} ({need(type)})" for name, type in component.needs.items())
            near = closest(slot, component.needs)
            hint = near or (f"it needs {has}" if has else "it needs nothing: leave --connect out")
            raise UsageError(f"{component.name} needs nothing of the name {quoted(slot)}", hint=hint)
    return {slot: given[slot] for slot in component.needs if slot in given}


def found(source: Source, libraries: Libraries, component: str) -> tuple[Entry, str]:
    """The component that is asked for as NAME, NAME@VERSION or LIBRARY/NAME@VERSION, and how a graph writes it."""
    if not re.fullmatch(forms.USE, component):
        hint = forms.use_hint(component) or "NAME, NAME@VERSION or LIBRARY/NAME@VERSION"
        raise UsageError(f"{quoted(component)} is no component's name", hint=hint)
    asked = forms.use(component)
    place = named(source, libraries, asked.library)
    entry = place.find(asked.name, asked.version)
    which = "the library" if asked.library is None else f"the library {asked.library}"
    if entry is None:
        message, known = place.lacks(which, asked)
        for name in library.folders(as_map(source.data)) if asked.library is None else ():
            if asked.name not in place.names and asked.name in named(source, libraries, name).names:
                known = f"write {name}/{asked.name}"
        raise UsageError(message, hint=known)
    head = f"{asked.library}/" if asked.library else ""
    return entry, f"{head}{entry.name}@{written_version(asked, place, entry)}"


def named(source: Source, libraries: Libraries, name: str | None) -> Library:
    """A library of the graph, or the tool's own."""
    if name is None:
        return libraries.own
    folders = library.folders(as_map(source.data))
    if name not in folders:
        hint = suggestion(name, folders, "library") if folders else f"name its folder: libraries: {{{name}: ./…}}"
        raise UsageError(f"there is no library {quoted(name)}", hint=hint)
    place = libraries.named(folders[name])
    if place is None:
        raise UsageError(f"the library {name}: {folders[name]} is no folder beside or below the graph")
    return place


def written_version(asked: UseText, place: Library, entry: Entry) -> str:
    """As asked for where that says more than two numbers; else the first two of what was found, so that mended
    versions are taken as they come."""
    if asked.version is not None and asked.version.count(".") > 1:
        return asked.version
    short = ".".join(entry.version.split(".")[:2])
    return short if place.find(entry.name, short) == entry else entry.version


def read(entry: Entry) -> Described:
    """GraphError with every mistake in its file."""
    component = entry.read()
    if problems := component_rules.mistakes(component, entry):
        raise GraphError(problems)
    return described(component)


def _names(graph: Source) -> dict[str, str]:
    return {name: kind for kind in NODE_KINDS for name in as_map(as_map(graph.data).get(kind))}


def _letters(name: str) -> str:
    return re.sub("[-0-9]", "", name)


def _fitting(graph: Source, type: str) -> tuple[str, ...]:
    data = as_map(graph.data)
    if type == VOLUME_NEED:
        return tuple(as_map(data.get("volumes")))
    targets = []
    for name, service in as_map(data.get("services")).items():
        for endpoint, part in as_map(as_map(service).get("expose")).items():
            if type in ("tcp", type_of(endpoint, part)):
                targets.append(f"{name}.{endpoint}")
    for name, external in as_map(data.get("externals")).items():
        if type in ("tcp", as_map(external).get("as")):
            targets.append(name)
    return tuple(targets)
