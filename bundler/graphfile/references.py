"""Placeholders: every `${a.b}` must name something declared, wherever placeholders are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from bundler.errors import Position, Problem
from bundler.graphfile import placeholders
from bundler.graphfile.forms import MountText, TargetText
from bundler.graphfile.placeholders import Ref
from bundler.graphfile.scope import Scope, Workload, as_map, connection
from bundler.graphfile.source import Path, quoted
from bundler.graphfile.types import DOOR_FIELDS, TYPES, fields_of, made_fields
from bundler.graphfile.walk import suggestion
from bundler.model.graph import Graph

_SCOPES = ("values", "secrets", "publish")
Complaint = tuple[str, str | None]  # a message and a hint


@dataclass(frozen=True, slots=True)
class Slot:
    """What `${slot.…}` can be: `fields`; `undeclared`, those of the type that its provider does not declare;
    `secret`, those with a secret's bytes in them. `target` is the edge's other end as written."""

    target: str
    node: str
    endpoint: str | None
    fields: frozenset[str]
    undeclared: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Names:
    """What placeholders may name. A slot is None where its edge has a mistake in it, reported elsewhere; `unread`: how
    the names begin of what a component would bring that could not be put in."""

    values: Set[str]
    secrets: Set[str]
    doors: Set[str]
    nodes: Set[str]
    slots: Mapping[str, Slot | None]
    scopes: frozenset[str] = frozenset(_SCOPES)
    owner: str = ""
    unread: tuple[str, ...] = ()

    def complaint(self, ref: Ref) -> Complaint | None:
        """What is wrong with a reference."""
        if ref.scope in _SCOPES and ref.scope not in self.scopes:
            return f"{ref} is not read here", f"only {' and '.join(sorted(self.scopes))} are"
        match ref.scope:
            case "values":
                return _among(ref, "value", self.values)
            case "secrets":
                return None if ref.field.startswith(self.unread) else _among(ref, "secret", self.secrets)
            case "publish":
                return self._door(ref)
            case _:
                return self._slot(ref)

    def _door(self, ref: Ref) -> Complaint | None:
        door, _, field = ref.field.rpartition(".")
        if field in DOOR_FIELDS and door in self.doors:
            return None
        if not door or field not in DOOR_FIELDS:
            name = door or ref.field
            return f"{ref} names no field of a front door", f"write ${{publish.{name}.url}}, .host or .port"
        return f"{ref} names no front door", suggestion(door, self.doors, "front door")

    def _slot(self, ref: Ref) -> Complaint | None:
        if ref.scope not in self.slots:
            if ref.scope in self.nodes and self.owner:
                hint = f"a node is reached through a slot: give {self.owner} connect: {{{ref.scope}: {ref.scope}.…}}"
                return f"{ref} names a node, not a slot of {self.owner}", hint
            known = [*self.slots, *self.scopes]
            near = suggestion(ref.scope, known, "slot")
            whose = f"{self.owner} has no slot {quoted(ref.scope)}" if self.owner else "there are no slots here"
            return f"{ref}: {whose}", f"{near}; for the text itself write ${ref}"
        slot = self.slots[ref.scope]
        if slot is None or ref.field in slot.fields:
            return None
        if ref.field in slot.undeclared:
            hint = f"give {slot.node} outputs: {{{slot.endpoint}: {{{ref.field}: …}}}}"
            return f"{ref}: {slot.target} does not say its {ref.field}", hint
        return f"{ref}: {slot.target} has no field {quoted(ref.field)}", suggestion(ref.field, slot.fields, "field")


def _among(ref: Ref, what: str, known: Set[str]) -> Complaint | None:
    if ref.field in known:
        return None
    hint = suggestion(ref.field, known, what) if known else f"declare it: {what}s: {{{ref.field}: {{}}}}"
    return f"there is no {what} {quoted(ref.field)}", hint


def check_references(scope: Scope) -> None:
    for workload in scope.workloads():
        if "use" in workload.raw:
            continue  # its slots are some of a component's, which has a mistake in it
        names = _names(scope, workload)
        for place, text in _texts(workload):
            _report(scope, place, text, names)
        for key in ("healthcheck", "liveness"):
            for index, text in enumerate(as_map(workload.data.get(key)).get("test", ())):
                path: Path = (*workload.path, key, "test", index)
                _report(scope, path, text or "", names)
                _report_secrets(scope, path, text or "", names)
        own = replace(names, slots={}, scopes=frozenset({"values", "secrets"}), owner="")
        for endpoint, fields in as_map(workload.data.get("outputs")).items():
            for field, text in fields.items():
                _report(scope, (*workload.path, "outputs", endpoint, field), text, own)
    for name, config in as_map(scope.data.get("configs")).items():
        if "content" in config:
            mounting = [_names(scope, each) for each in scope.workloads() if _mounts(each, name)]
            for message, hint in _config_complaints(config["content"], mounting, _names(scope, None)):
                scope.report(("configs", name, "content"), message, hint)


def _mounts(workload: Workload, config: str) -> bool:
    return any(isinstance(mount, MountText) and mount.name == config for mount in workload.data.get("configs", ()))


def _texts(workload: Workload) -> Iterator[tuple[Path, str]]:
    for name, text in as_map(workload.data.get("environment")).items():
        yield (*workload.path, "environment", name), text
    for key in ("entrypoint", "command"):
        for index, text in enumerate(workload.data.get(key, ())):
            yield (*workload.path, key, index), text or ""
    workers = workload.data.get("workers")
    for path, part in [((), workers), *(((key,), part) for key, part in as_map(workers).items())]:
        if isinstance(part, str):
            yield (*workload.path, "workers", *path), part


def _report(scope: Scope, path: Path, text: str, names: Names) -> None:
    for ref in dict.fromkeys(placeholders.refs(text)):
        if complaint := names.complaint(ref):
            scope.report(path, *complaint)


def _report_secrets(scope: Scope, path: Path, text: str, names: Names) -> None:
    """A test is kept in plain sight by every engine."""
    for ref in dict.fromkeys(placeholders.refs(text)):
        slot = names.slots.get(ref.scope)
        if ref.scope == "secrets" or (slot is not None and ref.field in slot.secret):
            hint = "let the test read it in the container: from its file under /run/secrets, or from the environment"
            scope.report(path, f"{ref} would put a secret into a test, where everyone can read it", hint)


def _names(scope: Scope, workload: Workload | None) -> Names:
    slots: dict[str, Slot | None] = {}
    if workload is not None:
        for slot in as_map(workload.raw.get("connect")):
            target, _ = connection(as_map(workload.data.get("connect")).get(slot))
            slots[slot] = _slot(scope, target) if target else None
    return Names(
        scope.declared("values").keys(),
        scope.declared("secrets").keys(),
        scope.declared("publish").keys(),
        scope.names.keys(),
        slots,
        owner=workload.name if workload else "",
        unread=scope.unread,
    )


def _slot(scope: Scope, target: TargetText) -> Slot | None:
    kind = scope.names.get(target.node)
    if kind == "externals":
        type = as_map(as_map(scope.data.get("externals")).get(target.node)).get("as")
        return external_slot(target.node, type) if type and target.endpoint is None else None
    if kind != "services" or target.endpoint not in scope.endpoints(target.node):
        return None
    endpoint = target.endpoint or ""
    type = scope.endpoint_type(target.node, endpoint)
    service = as_map(as_map(scope.data.get("services")).get(target.node))
    raw = as_map(as_map(scope.declared("services").get(target.node)).get("outputs"))
    outputs = as_map(as_map(service.get("outputs")).get(endpoint))
    written = as_map(raw.get(endpoint))
    if type is None:
        return None
    return endpoint_slot(target.node, endpoint, type, {**dict.fromkeys(written, ""), **outputs})


def external_slot(name: str, type: str) -> Slot:
    secret = TYPES[type].secret
    return Slot(name, name, None, fields_of(type), secret=secret | ({"url"} if secret and TYPES[type].login else set()))


def endpoint_slot(node: str, endpoint: str, type: str, outputs: Mapping[str, Any]) -> Slot:
    fields = made_fields(type) | outputs.keys()
    secret = {
        field for field, text in outputs.items() if any(ref.scope == "secrets" for ref in placeholders.refs(text))
    }
    in_url = {"user", "password", TYPES[type].path} if TYPES[type].login else set()
    secret |= {"url"} if secret & in_url else set()
    return Slot(f"{node}.{endpoint}", node, endpoint, fields, fields_of(type) - fields, frozenset(secret))


def _config_complaints(text: str, mounting: list[Names], alone: Names) -> list[Complaint]:
    return [complaint for _, complaint in _placed_complaints(text, mounting, alone)]


def _placed_complaints(text: str, mounting: list[Names], alone: Names) -> list[tuple[int, Complaint]]:
    """Each wrong reference of a config once, by its index in the text: a slot must be one of every workload that
    mounts the config."""
    result: list[tuple[int, Complaint]] = []
    done: set[Ref] = set()
    for index, ref in placeholders.offsets(text):
        if ref in done:
            continue
        done.add(ref)
        complaints = [complaint for names in mounting or [alone] if (complaint := names.complaint(ref))]
        if complaints and not mounting and ref.scope not in _SCOPES:
            complaints = [(f"{ref}: no service or job mounts this config, so it has no slots", "mount it")]
        result.extend((index, complaint) for complaint in dict.fromkeys(complaints))
    return result


def names_of(graph: Graph, workload: str | None) -> Names:
    """What the placeholders of a checked graph's workload may name; without slots where it is None."""
    slots: dict[str, Slot | None] = {}
    services = {service.name: service for service in graph.services}
    externals = {external.name: external.type for external in graph.externals}
    owner = next((each for each in (*graph.services, *graph.jobs) if each.name == workload), None)
    for edge in owner.connect if owner else ():
        if edge.endpoint is None:
            slots[edge.slot] = external_slot(edge.node, externals[edge.node])
            continue
        provider = services[edge.node]
        endpoint = next(each for each in provider.expose if each.name == edge.endpoint)
        outputs = dict(dict(provider.outputs).get(edge.endpoint, ()))
        slots[edge.slot] = endpoint_slot(edge.node, edge.endpoint, endpoint.type, outputs)
    kinds = (graph.services, graph.jobs, graph.volumes, graph.configs, graph.secrets, graph.models, graph.externals)
    return Names(
        frozenset(each.name for each in graph.values),
        frozenset(each.name for each in graph.secrets),
        frozenset(each.name for each in graph.doors),
        frozenset(each.name for kind in kinds for each in kind),
        slots,
        owner=workload or "",
    )


def check_template(text: str, graph: Graph, config: str, file: str) -> tuple[Problem, ...]:
    """Problems of the text of a config with `template: true`, read at pack; `file` is its path, for positions."""
    workloads = [each for each in (*graph.services, *graph.jobs) if any(m.name == config for m in each.configs)]
    mounting = [names_of(graph, each.name) for each in workloads]
    result = []
    for index, (message, hint) in _placed_complaints(text, mounting, names_of(graph, None)):
        line = text.count("\n", 0, index) + 1
        column = index - (text.rfind("\n", 0, index) + 1) + 1
        result.append(Problem(Position(file, line, column), message, hint))
    return tuple(result)
