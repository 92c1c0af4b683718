"""`${scope.field}` in texts: the only substitution there is.

`${a.b}` with a dot is ours; `$${a.b}` writes it literally; any other `$` is left as it stands. One pass: what is
put in is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PATTERN = r"\$\{[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+\}"  # also for the JSON Schema
_ENCODED = ".encoded"
_PLACEHOLDER = re.compile(r"(\$?)\$\{([A-Za-z0-9_-]+)\.([A-Za-z0-9_.-]+)\}")

FORMS: Mapping[str, str] = {
    "${values.NAME}": "A value of the graph: the site's, or its default.",
    "${secrets.NAME}": "A secret's bytes, which the target alone puts in.",
    "${secrets.NAME.encoded}": "The same, percent-encoded, for an address that is written out.",
    "${SLOT.url}": "Where a slot of this service's or job's own `connect` leads: .url, .host, .port, and what the type "
    "of the endpoint has besides (bundle explain types).",
    "${publish.DOOR.url}": "Where a front door opens at the site: .url, .host and .port.",
    "$${values.NAME}": "The text ${values.NAME} itself.",
    "$HOME, ${HOME}, $1": "Without a dot in braces it is none of ours: the program gets it as it stands.",
}
READ_IN: Mapping[str, str] = {
    "environment, entrypoint, command": "all of them; of services and jobs",
    "configs": "all of them, in content, and with template: true in file and dir; a slot is one of whoever mounts it",
    "healthcheck.test, liveness.test": "all of them but what holds a secret",
    "outputs": "values and secrets",
    "workers, workers.min, workers.max": "values",
}


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
