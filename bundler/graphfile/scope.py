"""What the checks of one graph share: its data, the names declared in it, and where to report.

Names are taken from the data as written, so that a node with a mistake in it is still a node that others may name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.graphfile.forms import TargetText
from bundler.graphfile.source import Path
from bundler.graphfile.types import TYPES
from bundler.graphfile.walk import Walker

NODE_KINDS = ("services", "jobs", "volumes", "configs", "secrets", "models", "externals")
SINGULAR = {
    "services": "a service",
    "jobs": "a job",
    "volumes": "a volume",
    "configs": "a config",
    "secrets": "a secret",
    "models": "a model",
    "externals": "an external",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A service or job: `data` as read, `raw` as written."""

    kind: str
    name: str
    data: Mapping[str, Any]
    raw: Mapping[str, Any]

    @property
    def path(self) -> Path:
        return (self.kind, self.name)


class Scope:
    """`data` is the graph as the walker read it, `raw` as it was written."""

    def __init__(self, walker: Walker, data: Mapping[str, Any]) -> None:
        self.walker = walker
        self.report = walker.report
        self.data = data
        self.raw = as_map(walker.source.data)
        self.names: dict[str, str] = {}  # of a node -> its kind, the first where there are two
        for kind in NODE_KINDS:
            for name in self.declared(kind):
                self.names.setdefault(name, kind)
        used = [name for name, raw in self.declared("services").items() if "use" in as_map(raw)]
        self.unread = tuple(f"{name}-" for name in used)  # how the names begin of what components would bring

    def unknown(self, name: str) -> bool:
        """Whether there is no such node, and no component that could not be put in may bring it."""
        return name not in self.names and not name.startswith(self.unread)

    def declared(self, section: str) -> Mapping[str, Any]:
        """A section as written; empty where it is missing or no map."""
        return as_map(self.raw.get(section))

    def workloads(self) -> Iterator[Workload]:
        for kind in ("services", "jobs"):
            for name, raw in self.declared(kind).items():
                yield Workload(kind, name, as_map(self.data.get(kind)).get(name, {}), as_map(raw))

    def workload(self, name: str) -> Workload | None:
        return next((each for each in self.workloads() if each.name == name), None)

    def endpoints(self, service: str) -> Mapping[str, Any]:
        """The endpoints of a service as written, in the file's order."""
        return as_map(as_map(self.declared("services").get(service)).get("expose"))

    def unreadable(self, service: str) -> bool:
        """Whether a mistake, reported already, hides which endpoints a service has."""
        raw = self.declared("services").get(service)
        return not isinstance(raw, Mapping) or "use" in raw or not isinstance(raw.get("expose", {}), Mapping)

    def endpoint_type(self, service: str, endpoint: str) -> str | None:
        """None where the endpoint has a mistake in it."""
        entry = as_map(as_map(self.data.get("services")).get(service)).get("expose", {}).get(endpoint)
        return type_of(endpoint, entry) if entry is not None else None


def as_map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def type_of(endpoint: str, entry: Any) -> str | None:
    """The type of an `expose` entry as read: a port, or {port, as}."""
    if isinstance(entry, Mapping) and "as" in entry:
        return str(entry["as"])
    return endpoint if endpoint in TYPES else "tcp"


def connection(value: Any) -> tuple[TargetText | None, bool]:
    """A `connect` entry as read: its target (None where that has a mistake in it), and whether it waits."""
    if isinstance(value, TargetText):
        return value, True
    entry = as_map(value)
    return entry.get("to"), bool(entry.get("wait", True))
