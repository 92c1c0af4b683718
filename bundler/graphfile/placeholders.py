"""`${scope.field}` in texts: the only substitution there is.

`${a.b}` with a dot is ours; `$${a.b}` writes it literally; any other `$` is left as it stands. One pass: what is
put in is never read again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PATTERN = r"\$\{[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+\}"  # also for the JSON Schema
_ENCODED = ".encoded"
_PLACEHOLDER = re.compile(r"(\$?)\$\{([A-Za-z0-9_-]+)\.([A-Za-z0-9_.-]+)\}")


@dataclass(frozen=True, slots=True)
class Ref:
    """`${scope.field}`: scope is "values", "secrets", "publish" or a slot; `${publish.ui.url}` has field "ui.url".
    `encoded`: `${secrets.x.encoded}`, the secret x as an address holds it."""

    scope: str
    field: str
    encoded: bool = False

    def __str__(self) -> str:
        return f"${{{self.scope}.{self.field}{_ENCODED if self.encoded else ''}}}"


def parse(text: str) -> tuple[str | Ref, ...]:
    """Literal texts and references, in order; no two literals stand side by side, none is empty."""
    parts: list[str | Ref] = []
    literal, done = "", 0
    for found in _PLACEHOLDER.finditer(text):
        literal += text[done : found.start()]
        done = found.end()
        if found[1]:
            literal += found[0][1:]
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(_ref(found))
    literal += text[done:]
    if literal:
        parts.append(literal)
    return tuple(parts)


def refs(text: str) -> tuple[Ref, ...]:
    """The references alone, in order."""
    return tuple(part for part in parse(text) if isinstance(part, Ref))


def offsets(text: str) -> tuple[tuple[int, Ref], ...]:
    """Each reference with the index of its `$` in the text."""
    return tuple((found.start(), _ref(found)) for found in _PLACEHOLDER.finditer(text) if not found[1])


def _ref(found: re.Match[str]) -> Ref:
    """A secret's name has no dot in it."""
    encoded = found[2] == "secrets" and found[3].endswith(_ENCODED)
    return Ref(found[2], found[3].removesuffix(_ENCODED) if encoded else found[3], encoded)
