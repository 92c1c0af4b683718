"""What a picture shows, whatever it is drawn with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Of a node. Configs, secrets and values are told with the nodes that take them."""

    SERVICE = "service"
    JOB = "job"
    VOLUME = "volume"
    MODEL = "model"
    EXTERNAL = "external"
    DOOR = "door"


class Tie(StrEnum):
    """Of an edge: an address, order alone, a mount, a way in."""

    CONNECT = "connect"
    ORDER = "order"
    MOUNT = "mount"
    DOOR = "door"


class Health(StrEnum):
    """How a node is on a target."""

    WELL = "well"
    STARTING = "starting"
    ILL = "ill"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Node:
    """`id` is "service/api"; `caption` one short line; `start` its place in the start order, from 1, None where no
    deploy starts it; `many`: it can have several instances; `facts` are what one wants to know, by name; `state` says
    in words how it is on a target."""

    id: str
    kind: Kind
    name: str
    caption: str = ""
    start: int | None = None
    many: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    health: Health | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From who needs to what is needed; `labels` are slots, conditions or paths; `waits`: it decides the order."""

    source: str
    target: str
    tie: Tie
    labels: tuple[str, ...] = ()
    waits: bool = True

    @property
    def label(self) -> str:
        return ", ".join(self.labels)


@dataclass(frozen=True, slots=True)
class Picture:
    """`place` is "" for a graph, else where the app runs. Sorted: nodes by id, edges by their ends."""

    title: str
    about: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    place: str = ""

    @property
    def live(self) -> bool:
        return bool(self.place)

    @property
    def starts(self) -> int:
        """How many steps the start has."""
        return max((node.start or 0 for node in self.nodes), default=0)

    def node(self, id: str) -> Node:
        return next(node for node in self.nodes if node.id == id)


def joined(edges: list[Edge]) -> tuple[Edge, ...]:
    """One edge for all of a kind between the same two nodes, in the order of their ends."""
    together: dict[tuple[str, str, Tie], Edge] = {}
    for edge in edges:
        key = edge.source, edge.target, edge.tie
        had = together.get(key)
        labels = tuple(dict.fromkeys((*(had.labels if had else ()), *edge.labels)))
        waits = edge.waits or (had is not None and had.waits)
        together[key] = Edge(edge.source, edge.target, edge.tie, labels, waits)
    return tuple(together[key] for key in sorted(together))
