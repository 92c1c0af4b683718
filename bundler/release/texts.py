"""Placeholders -> texts: `${values.x}`, `${secrets.x}`, `${publish.door.url}`, `${slot.field}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.errors import UsageError
from bundler.graphfile import types
from bundler.graphfile.placeholders import Ref, parse
from bundler.model.graph import Connection, Graph, Workload
from bundler.model.release import ReleaseDoor, SecretPart, Text
from bundler.model.site import Site


@dataclass(frozen=True, slots=True)
class Scope:
    """What placeholders may name, decided: `values` as texts, the open `doors`, the names of `secrets`."""

    graph: Graph
    site: Site
    values: Mapping[str, str]
    doors: Mapping[str, ReleaseDoor]
    secrets: frozenset[str]


def expand(parts: tuple[str | Ref, ...], scope: Scope, node: Workload) -> Text:
    """One pass: what is substituted is never read for placeholders again."""
    out: list[str | SecretPart] = []
    for part in parts:
        out.extend((part,) if isinstance(part, str) else _value(part, scope, node))
    return types.joined(out)


def _value(ref: Ref, scope: Scope, node: Workload) -> Text:
    match ref.scope:
        case "values":
            return (scope.values[ref.field],)
        case "secrets":
            return (SecretPart(ref.field, encoded=ref.encoded),)
        case "publish":
            name, _, field = ref.field.partition(".")
            door = scope.doors.get(name)
            if door is None:
                return ()  # an optional door that this site leaves shut has no address
            host = door.host or door.url.split("://", 1)[1].rsplit(":", 1)[0]
            return ({"url": door.url, "host": host, "port": str(door.host_port)}[field],)
    for connection in node.connect:
        if connection.slot == ref.scope:
            return connected(connection, scope)[ref.field]
    raise UsageError(f"{node.name} has no slot {ref.scope!r} for ${{{ref.scope}.{ref.field}}}")


def connected(connection: Connection, scope: Scope) -> Mapping[str, Text]:
    """The fields of a slot: address, credentials, the provider's outputs, url."""
    fields: dict[str, Text] = {}
    external = next((one for one in scope.graph.externals if one.name == connection.node), None)
    if external is not None:
        kind = external.type
        fields |= {name: (value,) for name, value in scope.site.externals.get(external.name, {}).items()}
        prefix = external.name + "."
        fields |= {s.removeprefix(prefix): (SecretPart(s),) for s in scope.secrets if s.startswith(prefix)}
    else:
        provider = next(service for service in scope.graph.services if service.name == connection.node)
        endpoint = next(one for one in provider.expose if one.name == connection.endpoint)
        kind = endpoint.type
        fields |= {"host": (provider.name,), "port": (str(endpoint.port),)}
        for name, outputs in provider.outputs:
            if name == endpoint.name:
                fields |= {field: expand(parse(text), scope, provider) for field, text in outputs}
    return types.complete(kind, fields)
