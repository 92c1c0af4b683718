"""Edges between nodes: connections, dependencies, front doors, and the start order that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.graphfile.forms import TargetText
from bundler.graphfile.scope import NODE_KINDS, SINGULAR, Scope, Workload, as_map, connection
from bundler.graphfile.source import Path, quoted
from bundler.graphfile.walk import suggestion
from bundler.model.graph import Condition

# Scopes of placeholders, and words kept for more of them.
RESERVED_SLOTS = frozenset({"values", "secrets", "publish", *NODE_KINDS, "env", "self", "site", "bundle"})
MAX_CYCLES = 20  # reported at once
_WAITED_FOR = ("install", "upgrade")


@dataclass(frozen=True, slots=True)
class Order:
    """`node` starts after `first`; `path` is where that is written, `breakable` whether `wait: false` can undo it."""

    node: str
    first: str
    path: Path
    breakable: bool


def check_edges(scope: Scope) -> None:
    """Reports every edge that leads nowhere, and every cycle."""
    order: list[Order] = []
    for workload in scope.workloads():
        order.extend(_connections(scope, workload))
        order.extend(_dependencies(scope, workload))
    _doors(scope)
    for cycle in cycles(order):
        names = " -> ".join([*(edge.node for edge in cycle), cycle[0].node])
        edge = next((edge for edge in cycle if edge.breakable), None)
        hint = "remove one of these dependencies"
        if edge is not None:
            target = _written_target(scope, edge)
            hint = (
                "let one of them start without waiting, for example "
                f"{edge.node}: {{connect: {{{edge.path[-1]}: {{to: {target}, wait: false}}}}}}"
            )
        scope.report((edge or cycle[0]).path, f"these wait for each other: {names}", hint)


def _written_target(scope: Scope, edge: Order) -> str:
    workload = scope.workload(edge.node)
    entry = workload.data["connect"][edge.path[-1]] if workload else None
    target, _ = connection(entry)
    return f"{target.node}.{target.endpoint}" if target else edge.first


def _connections(scope: Scope, workload: Workload) -> list[Order]:
    order = []
    for slot in as_map(workload.raw.get("connect")) if "use" not in workload.raw else ():
        path: Path = (*workload.path, "connect", slot)
        if slot in RESERVED_SLOTS:
            scope.report(path, f"a slot cannot be called {quoted(slot)}", "give the slot another name", key=True)
        entry = as_map(workload.data.get("connect")).get(slot)
        target, wait = connection(entry)
        if target is None:
            continue
        inner: Path = (*path, "to") if isinstance(entry, Mapping) else path
        if _leads_somewhere(scope, target, inner) and scope.names[target.node] == "services" and wait:
            order.append(Order(workload.name, target.node, path, breakable=True))
    return order


def _leads_somewhere(scope: Scope, target: TargetText, path: Path) -> bool:
    """Whether a connection's target exists; reports it where not."""
    hint: str | None
    kind = scope.names.get(target.node)
    match kind:
        case "services":
            return _endpoint_exists(scope, target, path)
        case "externals":
            if target.endpoint is not None:
                scope.report(path, f"the external {quoted(target.node)} has no endpoints", f"write {target.node}")
            return target.endpoint is None
        case "jobs":
            hint = "what listens is a service; to start after a job write depends_on"
            scope.report(path, f"{quoted(target.node)} is a job, and a job has no endpoints", hint)
        case None:
            if scope.unknown(target.node):
                known = [name for name, other in scope.names.items() if other in ("services", "externals")]
                hint = suggestion(target.node, known, "service or external to connect to")
                scope.report(path, f"there is no service or external {quoted(target.node)}", hint)
        case "volumes":
            hint = f"write volumes: [{target.node}:/path]"
            scope.report(path, f"{quoted(target.node)} is a volume, which is mounted, not connected to", hint)
        case _:
            hint = f"write {kind}: [{target.node}:/path]"
            scope.report(path, f"{quoted(target.node)} is {SINGULAR[kind]}, which is mounted, not connected to", hint)
    return False


def _endpoint_exists(scope: Scope, target: TargetText, path: Path) -> bool:
    endpoints = list(scope.endpoints(target.node))
    if target.endpoint in endpoints:
        return True
    if scope.unreadable(target.node):
        return False
    if not endpoints:
        hint = f"name the port it listens on: services: {{{target.node}: {{expose: {{http: 8080}}}}}}"
        scope.report(path, f"the service {quoted(target.node)} exposes no endpoint", hint)
    elif target.endpoint is None:
        which = " or ".join(f"{target.node}.{endpoint}" for endpoint in endpoints[:6])
        scope.report(path, f"{quoted(target.node)} is a service: say which endpoint", f"write {which}")
    else:
        message = f"the service {quoted(target.node)} has no endpoint {quoted(target.endpoint)}"
        scope.report(path, message, suggestion(target.endpoint, endpoints, "endpoint"))
    return False


def dependencies(entry: Any) -> Mapping[str, str | None]:
    """A `depends_on` entry as read: node -> condition, None where a list leaves it open."""
    if isinstance(entry, Mapping):
        return {name: as_map(part).get("condition") for name, part in entry.items()}
    return dict.fromkeys(name for name in entry or () if name is not None)


def usual_condition(scope: Scope, node: str) -> Condition:
    """What a list in `depends_on` means."""
    if scope.names[node] == "jobs":
        return Condition.COMPLETED
    healthy = "healthcheck" in as_map(scope.declared("services").get(node))
    return Condition.HEALTHY if healthy else Condition.STARTED


def _dependencies(scope: Scope, workload: Workload) -> list[Order]:
    order = []
    entry = workload.data.get("depends_on")
    for index, (node, condition) in enumerate(dependencies(entry).items()):
        path: Path = (*workload.path, "depends_on", node)
        if isinstance(entry, list):
            path = (*workload.path, "depends_on", entry.index(node) if node in entry else index)
        kind = scope.names.get(node)
        if kind in ("services", "jobs"):
            inner: Path = (*path, "condition") if condition else path
            if _can_be_waited_for(scope, node, kind, condition, inner):
                order.append(Order(workload.name, node, path, breakable=False))
        elif kind is None:
            if scope.unknown(node):
                known = {name for name, other in scope.names.items() if other in ("services", "jobs")}
                hint = suggestion(node, known - {workload.name}, "other service or job")
                scope.report(path, f"there is no service or job {quoted(node)}", hint, key=True)
        else:
            message = f"{quoted(node)} is {SINGULAR[kind]}; only services and jobs are waited for"
            scope.report(path, message, "leave it out", key=True)
    return order


def _can_be_waited_for(scope: Scope, node: str, kind: str, condition: str | None, path: Path) -> bool:
    if kind == "jobs":
        run = as_map(as_map(scope.data.get("jobs")).get(node)).get("run", "manual")
        written = as_map(scope.declared("jobs").get(node)).get("run", "manual")
        if run == written and run not in _WAITED_FOR:
            when = "only when somebody runs it" if run == "manual" else "by the clock"
            message = f"the job {quoted(node)} runs {when}; nothing can wait for it"
            scope.report(path, message, f"give it run: install or run: upgrade, or leave {node} out here", key=True)
            return False
        if condition not in (None, Condition.COMPLETED):
            scope.report(path, f"{quoted(node)} is a job, which ends", f"write condition: {Condition.COMPLETED}")
    elif condition == Condition.COMPLETED:
        message = f"{quoted(node)} is a service, which does not end"
        scope.report(path, message, f"write condition: {usual_condition(scope, node)}, or make {node} a job")
    elif "use" in as_map(scope.declared("services").get(node)):
        pass  # a component that could not be put in says how it is well
    elif condition == Condition.HEALTHY and usual_condition(scope, node) is Condition.STARTED:
        message = f"{quoted(node)} has no healthcheck, so it is never known to be healthy"
        scope.report(path, message, f"give {node} a healthcheck, or write condition: {Condition.STARTED}")
    return True


def _doors(scope: Scope) -> None:
    for name, entry in as_map(scope.data.get("publish")).items():
        target = entry if isinstance(entry, TargetText) else as_map(entry).get("to")
        if target is None:
            continue
        path: Path = ("publish", name) if isinstance(entry, TargetText) else ("publish", name, "to")
        kind = scope.names.get(target.node)
        if kind == "services":
            _endpoint_exists(scope, target, path)
        elif kind is None:
            if scope.unknown(target.node):
                hint = suggestion(target.node, scope.declared("services"), "service to publish")
                scope.report(path, f"there is no service {quoted(target.node)}", hint)
        else:
            message = f"{quoted(target.node)} is {SINGULAR[kind]}; a front door leads to a service"
            scope.report(path, message, "write service.endpoint")


def cycles(order: Sequence[Order]) -> list[list[Order]]:
    """Cycles without a node in common, until none is left, each a short one; the edges in waiting order."""
    edges: dict[str, dict[str, Order]] = {}
    for edge in order:
        known = edges.setdefault(edge.node, {}).get(edge.first)
        if known is None or (edge.breakable and not known.breakable):
            edges[edge.node][edge.first] = edge
    result: list[list[Order]] = []
    while len(result) < MAX_CYCLES and (remaining := _entangled(edges)):
        rank = {node: index for index, node in enumerate(remaining)}
        node = next(iter(remaining))
        seen: dict[str, int] = {}
        while node not in seen:
            seen[node] = len(seen)
            node = next(iter(remaining[node]))
        around = [each for each, index in seen.items() if index >= seen[node]]
        cycle = _shortest(remaining, min(around, key=rank.__getitem__))
        result.append(cycle)
        gone = {edge.node for edge in cycle}
        edges = {node: firsts for node, firsts in remaining.items() if node not in gone}
    return result


def _entangled(edges: Mapping[str, Mapping[str, Order]]) -> dict[str, dict[str, Order]]:
    """Without the nodes from which no cycle can be reached."""
    left = {node: dict(firsts) for node, firsts in edges.items()}
    waiters: dict[str, set[str]] = {}
    for node, firsts in left.items():
        for first in firsts:
            waiters.setdefault(first, set()).add(node)
    free = [first for first in waiters if first not in left] + [node for node, firsts in left.items() if not firsts]
    while free:
        done = free.pop()
        left.pop(done, None)
        for node in waiters.get(done, ()):
            if node in left and done in left[node]:
                del left[node][done]
                if not left[node]:
                    free.append(node)
    return left


def _shortest(edges: Mapping[str, Mapping[str, Order]], start: str) -> list[Order]:
    """The shortest way from `start` back to it; there is one."""
    came: dict[str, Order] = {}
    waiting = [start]
    for node in waiting:
        for first, edge in edges.get(node, {}).items():
            if first == start:
                way = [edge]
                while way[0].node != start:
                    way.insert(0, came[way[0].node])
                return way
            if first not in came:
                came[first] = edge
                waiting.append(first)
    raise AssertionError("no cycle through " + start)


def waves(nodes: Sequence[str], order: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Nodes by the length of the longest way that they wait for; `order` is (node, first), without cycles."""
    waiters: dict[str, set[str]] = {node: set() for node in nodes}
    open_edges = dict.fromkeys(nodes, 0)
    for node, first in set(order):
        if node in waiters and first in waiters:
            waiters[first].add(node)
            open_edges[node] += 1
    result = []
    wave = sorted(node for node, count in open_edges.items() if count == 0)
    while wave:
        result.append(tuple(wave))
        following = []
        for node in (node for first in wave for node in waiters[first]):
            open_edges[node] -= 1
            if open_edges[node] == 0:
                following.append(node)
        wave = sorted(following)
    return tuple(result)
