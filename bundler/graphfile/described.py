"""What a component is, for people who choose one.

Reads: a component's `Source`, right or not.
Writes: `Described`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.graphfile.component_grammar import VOLUME_NEED
from bundler.graphfile.component_names import declared
from bundler.graphfile.scope import as_map, type_of
from bundler.graphfile.source import Source
from bundler.graphfile.types import made_fields


@dataclass(frozen=True, slots=True)
class EndpointOf:
    """Of the node itself, or of a service that comes along; `fields` are what `${slot.…}` gives."""

    service: str
    name: str
    port: int
    type: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """`needs`, `volumes`, `secrets`, `models` and `jobs` by name, with the type, the size, the number of characters
    that are made, the source and when it runs; `images` and `resources` by workload; `along` are the names of all
    nodes but the one that becomes the user's. A component's names, not those in a graph."""

    name: str
    version: str
    summary: str
    doc: str
    needs: Mapping[str, str]
    endpoints: tuple[EndpointOf, ...]
    volumes: Mapping[str, str | None]
    secrets: Mapping[str, int | None]
    models: Mapping[str, str]
    images: Mapping[str, str]
    resources: Mapping[str, Mapping[str, object]]
    jobs: Mapping[str, str]
    along: tuple[str, ...]

    @property
    def own(self) -> tuple[EndpointOf, ...]:
        """The endpoints of the node that becomes the user's."""
        return tuple(each for each in self.endpoints if each.service == self.name)

    @property
    def front(self) -> EndpointOf | None:
        """What a front door would lead to: the node's own first endpoint that speaks HTTP."""
        return next((each for each in self.own if each.type == "http"), None)


def described(component: Source) -> Described:
    data = as_map(component.data)
    workloads = dict(_workloads(data))
    return Described(
        name=str(data.get("component", "")),
        version=str(data.get("version", "")),
        summary=str(data.get("summary", "")),
        doc=str(data.get("doc", "")),
        needs={slot: str(type) for slot, type in as_map(data.get("needs")).items()},
        endpoints=tuple(_endpoints(data)),
        volumes={name: as_map(part).get("size") for name, part in as_map(data.get("volumes")).items()},
        secrets={name: as_map(part).get("generate") for name, part in as_map(data.get("secrets")).items()},
        models={name: str(as_map(part).get("from", "")) for name, part in as_map(data.get("models")).items()},
        images={name: str(part["image"]) for name, part in workloads.items() if "image" in part},
        resources={name: as_map(part["resources"]) for name, part in workloads.items() if "resources" in part},
        jobs={name: str(as_map(part).get("run", "manual")) for name, part in as_map(data.get("jobs")).items()},
        along=tuple(name for name in declared(component) if name != data.get("component")),
    )


def need(type: str) -> str:
    """What a slot takes, in words."""
    return "a volume" if type == VOLUME_NEED else "any endpoint" if type == "tcp" else f"an endpoint of type {type}"


def _workloads(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for section in ("services", "jobs"):
        for name, part in as_map(data.get(section)).items():
            yield name, as_map(part)


def _endpoints(data: Mapping[str, Any]) -> Iterator[EndpointOf]:
    services = as_map(data.get("services"))
    for name in sorted(services, key=lambda name: name != data.get("component")):
        service = as_map(services[name])
        for endpoint, part in as_map(service.get("expose")).items():
            type = type_of(endpoint, part) or "tcp"
            outputs = as_map(as_map(service.get("outputs")).get(endpoint))
            port = part.get("port") if isinstance(part, Mapping) else part
            yield EndpointOf(name, endpoint, int(port or 0), type, (*sorted(made_fields(type)), *outputs))
