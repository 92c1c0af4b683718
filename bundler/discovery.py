"""Entry points (group `bundler.targets`) -> targets. Loads only the one asked for.

An entry point is a function `(options: Mapping[str, str]) -> Target`; options come from the command line
and the site file (context, namespace ...), and an adapter raises UsageError for one it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from bundler.contract import Target
from bundler.errors import UsageError

GROUP = "bundler.targets"


def names() -> tuple[str, ...]:
    """The targets installed here."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def distinct() -> tuple[str, ...]:
    """The same, each target under one name, the shortest."""
    shortest: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        known = shortest.setdefault(point.value, point.name)
        shortest[point.value] = min(known, point.name, key=lambda name: (len(name), name))
    return tuple(sorted(shortest.values()))


def load(name: str, options: Mapping[str, str]) -> Target:
    """The target of that name. Raises UsageError for an unknown one."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            target: Target = point.load()(options)
            return target
    raise UsageError(f"unknown target {name!r}", hint=f"installed targets: {', '.join(names())}")
