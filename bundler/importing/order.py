"""Order and addresses -> `connect` and `depends_on`: an edge with an address waits already, a cycle is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler.graphfile.edges import Order, cycles
from bundler.importing.addresses import Addresses
from bundler.importing.project import Data, Project, as_list, as_map, truth
from bundler.importing.report import Report

_COMPLETED = "service_completed_successfully"
_HEALTHY = "service_healthy"
_STARTED = "service_started"


@dataclass(slots=True)
class Edges:
    """Of each service: its connections and its order. `addressed`: (target, node) of every connection."""

    connect: dict[str, dict[str, Any]] = field(default_factory=dict)
    depends_on: dict[str, dict[str, str]] = field(default_factory=dict)
    usual: dict[str, str] = field(default_factory=dict)  # node -> the condition that a list stands for
    addressed: set[tuple[str, str]] = field(default_factory=set)
    _nodes: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> Data:
        made: Data = {}
        if connect := self.connect.get(name):
            made["connect"] = connect
        if depends := self.depends_on.get(name):
            usual = all(condition == self.usual[node] for node, condition in depends.items())
            made["depends_on"] = (
                list(depends) if usual else {node: {"condition": each} for node, each in depends.items()}
            )
        return made

    def reached(self, project: Project) -> dict[str, set[str]]:
        """Who connects to or waits for a service, by Compose's names."""
        back = {node: name for name, node in self._nodes.items()}
        made: dict[str, set[str]] = {}
        for target, node in self.addressed:
            if target in back:
                made.setdefault(back[target], set()).add(back[node])
        for name, service in project.services.items():
            for first in dependencies(service):
                made.setdefault(first, set()).add(name)
        return made


def dependencies(service: Data) -> dict[str, Data]:
    """`depends_on` and `links`: the service's name -> what is said about it."""
    links: dict[str, Data] = {str(each).partition(":")[0]: {} for each in as_list(service.get("links"))}
    return {**links, **{name: as_map(part) for name, part in as_map(service.get("depends_on")).items()}}


def is_waited_out(name: str, services: Mapping[str, Data]) -> bool:
    """Whether somebody waits for its end: then it is a job."""
    return any(dependencies(each).get(name, {}).get("condition") == _COMPLETED for each in services.values())


def edges(
    project: Project,
    nodes: Mapping[str, str],
    jobs: set[str],
    addresses: Addresses,
    made: Mapping[str, Data],
    externals: Mapping[str, tuple[str, str, int]],
    report: Report,
) -> Edges:
    found = Edges(_nodes=nodes)
    for name, node in nodes.items():
        found.usual[node] = _COMPLETED if name in jobs else _HEALTHY if "healthcheck" in made[name] else _STARTED
    back = {node: name for name, node in nodes.items()}
    for name, service in project.services.items():
        where = f"services.{name}.depends_on"
        slots = addresses.edges.get(nodes[name], {})
        outside = {slot for slot, (target, _) in slots.items() if target not in back}
        found.connect[name] = {
            slot: _external(target, endpoint, addresses, externals) if slot in outside else f"{target}.{endpoint}"
            for slot, (target, endpoint) in slots.items()
        }
        found.addressed |= {(target, nodes[name]) for target, _ in slots.values()}
        connected = {target for target, _ in slots.values()}
        found.depends_on[name] = {}
        for first, said in dependencies(service).items():
            if first not in nodes:
                optional = truth(said.get("required")) is False
                (report.left_out if optional else report.refused)(where, f"{first} is not among the services")
                continue
            node = nodes[first]
            if truth(said.get("restart")):
                report.left_out(f"{where}.{first}.restart", "what depends on a changed value is started anew anyhow")
            if node in connected:
                report.taken(f"{where}.{first}", "connected to, and so waited for")
                continue
            found.depends_on[name][node] = _condition(first, said, found.usual[node], where, report)
    _open_cycles(project, nodes, found, report)
    return found


def _condition(first: str, said: Data, usual: str, where: str, report: Report) -> str:
    """As Compose has it, unless the graph cannot say so."""
    condition = str(said.get("condition") or _STARTED)
    if condition not in (_STARTED, _HEALTHY, _COMPLETED):
        report.refused(f"{where}.{first}.condition", f"{condition[:40]} is no condition of Compose")
    if usual == _COMPLETED:
        if condition != _COMPLETED:
            report.changed(where, f"{first} is a job, whose end is waited for")
        return _COMPLETED
    if condition == _HEALTHY and usual == _STARTED:
        report.changed(where, f"{first} has no healthcheck in the file, so only its start is waited for")
        return _STARTED
    return condition if condition in (_STARTED, _HEALTHY) else usual


def _external(target: str, endpoint: str, addresses: Addresses, externals: Mapping[str, tuple[str, str, int]]) -> str:
    port = addresses.endpoints[target].ports[endpoint][0]
    host = next(host for host, node in addresses.hosts.items() if node == target)
    return next(name for name, (_, of, number) in externals.items() if of == host and number == port)


def _open_cycles(project: Project, nodes: Mapping[str, str], found: Edges, report: Report) -> None:
    """A connection that Compose does not order need not wait."""
    back = {node: name for name, node in nodes.items()}
    while True:
        order = [
            Order(nodes[name], str(to).partition(".")[0], ("connect", slot), breakable=True)
            for name, slots in found.connect.items()
            for slot, to in slots.items()
            if isinstance(to, str) and "." in to
        ]
        order += [
            Order(nodes[name], first, ("depends_on", first), breakable=False)
            for name, depends in found.depends_on.items()
            for first in depends
        ]
        cycle = next(iter(cycles(order)), None)
        loose = [edge for edge in cycle or () if edge.breakable]
        if cycle is None:
            return
        if not loose:
            edge = cycle[0]
            del found.depends_on[back[edge.node]][edge.first]
            around = " -> ".join([*(each.node for each in cycle), edge.node])
            report.refused(f"services.{back[edge.node]}.depends_on", f"these wait for each other: {around}")
            continue
        asked = {(nodes[name], nodes.get(first)) for name in nodes for first in dependencies(project.services[name])}
        edge = next((each for each in loose if (each.node, each.first) not in asked), loose[0])
        name = back[edge.node]
        for slot, to in found.connect[name].items():
            if isinstance(to, str) and to.partition(".")[0] == edge.first:
                found.connect[name][slot] = {"to": to, "wait": False}
        told = f"{edge.node} and {edge.first} wait for each other, so {edge.node} does not: wait: false"
        report.changed(f"services.{name}", told)
