"""How wide a text is, near enough, without asking a font: the widths of a broad sans serif, so that others fit too."""

from __future__ import annotations

_NARROW = frozenset("ijl.,:;'|!()[]ft-/ 1")
_WIDE = frozenset("mwMW@%→…")


def width(text: str, size: float, *, bold: bool = False) -> float:
    """In pixels, at a font size of `size` pixels."""
    ems = sum(0.37 if char in _NARROW else 0.9 if char in _WIDE else _other(char) for char in text)
    return ems * size * (1.07 if bold else 1.0)


def fitted(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """As much of the text as has room; an ellipsis says that there is more."""
    if width(text, size, bold=bold) <= room:
        return text
    while text and width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text + "…"


def _other(char: str) -> float:
    if ord(char) >= 0x1100:  # East Asian scripts, symbols
        return 1.0
    return 0.7 if char.isupper() else 0.59
