"""Front doors: where each published endpoint opens. A door keeps its port for the life of the app."""

from __future__ import annotations

from collections.abc import Iterable

from bundler.errors import UsageError
from bundler.model.graph import Graph
from bundler.model.observed import Observed
from bundler.model.release import ReleaseDoor
from bundler.model.site import Site

FIRST_PORT = 8080
LAST_PORT = 8180
LOOPBACK = "127.0.0.1"
_WEB = ("http", "https")


def choose_doors(
    graph: Graph, site: Site, observed: Observed, recorded: Iterable[ReleaseDoor]
) -> tuple[ReleaseDoor, ...]:
    """A door's port is the site's, else the recorded one, else the one it has now unless somebody else was faster
    to take it, else the first free from 8080 up. Raises UsageError when two doors ask for one port, or none is free."""
    taken = observed.host.taken_ports
    earlier = {door.name: door.host_port for door in observed.doors if door.host_port not in taken}
    earlier |= {door.name: door.host_port for door in recorded}
    opened = [door for door in graph.doors if not door.optional or door.name in site.doors]
    asked = {name: door.port for name, door in site.doors.items() if door.port is not None}
    ports = {door.name: asked.get(door.name) or earlier.get(door.name) for door in opened}
    used = {port for port in ports.values() if port} | set(taken)
    free = (port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in used)

    services = {service.name: service for service in graph.services}
    doors: list[ReleaseDoor] = []
    for door in opened:
        port = ports[door.name] or next(free, None)
        if port is None:
            raise UsageError(
                f"no port is free from {FIRST_PORT} to {LAST_PORT} for front door {door.name}",
                hint=f"choose one: --set publish.{door.name}.port=…",
            )
        answer = site.doors.get(door.name)
        endpoint = next(one for one in services[door.node].expose if one.name == door.endpoint)
        doors.append(
            ReleaseDoor(
                name=door.name,
                node=door.node,
                port=endpoint.port,
                scheme=endpoint.type if endpoint.type in _WEB else "tcp",
                bind=(answer.bind if answer else None) or LOOPBACK,
                host_port=port,
                host=answer.host if answer else None,
                tls=answer.tls if answer else None,
            )
        )
    _refuse_shared_ports(doors)
    return tuple(doors)


def _refuse_shared_ports(doors: list[ReleaseDoor]) -> None:
    by_port: dict[int, str] = {}
    for door in doors:
        other = by_port.setdefault(door.host_port, door.name)
        if other != door.name:
            raise UsageError(
                f"front doors {other} and {door.name} both ask for port {door.host_port}",
                hint=f"give one of them another: --set publish.{door.name}.port=…",
            )
