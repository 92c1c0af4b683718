"""Registries whose images are taken from elsewhere: `docker.io=HOST/PATH`.

A site's own copy, or a cache in between. What a reference says stays as it is, also in the bundle: only who is asked
for it is another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bundler.collect.reference import Reference, is_path, registry_host


@dataclass(frozen=True, slots=True)
class Mirror:
    """`registry` as references name it once they are complete; `path` has no slash at either end, and may be empty."""

    registry: str
    host: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Mirror:
        """Raises ValueError where the text is not REGISTRY=HOST[/PATH]."""
        registry, equals, place = text.partition("=")
        if not equals:
            raise ValueError("it is written REGISTRY=HOST/PATH")
        if "://" in text:
            raise ValueError("hosts stand without a scheme: HTTPS everywhere, HTTP on this machine")
        named = registry_host(registry)
        if named is None:
            raise ValueError(f"not the host of a registry: {registry[:140]!r}")
        host, _, path = place.rstrip("/").partition("/")
        known = registry_host(host)
        if known is None:
            raise ValueError(f"not a place that begins with a host: {place[:300]!r}")
        if path and not is_path(path):
            raise ValueError(f"not a path that images can be below: {path[:300]!r}")
        return cls(named, known, path)

    def __str__(self) -> str:
        return f"{self.registry}={self.place}"

    @property
    def place(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host

    def of(self, reference: Reference) -> Reference:
        """Where an image of the registry lies in the mirror."""
        return replace(reference, host=self.host, path=f"{self.path}/{reference.path}".lstrip("/"))


class Mirrors:
    """At most one for each registry."""

    def __init__(self, mirrors: Iterable[Mirror] = ()) -> None:
        self._by_registry = {mirror.registry: mirror for mirror in mirrors}

    def of(self, reference: Reference) -> Mirror | None:
        return self._by_registry.get(reference.host)
