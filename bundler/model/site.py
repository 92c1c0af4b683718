"""A site's answers: what differs from place to place, never part of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bundler.errors import Position


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where the bytes of a secret are: exactly one of a file's path, the name of an environment variable,
    and `NAME/KEY` of a Kubernetes Secret. Relative paths of a site file are already joined to its folder. `where` it
    says so."""

    file: str | None = None
    env: str | None = None
    kubernetes: str | None = None
    where: Position | str = field(default="the site", compare=False)

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.file, self.env, self.kubernetes)) != 1:
            raise ValueError("exactly one of file, env and kubernetes is given")


@dataclass(frozen=True, slots=True)
class SiteDoor:
    """What the site says of a front door; None where it leaves the choice to us."""

    host: str | None = None
    port: int | None = None
    bind: str | None = None
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A checked site file. Only what the site gives: defaults of values stay in the graph. `variant` "" is the graph
    itself, None is left open.

    `secrets` is keyed by a secret's name or by `EXTERNAL.FIELD`; `doors` by the doors the site mentions (this is
    what opens an optional one); `placement` by "services.NAME" or "jobs.NAME".
    """

    name: str | None = None
    target: str | None = None
    variant: str | None = None
    namespace: str | None = None
    context: str | None = None
    values: Mapping[str, str | int | float | bool] = field(default_factory=lambda: MappingProxyType({}))
    secrets: Mapping[str, SecretSource] = field(default_factory=lambda: MappingProxyType({}))
    doors: Mapping[str, SiteDoor] = field(default_factory=lambda: MappingProxyType({}))
    externals: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    storage: Mapping[str, Mapping[str, str | bool]] = field(default_factory=lambda: MappingProxyType({}))
    placement: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    timeout_s: float | None = None
