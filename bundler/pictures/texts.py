"""A picture as text for other programs: JSON, DOT, Mermaid. They need no layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bundler.pictures.picture import Edge, Kind, Node, Picture, Tie
from bundler.pictures.style import LIGHT

_DOT_SHAPES = {
    Kind.SERVICE: 'shape=box style="rounded,filled"',
    Kind.JOB: "shape=hexagon style=filled",
    Kind.VOLUME: "shape=cylinder style=filled",
    Kind.MODEL: "shape=note style=filled",
    Kind.EXTERNAL: 'shape=box style="dashed,filled"',
    Kind.DOOR: "shape=cds style=filled",
}
_DOT_EDGES = {
    Tie.CONNECT: "",
    Tie.ORDER: "style=dotted",
    Tie.MOUNT: "style=dashed arrowhead=none penwidth=0.7",
    Tie.DOOR: "penwidth=2",
}
_MERMAID_SHAPES = {
    Kind.SERVICE: ("(", ")"),
    Kind.JOB: ("{{", "}}"),
    Kind.VOLUME: ("[(", ")]"),
    Kind.MODEL: ("[/", "/]"),
    Kind.EXTERNAL: ("[", "]"),
    Kind.DOOR: (">", "]"),
}
_MERMAID_EDGES = {Tie.CONNECT: "-->", Tie.ORDER: "-.->", Tie.MOUNT: "-.-", Tie.DOOR: "==>"}
_AS_IS = " .,:/_-+()@%=…"


def data(picture: Picture) -> dict[str, Any]:
    """For programs; facts by name."""
    return {
        "title": picture.title,
        "target": picture.place or None,
        "nodes": [
            {
                "id": node.id,
                "kind": str(node.kind),
                "name": node.name,
                "start": node.start,
                "facts": dict(node.facts),
                "health": None if node.health is None else str(node.health),
                "state": node.state or None,
            }
            for node in picture.nodes
        ],
        "edges": [
            {
                "from": edge.source,
                "to": edge.target,
                "kind": str(edge.tie),
                "labels": list(edge.labels),
                "waits": edge.waits,
            }
            for edge in picture.edges
        ],
    }


def dot(picture: Picture) -> str:
    """For Graphviz: `dot -Tsvg`."""
    return "\n".join(_dot(picture)) + "\n"


def mermaid(picture: Picture) -> str:
    """For a page that draws Mermaid, such as a README."""
    return "\n".join(_mermaid(picture)) + "\n"


def _dot(picture: Picture) -> Iterator[str]:
    yield f"digraph {_quoted(picture.title)} {{"
    yield '  graph [rankdir=LR fontname="Helvetica" labelloc=t label=' + _quoted(picture.title) + "];"
    yield '  node [fontname="Helvetica" fontsize=11]; edge [fontname="Helvetica" fontsize=9 color="#7d8894"];'
    for node in picture.nodes:
        surface, line = LIGHT.tints[_look(node)]
        ink = "#ffffff" if node.kind is Kind.DOOR else LIGHT.ink
        colours = f'fillcolor="{surface}" color="{line}" fontcolor="{ink}"'
        label = r"\n".join(_escaped(part) for part in _label(node))
        yield f'  {_quoted(node.id)} [label="{label}" {_DOT_SHAPES[node.kind]} {colours}];'
    for start in range(1, picture.starts + 1):
        together = " ".join(f"{_quoted(node.id)};" for node in picture.nodes if node.start == start)
        yield f"  {{ rank=same; {together} }}"
    for edge in picture.edges:
        style = _DOT_EDGES[edge.tie] if edge.waits or edge.tie is not Tie.CONNECT else "style=dashed constraint=false"
        label = f"label={_quoted(edge.label)}" if _labelled(edge) else ""
        attributes = " ".join(part for part in (label, style) if part)
        yield f"  {_quoted(edge.source)} -> {_quoted(edge.target)}{attributes and f' [{attributes}]'};"
    yield "}"


def _mermaid(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    for node in picture.nodes:
        opening, closing = _MERMAID_SHAPES[node.kind]
        label = "<br/>".join(_entities(part) for part in _label(node))
        yield f'  {_word(node.id)}{opening}"{label}"{closing}:::{_look(node)}'
    for edge in picture.edges:
        label = f'|"{_entities(edge.label)}"|' if _labelled(edge) else ""
        yield f"  {_word(edge.source)} {_MERMAID_EDGES[edge.tie]}{label} {_word(edge.target)}"
    for look in sorted({_look(node) for node in picture.nodes}):
        surface, line = LIGHT.tints[look]
        ink = "#ffffff" if look == "door" else LIGHT.ink
        dashed = ",stroke-dasharray:5 3" if look in ("external", "absent") else ""
        yield f"  classDef {look} fill:{surface},stroke:{line},color:{ink}{dashed}"


def _look(node: Node) -> str:
    """Its health where that is known, else its kind; a name of the palette."""
    return str(node.kind if node.health is None else node.health)


def _label(node: Node) -> list[str]:
    return [part for part in (node.name, node.state or node.caption) if part]


def _labelled(edge: Edge) -> bool:
    return edge.tie in (Tie.CONNECT, Tie.ORDER) and bool(edge.label)


def _word(id: str) -> str:
    """Names have no underscore, so no two become one."""
    return id.replace("/", "_").replace("-", "_")


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Within quotes of the DOT language, where an entity would be read too."""
    return _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _entities(text: str) -> str:
    """Mermaid's own way to write characters: by number."""
    return "".join(char if char.isalnum() or char in _AS_IS else f"#{ord(char)};" for char in _plain(text))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
