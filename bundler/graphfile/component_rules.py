"""What a component's file must keep to, so that it can be used in any graph.

Everything that it names is its own or one of the slots that it needs: it is held against the rules of graphs as if it
were one, with what it needs lying outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bundler.errors import Problem
from bundler.graphfile import forms, placeholders
from bundler.graphfile.component_grammar import COMPONENT, SECTIONS, VOLUME_NEED
from bundler.graphfile.component_names import declared
from bundler.graphfile.edges import check_edges
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.library import Entry
from bundler.graphfile.nodes import check_nodes
from bundler.graphfile.references import check_references
from bundler.graphfile.scope import SINGULAR, Scope, as_map
from bundler.graphfile.source import Path, Source, quoted
from bundler.graphfile.walk import Walker, closest


def mistakes(component: Source, entry: Entry) -> list[Problem]:
    """What keeps a component from being used, by any graph."""
    walker = Walker(component)
    if not isinstance(component.data, Mapping):
        walker.report((), "the file is no component", "it begins with component: NAME and version: VERSION")
        return walker.problems
    walker.walk(COMPONENT, component.data)
    if walker.problems:
        return walker.problems
    data = component.data
    if (data["component"], data["version"]) != (entry.name, entry.version):
        called = f"{data['component']}@{data['version']}.yaml"
        walker.report(("component",), f"the file is called {entry.path.name}", f"call it {called}")
    if data["component"] not in data["services"]:
        hint = "the service of the component's name becomes the node that uses it"
        walker.report(("services",), f"there is no service {quoted(data['component'])}", hint, key=True)
    for section, name, workload in _workloads(data):
        for key in ("use", "parts", "build"):
            if key in workload:
                hint = "a component names images of a registry" if key == "build" else "write its nodes out"
                walker.report((section, name, key), f"{key} has no place in a component", hint, key=True)
        if forms.ON_DISK.fullmatch(str(workload.get("image", ""))):
            walker.report((section, name, "image"), "a component's image is one of a registry")
        for path, text in _texts(workload):
            _foreign(walker, (section, name, *path), text)
    for name, config in as_map(data.get("configs")).items():
        if "content" not in config:
            walker.report(("configs", name), "a component's config stands in its file", "write content: |")
        _foreign(walker, ("configs", name, "content"), config.get("content", ""))
    for name, model in as_map(data.get("models")).items():
        if str(model.get("from", "")).startswith("."):
            walker.report(("models", name, "from"), "a component's model is one of a registry")
    names = declared(component)
    for slot, type in data.get("needs", {}).items():
        if slot in names:
            walker.report((names[slot], slot), f"{quoted(slot)} is a slot under needs", "rename one of them", key=True)
        elif not any(_takes(workload, slot, type) for _, _, workload in _workloads(data)):
            how = f"volumes: [{slot}:/path]" if type == VOLUME_NEED else f"connect: {{{slot}: {slot}}}"
            walker.report(("needs", slot), f"nothing takes {quoted(slot)}", f"where it is needed write {how}", key=True)
    return walker.problems or _as_a_graph(component)


def wrong_parts(component: Source, parts: Mapping[str, Any], source: Source, path: Path) -> list[Problem]:
    """What a graph's `parts` at `path` change that the component does not have."""
    walker = Walker(source)
    names = declared(component)
    itself = as_map(component.data)["component"]
    for section, nodes in parts.items():
        if section not in SECTIONS:
            hint = closest(section, SECTIONS) or f"it has: {', '.join(SECTIONS)}"
            walker.report((*path, section), f"{quoted(section)} is no section of a component's nodes", hint, key=True)
            continue
        if not isinstance(nodes, Mapping):
            hint = f"write {section}: {{NAME: …}}"
            walker.report((*path, section), f"parts.{section} is no map of changes by name", hint)
            continue
        own = [name for name, kind in names.items() if kind == section and name != itself]
        for name, change in nodes.items():
            inner: Path = (*path, section, name)
            if section == "services" and name == itself:
                hint = "write its keys beside use"
                walker.report(inner, f"the component's {name} is this node itself", hint, key=True)
            elif name not in own:
                has = f"it has: {', '.join(own)}" if own else "it has none"
                what = SINGULAR[section].partition(" ")[2]
                message = f"the component {itself} has no {what} {quoted(name)}"
                walker.report(inner, message, closest(name, own) or has, key=True)
            else:
                for key in ("use", "parts"):
                    if section == "services" and key in as_map(change):
                        hint = "a component is used by a service of the graph"
                        walker.report((*inner, key), f"{key} has no place in parts", hint, key=True)
    return walker.problems


def ill_shaped(component: Source) -> list[Problem]:
    """What does not fit the shape of a component any more, once its parts are changed."""
    walker = Walker(component)
    walker.walk(COMPONENT, component.data)
    return walker.problems


def _as_a_graph(component: Source) -> list[Problem]:
    data = as_map(component.data)
    needs = as_map(data.get("needs"))
    graph: dict[str, Any] = {"bundle": data["component"], "version": data["version"]}
    graph |= {section: data[section] for section in SECTIONS if section in data}
    volumes: dict[str, Any] = {slot: {} for slot, type in needs.items() if type == VOLUME_NEED}
    graph["volumes"] = {**as_map(graph.get("volumes")), **volumes}
    graph["externals"] = {slot: {"as": type} for slot, type in needs.items() if type != VOLUME_NEED}
    walker = Walker(Source(component.file, graph, component.marks))
    scope = Scope(walker, walker.walk(GRAPH, graph))
    check_nodes(scope)
    check_edges(scope)
    check_references(scope)
    return walker.problems


def _workloads(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for section in ("services", "jobs"):
        for name, workload in as_map(data.get(section)).items():
            yield section, name, workload


def _takes(workload: Mapping[str, Any], slot: str, type: str) -> bool:
    """Whether a workload takes what is connected to a slot of the component."""
    if type == VOLUME_NEED:
        return any(mount.partition(":")[0] == slot for mount in workload.get("volumes", ()))
    targets = as_map(workload.get("connect")).values()
    return any((target["to"] if isinstance(target, Mapping) else target) == slot for target in targets)


def _foreign(walker: Walker, path: Path, text: str) -> None:
    for ref in placeholders.refs(text):
        if ref.scope in ("values", "publish"):
            hint = "whoever uses it sets the key that this stands in"
            walker.report(path, f"{ref}: a component knows nothing of the graph's {ref.scope}", hint)


def _texts(workload: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The texts of a workload that placeholders are read in."""
    for name, text in as_map(workload.get("environment")).items():
        yield ("environment", name), str(text)
    for key in ("entrypoint", "command"):
        for index, text in enumerate(workload.get(key) or ()):
            yield (key, index), str(text)
    for key in ("healthcheck", "liveness"):
        for index, text in enumerate(as_map(workload.get(key)).get("test") or ()):
            yield (key, "test", index), str(text)
    for endpoint, fields in as_map(workload.get("outputs")).items():
        for field, text in fields.items():
            yield ("outputs", endpoint, field), str(text)
    workers = workload.get("workers")
    for path, part in [((), workers), *(((key,), part) for key, part in as_map(workers).items())]:
        if isinstance(part, str):
            yield ("workers", *path), part
