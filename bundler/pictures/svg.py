"""A placed picture -> SVG: one file, no script, nothing from outside, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import assert_never

from bundler.pictures import lettering, style
from bundler.pictures.picture import Edge, Health, Kind, Node, Picture, Tie
from bundler.pictures.placing import CAPTION_PX, LABEL_PX, NAME_PX, Box, Placed, Point, Route, caption

_MARGIN = 28.0
_TOP, _HEADING, _BOTTOM = 66.0, 30.0, 48.0
_WORDS = {
    Kind.DOOR: "front door",
    Kind.SERVICE: "service",
    Kind.JOB: "job",
    Kind.VOLUME: "volume",
    Kind.MODEL: "weights",
    Kind.EXTERNAL: "outside",
}
_TIES = {Tie.CONNECT: "connects to", Tie.ORDER: "starts after", Tie.MOUNT: "mounts"}
_HEALTH = {Health.WELL: "well", Health.STARTING: "starting", Health.ILL: "not well", Health.ABSENT: "not there"}
_TIP_PX = 4.0
_KEY_PX = 44.0  # of the legend, beside its words


def svg(placed: Placed, *, dark: bool = True) -> str:
    """`dark`: it turns dark where its surroundings are."""
    return "\n".join(_lines(placed, dark=dark)) + "\n"


def text(words: str) -> str:
    """Words of others as text or as the value of an attribute: markup, and what could turn the text around, is shown as
    characters."""
    return escape("".join(char if char.isprintable() or char == "\n" else "�" for char in words))


def _lines(placed: Placed, *, dark: bool) -> Iterator[str]:
    picture = placed.picture
    keys = list(_keys(picture))
    wide = lettering.width(picture.title, 21, bold=True), lettering.width(picture.about, 12.5), _keys_width(keys)
    width = max(placed.width, *wide) + 2 * _MARGIN
    heading = _HEADING if picture.starts > 1 else 0.0
    height = placed.height + _TOP + heading + _BOTTOM + 12
    left = (width - placed.width) / 2 if placed.width < width - 2 * _MARGIN else _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{text(picture.title)}">'
    )
    yield f"<style>\n{style.sheet(dark=dark)}\n</style>"
    yield f'<rect class="paper" width="{_n(width)}" height="{_n(height)}" rx="10"/>'
    yield f'<text class="title" x="{_n(_MARGIN)}" y="34">{text(picture.title)}</text>'
    yield f'<text class="about" x="{_n(_MARGIN)}" y="54">{text(picture.about)}</text>'
    yield f'<g transform="translate({_n(left)} {_n(_TOP + heading)})">'
    if heading:
        yield from _columns(placed)
    for number, route in enumerate(placed.routes):
        yield from _edge(route, number)
    for node in picture.nodes:
        yield from _node(node, placed.boxes[node.id], picture)
    yield "</g>"
    yield from _legend(keys, height - 22, live=picture.live)
    yield "</svg>"


def _columns(placed: Placed) -> Iterator[str]:
    for start, x in placed.columns.items():
        widest = max(placed.boxes[node.id].width for node in placed.picture.nodes if node.start == start)
        width = widest + 24
        yield (
            f'<rect class="band" x="{_n(x - width / 2)}" y="{_n(-_HEADING)}" width="{_n(width)}" '
            f'height="{_n(placed.height + _HEADING + 12)}" rx="8"/>'
        )
        yield f'<text class="heading middle" x="{_n(x)}" y="-11">{_ordinal(start)}</text>'


def _ordinal(start: int) -> str:
    return "starts first" if start == 1 else f"starts {start}{'nd' if start == 2 else 'rd' if start == 3 else 'th'}"


def _edge(route: Route, number: int) -> Iterator[str]:
    edge, points = route.edge, route.points
    kind = f"{edge.tie} later" if edge.tie is Tie.CONNECT and not edge.waits else str(edge.tie)
    ends = f'data-source="{text(edge.source)}" data-target="{text(edge.target)}"'
    yield f'<g class="tie" data-edge="{number}" {ends}>'
    start, *others = points
    path = f"M{_p(start)} C{' '.join(_p(point) for point in others)}"
    if edge.tie is Tie.MOUNT:
        yield f'<path class="edge {kind}" d="{path} L{_p(route.tip)}"/>'
    else:
        yield f'<path class="edge {kind}" d="{path}"/>'
        yield f'<path class="tip {edge.tie}" d="{_arrow(points[-1], route.tip)}"/>'
    if route.label is not None:
        x, y = route.label
        yield f'<text class="label middle" x="{_n(x)}" y="{_n(y + 3.5)}">{text(edge.label)}</text>'
    yield f"<title>{text(said(edge))}</title>"
    yield "</g>"


def said(edge: Edge) -> str:
    """An edge in words."""
    source, target = (id.partition("/")[2] for id in (edge.source, edge.target))
    match edge.tie:
        case Tie.CONNECT:
            return f"{source} connects to {target} as {edge.label}" + ("" if edge.waits else ", without waiting for it")
        case Tie.ORDER:
            return f"{source} starts after {target}, {edge.label}"
        case Tie.MOUNT:
            return f"{source} mounts {target} at {edge.label}"
        case Tie.DOOR:
            return f"{source} opens {target}"
        case _:
            assert_never(edge.tie)


def _arrow(end: Point, tip: Point) -> str:
    length = math.dist(end, tip) or 1.0
    across = (tip[1] - end[1]) / length * _TIP_PX, (end[0] - tip[0]) / length * _TIP_PX
    left, right = (end[0] + across[0], end[1] + across[1]), (end[0] - across[0], end[1] - across[1])
    return f"M{_p(left)} L{_p(tip)} L{_p(right)} Z"


def _node(node: Node, box: Box, picture: Picture) -> Iterator[str]:
    health = f" {node.health}" if node.health is not None else ""
    yield f'<g class="node {node.kind}{health}" data-id="{text(node.id)}">'
    facts = [f"{name}: {words}" for name, words in (*_state(node), *node.facts)]
    yield f"<title>{text(chr(10).join([f'{_WORDS[node.kind]} {node.name}', *facts]))}</title>"
    if node.many:
        yield _shape(node.kind, Box(box.x + 4, box.y - 4, box.width, box.height))
    yield _shape(node.kind, box)
    below = caption(node, picture)
    if node.kind is Kind.DOOR:
        name = lettering.fitted(node.name, NAME_PX, box.width - 26, bold=True)
        yield f'<text class="name middle" x="{_n(box.x - 3)}" y="{_n(box.y + 4.5)}">{text(name)}</text>'
    else:
        room = box.width - (38 if node.health is not None else 24)
        left = box.x - box.width / 2 + (29 if node.health is not None else 13)
        left += 3 if node.kind in (Kind.JOB, Kind.MODEL) else 0
        lower = 3.0 if node.kind is Kind.VOLUME else 0.0
        if node.health is not None:
            yield _mark(node.health, box.x - box.width / 2 + 16, box.y + lower)
        name = lettering.fitted(node.name, NAME_PX, room, bold=True)
        up = -3.5 if below else 4.5
        yield f'<text class="name" x="{_n(left)}" y="{_n(box.y + up + lower)}">{text(name)}</text>'
        if below:
            words = lettering.fitted(below, CAPTION_PX, room)
            yield f'<text class="caption" x="{_n(left)}" y="{_n(box.y + 11.5 + lower)}">{text(words)}</text>'
    yield "</g>"


def _state(node: Node) -> Iterator[tuple[str, str]]:
    if node.state:
        yield "is", node.state


def _shape(kind: Kind, box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    right, bottom = left + box.width, top + box.height
    match kind:
        case Kind.SERVICE | Kind.EXTERNAL:
            radius = 8 if kind is Kind.SERVICE else 3
            size = f'width="{_n(box.width)}" height="{_n(box.height)}"'
            return f'<rect class="box" x="{_n(left)}" y="{_n(top)}" {size} rx="{radius}"/>'
        case Kind.JOB:
            cut = min(9.0, box.height / 3)
            corners = [
                (left + cut, top),
                (right - cut, top),
                (right, box.y),
                (right - cut, bottom),
                (left + cut, bottom),
            ]
            return _polygon([*corners, (left, box.y)])
        case Kind.VOLUME:
            lid = min(4.5, box.height / 5)
            half, start, end = f"A{_n(box.width / 2)} {_n(lid)} 0 0", (left, top + lid), (right, top + lid)
            body = f"M{_p(start)} {half} 1 {_p(end)} V{_n(bottom - lid)} {half} 1 {_p((left, bottom - lid))} Z"
            return f'<path class="box" d="{body} M{_p(end)} {half} 1 {_p(start)}"/>'  # the other way round is a hole
        case Kind.MODEL:
            fold = min(10.0, box.height / 3)
            return _polygon([(left, top), (right - fold, top), (right, top + fold), (right, bottom), (left, bottom)])
        case Kind.DOOR:
            nose = min(12.0, box.height / 2)
            return _polygon([(left, top), (right - nose, top), (right, box.y), (right - nose, bottom), (left, bottom)])
        case _:
            assert_never(kind)


def _polygon(points: list[Point]) -> str:
    return f'<path class="box" stroke-linejoin="round" d="M{" L".join(_p(point) for point in points)} Z"/>'


def _mark(health: Health, x: float, y: float) -> str:
    """Another form for each health, for those who see no colours."""
    match health:
        case Health.WELL:
            return f'<circle class="mark" cx="{_n(x)}" cy="{_n(y)}" r="4.5"/>'
        case Health.STARTING:
            return f'<path class="mark" d="M{_p((x - 5, y + 4.5))} L{_p((x, y - 5))} L{_p((x + 5, y + 4.5))} Z"/>'
        case Health.ILL:
            return f'<rect class="mark" x="{_n(x - 4.5)}" y="{_n(y - 4.5)}" width="9" height="9"/>'
        case Health.ABSENT:
            return f'<rect class="mark" x="{_n(x - 5)}" y="{_n(y - 1.25)}" width="10" height="2.5"/>'
        case _:
            assert_never(health)


def _keys(picture: Picture) -> Iterator[tuple[Kind | Health | Tie | None, str]]:
    """What the legend explains: what there is in the picture. None: an edge that nobody waits for."""
    for kind, word in _WORDS.items():
        if any(node.kind is kind for node in picture.nodes):
            yield kind, word
    for health, word in _HEALTH.items():
        if any(node.health is health for node in picture.nodes):
            yield health, word
    for tie, word in _TIES.items():
        if any(edge.tie is tie and (edge.waits or tie is Tie.MOUNT) for edge in picture.edges):
            yield tie, word
    if any(edge.tie is Tie.CONNECT and not edge.waits for edge in picture.edges):
        yield None, "connects, does not wait"


def _keys_width(keys: list[tuple[Kind | Health | Tie | None, str]]) -> float:
    return sum(lettering.width(word, LABEL_PX) + _KEY_PX for _, word in keys)


def _legend(keys: list[tuple[Kind | Health | Tie | None, str]], y: float, *, live: bool) -> Iterator[str]:
    x = _MARGIN
    for key, word in keys:
        match key:
            case Tie() | None:
                yield f'<path class="edge {key or "later"}" d="M{_p((x, y))} H{_n(x + 22)}"/>'
                if key is not Tie.MOUNT:
                    yield f'<path class="tip" d="{_arrow((x + 18, y), (x + 25, y))}"/>'
            case Health():
                yield f'<g class="{key}">{_mark(key, x + 14, y)}</g>'
            case Kind():
                look = "plain" if live and key in (Kind.SERVICE, Kind.JOB) else key
                yield f'<g class="{look}">{_shape(key, Box(x + 11, y, 22, 14))}</g>'
        yield f'<text class="key" x="{_n(x + 29)}" y="{_n(y + 3.7)}">{word}</text>'
        x += lettering.width(word, LABEL_PX) + _KEY_PX


def _p(point: Point) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _n(number: float) -> str:
    """One digit behind the point is enough for an eye."""
    return f"{number:.1f}".removesuffix(".0") if round(number, 1) else "0"
