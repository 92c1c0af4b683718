"""Picture -> where everything goes, by Graphviz's `dot`.

Requests go from left to right: front doors, then who starts last, and at the right what starts first, with what lies
outside. Who starts at the same time stands in one column; volumes and weights have the room between the columns.
Graphviz gets numbers only: nothing that somebody wrote into a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.pictures import lettering
from bundler.pictures.picture import Edge, Kind, Node, Picture, Tie

NAME_PX, CAPTION_PX, LABEL_PX = 13.0, 11.0, 10.5
LABELLED = 20  # with more connections than that the slots are left to the details
_WORKLOAD_PX = (118.0, 184.0)  # at least, at most; more of a name is in the details
_APART_PX = 10.0  # what a node keeps free above and below, an edge need not
_LARGE, _FAR = 60, 2000  # more services and jobs, with edges over more columns in all: Graphviz needs minutes
_POINTS = 72.0  # of an inch; one of them is one pixel here

Point = tuple[float, float]
LayOut = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Box:
    """Middle, width and height in pixels; y grows downwards."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """Bézier curves: a start, then three points for each; `tip` is the end of the arrow."""

    edge: Edge
    points: tuple[Point, ...]
    tip: Point
    label: Point | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture with its places; `columns` are the middles of those of the start order, from 1."""

    picture: Picture
    width: float
    height: float
    boxes: Mapping[str, Box]
    routes: tuple[Route, ...]
    columns: Mapping[int, float]


def placed(picture: Picture, lay_out: LayOut) -> Placed:
    sizes = {node.id: size for node, size in zip(picture.nodes, _sizes(picture), strict=True)}
    labelled = sum(edge.tie in (Tie.CONNECT, Tie.ORDER) for edge in picture.edges) <= LABELLED
    answer = lay_out("\n".join(_document(picture, sizes, labelled=labelled)))
    width, height = (float(number) for number in answer["bb"].split(",")[2:])
    objects = {one["name"]: one for one in answer.get("objects", ())}
    boxes = {}
    for number, node in enumerate(picture.nodes):
        x, y = _point(objects[f"n{number}"]["pos"], height)
        boxes[node.id] = Box(x, y, *sizes[node.id])
    drawn = {one["id"]: one for one in answer.get("edges", ())}
    routes = tuple(_route(edge, drawn[f"e{number}"], height) for number, edge in enumerate(picture.edges))
    columns = {node.start: boxes[node.id].x for node in picture.nodes if node.start is not None}
    return Placed(picture, width, height, boxes, routes, dict(sorted(columns.items())))


def _sizes(picture: Picture) -> Iterator[tuple[float, float]]:
    """Services and jobs are all as wide as the widest of them."""
    least, most = _WORKLOAD_PX
    workloads = [node for node in picture.nodes if node.kind in (Kind.SERVICE, Kind.JOB)]
    common = min(max([least, *(_room(node, picture) for node in workloads)]), most)
    for node in picture.nodes:
        match node.kind:
            case Kind.SERVICE | Kind.JOB:
                yield common, 44.0
            case Kind.EXTERNAL:
                yield min(max(_room(node, picture), 90.0), most), 42.0
            case Kind.VOLUME | Kind.MODEL:
                yield min(_room(node, picture), most), 48.0 if node.kind is Kind.VOLUME else 44.0
            case Kind.DOOR:
                yield min(lettering.width(node.name, NAME_PX, bold=True) + 34, most), 28.0


def caption(node: Node, picture: Picture) -> str:
    """What stands below the name: how it is, where that is known."""
    return node.state if picture.live and node.state else node.caption


def _room(node: Node, picture: Picture) -> float:
    name = lettering.width(node.name, NAME_PX, bold=True)
    mark = 15 if node.health is not None else 0
    return max(name, lettering.width(caption(node, picture), CAPTION_PX)) + mark + 38


def _document(picture: Picture, sizes: Mapping[str, tuple[float, float]], *, labelled: bool) -> Iterator[str]:
    numbers = {node.id: number for number, node in enumerate(picture.nodes)}
    columns = _columns(picture)
    yield 'digraph { rankdir=LR; nodesep=0.11; ranksep=0.27; node [shape=box fixedsize=true label=""];'
    yield "edge [arrowsize=0.6 headport=w tailport=e];"
    if len(columns) > _LARGE and _passed(picture, columns) > _FAR:
        yield "graph [splines=line nslimit=0.1 nslimit1=0.1 mclimit=0.01];"  # 100 services in 0.1 s, not in 5 s
    for node in picture.nodes:
        width, height = sizes[node.id]
        yield f"n{numbers[node.id]} [width={width / _POINTS:.4f} height={(height + _APART_PX) / _POINTS:.4f}];"
    for column in sorted(set(columns.values())):
        yield f"{{ rank=same; {' '.join(f'n{numbers[id]};' for id in sorted(columns) if columns[id] == column)} }}"
    outside = [f"n{numbers[node.id]};" for node in picture.nodes if node.kind is Kind.EXTERNAL]
    if outside:
        yield f"{{ rank=sink; {' '.join(outside)} }}"
    for number, edge in enumerate(picture.edges):
        ends = f"n{numbers[edge.source]} -> n{numbers[edge.target]}"
        yield f"{ends} [id=e{number} {_attributes(edge, columns, labelled=labelled)}];"
    yield "}"


def _passed(picture: Picture, columns: Mapping[str, int]) -> int:
    """How many columns all edges together lead over."""
    ends = [(columns.get(edge.source), columns.get(edge.target)) for edge in picture.edges]
    return sum(abs(source - target) for source, target in ends if source is not None and target is not None)


def _attributes(edge: Edge, columns: Mapping[str, int], *, labelled: bool) -> str:
    source, target = columns.get(edge.source), columns.get(edge.target)
    if edge.tie is Tie.MOUNT:
        return "minlen=1 weight=3 arrowhead=none"
    if edge.tie is Tie.DOOR:
        return "minlen=1 weight=6"
    if source is not None and target is not None and source <= target:
        return "constraint=false headport=_ tailport=_"
    if not (labelled and edge.label):
        return "minlen=2"
    width = lettering.width(edge.label, LABEL_PX) + 8
    table = f'<TABLE FIXEDSIZE="TRUE" BORDER="0" CELLPADDING="0" CELLSPACING="0" WIDTH="{width:.0f}" HEIGHT="14">'
    return f"minlen=2 label=<{table}<TR><TD></TD></TR></TABLE>>"


def _columns(picture: Picture) -> dict[str, int]:
    """By node: its place in the start order; who is started by people or a schedule stands left of what it needs."""
    columns = {node.id: node.start for node in picture.nodes if node.start is not None}
    later = [node.id for node in picture.nodes if node.kind in (Kind.SERVICE, Kind.JOB) and node.start is None]
    for id in later:
        needed = [columns[edge.target] for edge in picture.edges if edge.source == id and edge.target in columns]
        columns[id] = max(needed, default=0) + 1
    return columns


def _point(text: str, height: float) -> Point:
    x, y = (float(number) for number in text.split(",")[:2])
    return x, height - y


def _route(edge: Edge, drawn: Mapping[str, Any], height: float) -> Route:
    tip: Point | None = None
    points: list[Point] = []
    for part in drawn["pos"].split():
        if part.startswith("e,"):
            tip = _point(part[2:], height)
        else:
            points.append(_point(part, height))
    label = _point(drawn["lp"], height) if "lp" in drawn else None
    return Route(edge, tuple(points), tip or points[-1], label)
