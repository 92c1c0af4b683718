"""Where two graphs differ: nodes that only one has, and of those that both have, every key that differs. Pure.

Works on graphs in their written form (`written`), where everything is spelt out, so that the order of keys and defaults
make no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.scope import SINGULAR
from bundler.graphfile.source import dotted

_KINDS = {
    **{section: name.partition(" ")[2] for section, name in SINGULAR.items()},
    "values": "value",
    "publish": "front door",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A key that differs; None where one side has none. `path` is within the node: `environment.A`."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A node that differs: `fields` are all that it has where the other graph has none."""

    kind: str
    name: str
    added: bool
    gone: bool
    fields: tuple[Field, ...]

    @property
    def sign(self) -> str:
        return "+" if self.added else "-" if self.gone else "~"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Of two graphs as `written` gives them, in the order of a graph's sections, by name."""
    found = []
    for section in (key.name for key in GRAPH.keys):
        if section not in _KINDS:
            if before.get(section) != after.get(section):
                fields = tuple(_fields((), before.get(section), after.get(section)))
                found.append(Difference("graph", section, added=False, gone=False, fields=fields))
            continue
        old, new = before.get(section, {}), after.get(section, {})
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                fields = tuple(_fields((), old.get(name, {}), new.get(name, {})))
                found.append(Difference(_KINDS[section], name, name not in old, name not in new, fields))
    return tuple(found)


def _fields(path: tuple[str | int, ...], before: Any, after: Any) -> Iterator[Field]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _fields((*path, key), before.get(key), after.get(key))
    elif isinstance(before, Mapping) and after is None:
        for key in sorted(before):
            yield from _fields((*path, key), before[key], None)
    elif isinstance(after, Mapping) and before is None:
        for key in sorted(after):
            yield from _fields((*path, key), None, after[key])
    elif before != after:
        yield Field(dotted(path), _shown(before), _shown(after))


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
