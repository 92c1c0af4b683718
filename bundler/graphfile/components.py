"""`use: NAME@VERSION` -> the nodes of that component, with good defaults, in the graph.

Reads: a graph's `Source`, components' files (`library`).
Writes: `Expanded`: a `Source` without `use`, whose every part knows the file it stands in.
Next: `check`.

The service that bears the component's name becomes the node that uses it; what else comes along is called NODE-NAME,
so that one component can be used several times. The node's own keys are laid over the component's (RFC 7386), but
for mounts and dependencies, which are added. A component knows nothing of the graph but what is connected to the slots
that it `needs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from bundler.errors import BundleError, GraphError, Problem
from bundler.graphfile import library, placeholders
from bundler.graphfile.component_grammar import COMPONENT, SECTIONS, VOLUME_NEED
from bundler.graphfile.forms import UseText
from bundler.graphfile.library import Entry, Libraries
from bundler.graphfile.scope import NODE_KINDS, SINGULAR, as_map, type_of
from bundler.graphfile.source import Mark, Path, Source, merge, patched, quoted, unplaced
from bundler.graphfile.walk import Walker, closest, suggestion

Data = dict[str, Any]
MOUNTS = ("volumes", "configs", "secrets", "models")
_ON_DISK = re.compile(r"(?:oci|oci-archive|docker-archive):")


@dataclass(frozen=True, slots=True)
class Expanded:
    """`source` still has `use` where a component could not be put in; `problems` say why."""

    source: Source
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What a graph connects to a slot that a component needs: `value` as written, at `path` of the graph."""

    value: Any
    mark: Mark
    path: Path

    @property
    def target(self) -> str:
        return str(self.value.get("to", "")) if isinstance(self.value, Mapping) else str(self.value)


def expanded(source: Source, libraries: Libraries | None) -> Expanded:
    """`libraries` None: of a graph that is read back from a bundle, which uses none."""
    data = as_map(source.data)
    services = as_map(data.get("services"))
    if not any("use" in as_map(service) for service in services.values()):
        return Expanded(source)
    if libraries is None:
        where = [("services", name, "use") for name, service in services.items() if "use" in as_map(service)]
        told = "a packed graph holds its components' nodes, and uses none"
        return Expanded(source, tuple(Problem(source.at(path), told) for path in where))
    expansion = _Expansion(source, libraries)
    expansion.run()
    return Expanded(expansion.source, tuple(expansion.problems))


class _Expansion:
    def __init__(self, source: Source, libraries: Libraries) -> None:
        self._written = source
        self._libraries = libraries
        self._folders = library.folders(as_map(source.data))
        self._data: Data = dict(as_map(source.data))
        marks = source.marks or unplaced(source.data, source.file)
        self._marks = Mark(marks.value, marks.key, parts=dict(marks.parts))
        self._needs: list[tuple[str, str, str, Given]] = []
        self.problems: list[Problem] = []

    def run(self) -> None:
        found = {node: (use, self._component(node, use)) for node, use in library.used(self._data)}
        volumes = set(as_map(self._data.get("volumes")))
        for node, (_, component) in found.items():
            volumes |= {f"{node}-{name}" for name in as_map(as_map(component and component.data).get("volumes"))}
        for node, (use, component) in found.items():
            if component is not None:
                self._put_in(node, use, component, volumes)
        self._check_types()

    @property
    def source(self) -> Source:
        return Source(self._written.file, self._data, self._marks)

    def _report(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        self.problems.append(Problem(self._written.at(path, key=key), message, hint))

    def _component(self, node: str, use: UseText) -> Source | None:
        """The component that a service uses, with the changes to its parts; None where there is a mistake in it."""
        path: Path = ("services", node, "use")
        entry = self._find(use, path)
        if entry is None:
            return None
        own, mark = self._written_service(node)
        try:
            component = entry.read()
        except GraphError as error:
            self.problems += error.problems
            return None
        except BundleError as error:
            self._report(path, error.what, error.hint)
            return None
        if own.get("parts") is not None:
            component = merge(component, Source(self._written.file, own["parts"], mark.parts["parts"]))
        problems = _mistakes(component, entry)
        self.problems += problems
        return None if problems else component

    def _put_in(self, node: str, use: UseText, component: Source, volumes: Set[str]) -> None:
        """In the place of the service that uses it; nothing where that has a mistake."""
        path: Path = ("services", node)
        needs: Mapping[str, str] = as_map(component.data).get("needs", {})
        given = self._given(node, use, needs, volumes)
        if given is None:
            return
        own, own_mark = self._written_service(node)
        added = _Renamed(_Names(node, use.name, given), component)
        if not self._is_free(node, added, (*path, "use")):
            return
        for section, name, data, mark in added.nodes():
            if (section, name) == ("services", node):
                data, mark = self._overridden(data, mark, own, own_mark, frozenset(needs))
            self._put(section, name, data, mark)

    def _find(self, use: UseText, path: Path) -> Entry | None:
        found = self._libraries.own
        which = "the library"
        if use.library is not None:
            if use.library not in self._folders:
                hint = closest(use.library, self._folders) or f"name its folder: libraries: {{{use.library}: ./…}}"
                self._report(path, f"there is no library {quoted(use.library)}", hint)
                return None
            folder = self._folders[use.library]
            named = self._libraries.named(folder)
            if named is None:
                self._report(
                    ("libraries", use.library),
                    f"{quoted(folder)} is no folder",
                    "a library is a folder of NAME@VERSION.yaml beside or below the graph",
                )
                return None
            found, which = named, f"the library {use.library}"
        entry = found.find(use.name, use.version)
        if entry is None and use.name in found.names:
            has = ", ".join(found.versions(use.name))
            self._report(path, f"{which} has no {use.name} {use.version}", f"it has: {has}")
        elif entry is None:
            known = suggestion(use.name, found.names, "component")
            self._report(path, f"{which} has no component {quoted(use.name)}", known)
        return entry

    def _written_service(self, node: str) -> tuple[Mapping[str, Any], Mark]:
        return self._data["services"][node], self._marks.parts["services"].parts[node]

    def _given(self, node: str, use: UseText, needs: Mapping[str, str], volumes: Set[str]) -> dict[str, Given] | None:
        """By slot; None where one is not connected, or to no volume where it takes one."""
        own, mark = self._written_service(node)
        connect = as_map(own.get("connect"))
        given: dict[str, Given] = {}
        for slot, type in needs.items():
            if connect.get(slot) is None:
                what = "a volume" if type == VOLUME_NEED else f"an endpoint or external of type {type}"
                example = "VOLUME" if type == VOLUME_NEED else "NODE.ENDPOINT"
                self._report(
                    ("services", node, "connect" if connect else "use"),
                    f"{use.name} needs {slot}, {what}",
                    f"write connect: {{{slot}: {example}}}",
                )
                continue
            one = Given(connect[slot], mark.parts["connect"].parts[slot], ("services", node, "connect", slot))
            if type != VOLUME_NEED:
                self._needs.append((use.name, slot, type, one))
            elif one.target not in volumes:
                near = closest(one.target, volumes)
                near = near or (f"declare it: volumes: {{{one.target}: {{}}}}" if "." not in one.target else None)
                message = f"{use.name} needs a volume as {slot}, and there is no volume {quoted(one.target)}"
                self._report(one.path, message, near)
                continue
            given[slot] = one
        return given if len(given) == len(needs) else None

    def _is_free(self, node: str, added: _Renamed, path: Path) -> bool:
        """Whether nothing in the graph has the names of what comes along."""
        taken = {name: kind for kind in NODE_KINDS for name in as_map(self._data.get(kind)) if name != node}
        clashes = [(kind, name) for kind, name, _, _ in added.nodes() if name in taken]
        for kind, name in clashes:
            inner = name.removeprefix(f"{node}-")
            self._report(
                path,
                f"the component brings {SINGULAR[kind]} {quoted(name)}, and the graph has {SINGULAR[taken[name]]} "
                "of that name",
                f"rename the graph's; to change the component's write parts: {{{kind}: {{{inner}: …}}}}",
            )
        return not clashes

    def _put(self, section: str, name: str, data: Any, mark: Mark) -> None:
        self._data[section] = {**as_map(self._data.get(section)), name: data}
        old = self._marks.parts.get(section) or Mark(mark.value, mark.key)
        self._marks.parts[section] = Mark(old.value, old.key, parts={**old.parts, name: mark})

    @staticmethod
    def _overridden(
        data: Data, mark: Mark, own: Mapping[str, Any], own_mark: Mark, needs: frozenset[str]
    ) -> tuple[Any, Mark]:
        """The component's service under the node's own keys."""
        over = {key: part for key, part in own.items() if key not in ("use", "parts")}
        marks = Mark(own_mark.value, own_mark.key, parts=dict(own_mark.parts))
        if isinstance(over.get("connect"), Mapping):
            over["connect"] = {slot: target for slot, target in over["connect"].items() if slot not in needs}
        base = dict(data)
        if over.get("build") is not None and "image" not in over:
            base.pop("image", None)
        for key in (*MOUNTS, "depends_on"):
            _add(key, base, mark, over, marks)
        return patched(base, Mark(own_mark.value, own_mark.key, parts=mark.parts), over, marks)

    def _check_types(self) -> None:
        """Whether what is connected speaks what the component takes; a target that is not there is for others to
        say."""
        for component, slot, type, given in self._needs:
            found = self._type(given.target)
            if found is not None and found != type and type != "tcp":
                message = f"{component} needs {type} as {slot}, and {given.target} speaks {found}"
                self._report(given.path, message, f"connect an endpoint with as: {type}")

    def _type(self, target: str) -> str | None:
        node, _, endpoint = target.partition(".")
        external = as_map(as_map(self._data.get("externals")).get(node))
        if external and not endpoint:
            return str(external.get("as"))
        exposed = as_map(as_map(as_map(self._data.get("services")).get(node)).get("expose"))
        return type_of(endpoint, exposed[endpoint]) if endpoint in exposed else None


def _add(key: str, base: Data, mark: Mark, over: Data, over_mark: Mark) -> None:
    """Lays the node's list `key` beside the component's: a mount at the same path takes its place."""
    had, more = base.get(key), over.get(key)
    if not isinstance(had, list) or not isinstance(more, list):
        return
    paths = {_place(key, item) for item in more}
    kept = [index for index, item in enumerate(had) if _place(key, item) not in paths]
    over[key] = [*(had[index] for index in kept), *more]
    here, there = mark.parts[key], over_mark.parts[key]
    marks = [*(here.parts[index] for index in kept), *(there.parts[index] for index in range(len(more)))]
    over_mark.parts[key] = Mark(there.value, there.key, parts=dict(enumerate(marks)))


def _place(key: str, item: object) -> object:
    """What two entries of a list cannot both have."""
    if key == "depends_on" or not isinstance(item, str):
        return item
    name, _, path = item.partition(":")
    return path.removesuffix(":ro") or f"/run/secrets/{name}"


# a component's file


def _mistakes(component: Source, entry: Entry) -> list[Problem]:
    """What keeps a component from being used."""
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
    if entry.name not in data["services"]:
        hint = "the service of the component's name becomes the node that uses it"
        walker.report(("services",), f"there is no service {quoted(entry.name)}", hint, key=True)
    for section in ("services", "jobs"):
        for name, workload in as_map(data.get(section)).items():
            for key in ("use", "parts", "build"):
                if key in workload:
                    hint = "a component names images of a registry"
                    walker.report((section, name, key), f"{key} has no place in a component", hint, key=True)
            if _ON_DISK.match(str(workload.get("image", ""))):
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
    for slot in data.get("needs", {}):
        for section in SECTIONS:
            if slot in as_map(data.get(section)):
                walker.report((section, slot), f"{quoted(slot)} is a slot under needs", "rename one of them", key=True)
    return walker.problems


def _foreign(walker: Walker, path: Path, text: str) -> None:
    for ref in placeholders.refs(text):
        if ref.scope in ("values", "publish"):
            walker.report(path, f"{ref}: a component knows nothing of the graph's {ref.scope}")


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


@dataclass(frozen=True, slots=True)
class _Names:
    """How a component's own names read in the graph."""

    node: str
    component: str
    given: Mapping[str, Given]

    def of(self, name: str) -> str:
        return self.node if name == self.component else f"{self.node}-{name}"

    def mount(self, kind: str, text: str) -> str:
        name, colon, path = text.partition(":")
        if kind == "volumes" and name in self.given:
            return f"{self.given[name].target}{colon}{path}"
        if kind == "secrets" and not colon:
            return f"{self.of(name)}:/run/secrets/{name}"
        return f"{self.of(name)}{colon}{path}"

    def text(self, text: Any) -> Any:
        """`${secrets.x}` by its new name; all else as it stands."""
        if not isinstance(text, str):
            return text
        made = ""
        done = 0
        for index, ref in placeholders.offsets(text):
            if ref.scope == "secrets":
                end = index + len(str(ref))
                made += f"{text[done:index]}${{secrets.{self.of(ref.field)}}}"
                done = end
        return made + text[done:]


class _Renamed:
    """A component's nodes under the names that they have in the graph."""

    def __init__(self, names: _Names, component: Source) -> None:
        self._names = names
        self._data = as_map(component.data)
        self._marks = component.marks or unplaced(component.data, component.file)

    def nodes(self) -> Iterator[tuple[str, str, Data, Mark]]:
        """(section, name, data, mark) of each."""
        for section in SECTIONS:
            for name, data in as_map(self._data.get(section)).items():
                mark = self._marks.parts[section].parts[name]
                if section in ("services", "jobs"):
                    yield section, self._names.of(name), *self._workload(data, mark)
                elif section == "configs":
                    yield section, self._names.of(name), {**data, "content": self._names.text(data["content"])}, mark
                else:
                    yield section, self._names.of(name), dict(data), mark

    def _workload(self, data: Mapping[str, Any], mark: Mark) -> tuple[Data, Mark]:
        names = self._names
        made: Data = dict(data)
        marks = Mark(mark.value, mark.key, parts=dict(mark.parts))
        if "connect" in made:
            made["connect"], marks.parts["connect"] = self._connect(made["connect"], mark.parts["connect"])
        match made.get("depends_on"):
            case list(nodes):
                made["depends_on"] = [names.of(node) for node in nodes]
            case dict(nodes):
                made["depends_on"] = {names.of(node): part for node, part in nodes.items()}
                old = mark.parts["depends_on"]
                parts: dict[str | int, Mark] = {names.of(str(node)): part for node, part in old.parts.items()}
                marks.parts["depends_on"] = Mark(old.value, old.key, parts=parts)
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

    def _connect(self, connect: Mapping[str, Any], mark: Mark) -> tuple[Data, Mark]:
        made: Data = {}
        marks = Mark(mark.value, mark.key, parts=dict(mark.parts))
        for slot, value in connect.items():
            target = value["to"] if isinstance(value, Mapping) else value
            node, dot, endpoint = target.partition(".")
            given = None if dot else self._names.given.get(node)
            if given is None:
                renamed: Any = f"{self._names.of(node)}{dot}{endpoint}"
                made[slot] = {**value, "to": renamed} if isinstance(value, Mapping) else renamed
            elif isinstance(value, Mapping) and not isinstance(given.value, Mapping):
                made[slot] = {**value, "to": given.value}
                marks.parts[slot] = Mark(given.mark.value, given.mark.key)
            else:
                made[slot] = given.value
                marks.parts[slot] = given.mark
        return made, marks
