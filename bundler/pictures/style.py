"""The colours of a picture, for light and dark surroundings, as a style sheet without variables or anything from
outside, so that simple SVG programs understand it too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, "DejaVu Sans", sans-serif'


@dataclass(frozen=True, slots=True)
class Palette:
    """`tints` are the surface and the line of each kind and health."""

    paper: str
    band: str
    ink: str
    muted: str
    line: str
    faint: str
    tints: Mapping[str, tuple[str, str]]


LIGHT = Palette(
    paper="#ffffff",
    band="#f5f7fa",
    ink="#1c2128",
    muted="#57606a",
    line="#7d8894",
    faint="#9aa5b1",
    tints={
        "service": ("#e9f1fe", "#4577d4"),
        "job": ("#fdf1dc", "#c27c0e"),
        "volume": ("#f1ebfc", "#8561c5"),
        "model": ("#def4f0", "#1d8a7c"),
        "external": ("#ffffff", "#6e7781"),
        "door": ("#2c3440", "#2c3440"),
        "well": ("#dff5e3", "#2a8a45"),
        "starting": ("#fdf3d0", "#b58407"),
        "ill": ("#fde4e1", "#cf3a2b"),
        "absent": ("#f3f4f6", "#8b949e"),
    },
)

DARK = Palette(
    paper="#12161c",
    band="#191f27",
    ink="#e8edf3",
    muted="#a3aebb",
    line="#7a8696",
    faint="#5d6979",
    tints={
        "service": ("#1b2c4a", "#6ea0f5"),
        "job": ("#3a2b10", "#e0a23c"),
        "volume": ("#2c2342", "#a98be0"),
        "model": ("#12332f", "#41b3a3"),
        "external": ("#12161c", "#8b96a3"),
        "door": ("#dde4ec", "#dde4ec"),
        "well": ("#143521", "#4cc26f"),
        "starting": ("#3b300c", "#e0b63a"),
        "ill": ("#45191a", "#f2685c"),
        "absent": ("#20262e", "#8b96a3"),
    },
)


def sheet(*, dark: bool) -> str:
    """`dark`: also for dark surroundings, where the viewer says so."""
    rules = [*_shapes(), *_colours(LIGHT)]
    if dark:
        rules += ["@media (prefers-color-scheme: dark) {", *_colours(DARK), "}"]
    return "\n".join(rules)


def _shapes() -> Iterator[str]:
    yield f"text {{ font-family: {FONT}; }}"
    yield ".title { font-size: 19px; font-weight: 700; }"
    yield ".about { font-size: 12.5px; }"
    yield ".name { font-size: 13px; font-weight: 600; }"
    yield ".caption { font-size: 11px; }"
    yield ".label, .heading, .key { font-size: 10.5px; }"
    yield ".middle { text-anchor: middle; }"
    yield ".box { stroke-width: 1.4; }"
    yield ".external .box, .absent .box { stroke-dasharray: 5 3.5; }"
    yield ".edge { fill: none; stroke-width: 1.3; }"
    yield ".order { stroke-dasharray: 1.5 3.5; stroke-linecap: round; }"
    yield ".later { stroke-dasharray: 7 3; }"
    yield ".mount { stroke-width: 1; stroke-dasharray: 4 3; }"
    yield ".door.edge { stroke-width: 2; }"
    yield ".label { paint-order: stroke; stroke-width: 3px; stroke-linejoin: round; }"


def _colours(palette: Palette) -> Iterator[str]:
    yield f".paper {{ fill: {palette.paper}; }}"
    yield f".label {{ stroke: {palette.paper}; }}"
    yield f".plain .box {{ fill: {palette.paper}; stroke: {palette.line}; }}"
    yield f".band {{ fill: {palette.band}; }}"
    yield f".title, .name {{ fill: {palette.ink}; }}"
    yield f".about, .caption, .label, .heading, .key {{ fill: {palette.muted}; }}"
    yield f".edge {{ stroke: {palette.line}; }}"
    yield f".tip {{ fill: {palette.line}; }}"
    yield f".mount {{ stroke: {palette.faint}; }}"
    for name, (surface, line) in palette.tints.items():
        yield f".{name} .box {{ fill: {surface}; stroke: {line}; }}"
        yield f".{name} .mark {{ fill: {line}; }}"
    yield f".door .name {{ fill: {palette.paper}; }}"
    yield f".door.edge {{ stroke: {palette.tints['door'][1]}; }}"
    yield f".door.tip {{ fill: {palette.tints['door'][1]}; }}"
