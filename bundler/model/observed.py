"""What a target shows of one app at one moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bundler.model.oci import Digest, Platform


class State(StrEnum):
    """Of an instance. `RUNNING` has no health check to pass; `STARTING` has one and has not passed it."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    COMPLETED = "completed"  # ended with exit status 0
    FAILED = "failed"  # ended otherwise
    STOPPED = "stopped"  # a service that ended and is not coming back by itself


@dataclass(frozen=True, slots=True)
class Instance:
    """A container or pod of ours. `resource` is "service/api" or "job/ingest"; `spec` the digest its
    label carries, `parts` the same in pieces (JSON), where the target keeps them; `detail` the last
    health or exit message; `stuck`: it cannot start for a reason that does not pass by itself."""

    resource: str
    id: str
    name: str
    index: int
    spec: str
    state: State
    detail: str = ""
    exit_code: int | None = None
    started_at: str = ""
    restarts: int = 0
    parts: str = ""
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """Anything else of ours: "network", "volume/data", "files/api", "image/embedder", "secrets",
    "record/3". `spec` is its label's digest or identity, `name` the target's own name for it;
    `foreign` is set where the name is taken by something that is not ours, `owner` then says whose it is
    ("app search on docker"), where that is known; `shared` where something that is not this app's uses it too; `edits`
    tells what others have set in it, where the target knows."""

    resource: str
    name: str
    spec: str
    foreign: bool = False
    shared: bool = False
    owner: str = ""
    edits: str = ""


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """A front door of ours that is taken; `node` is the service behind it."""

    name: str
    bind: str
    host_port: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A release as recorded on the target; `document` is `Release.record`, and may be empty of all but the newest."""

    revision: int
    document: str


FORWARDED_DOORS = "forwarded-doors"  # feature: a door without a host name is open while `bundle open` runs
UNKNOWN_PLATFORM = "unknown-platform"  # feature: nobody may see which it is, and `Host.platform` is a guess


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the target. `features` is a closed vocabulary per adapter ("image-mount", "nvidia"), of which the
    core knows FORWARDED_DOORS and UNKNOWN_PLATFORM; `taken_ports` are the host ports that something else has, as far
    as the target tells."""

    platform: Platform
    engine: str
    version: str
    features: frozenset[str] = frozenset()
    taken_ports: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed:
    """`hidden`: why records and secrets could not be read; empty where they were."""

    app: str
    host: Host
    instances: tuple[Instance, ...] = ()
    things: tuple[Thing, ...] = ()
    doors: tuple[OpenDoor, ...] = ()
    records: tuple[Record, ...] = ()  # oldest first
    hidden: str = ""

    @property
    def record(self) -> Record | None:
        return self.records[-1] if self.records else None

    def of(self, resource: str) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.instances if instance.resource == resource)

    def lacks(self, volumes: Iterable[str]) -> bool:
        """Whether one of these volumes is not there: what a job once did in it is gone, too."""
        return any(self.thing(f"volume/{name}") is None for name in volumes)

    def thing(self, resource: str) -> Thing | None:
        return next((thing for thing in self.things if thing.resource == resource), None)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret as the target keeps it."""

    revision: str
    value: bytes

    def __repr__(self) -> str:
        return f"StoredSecret(revision={self.revision!r}, value=…)"


@dataclass(frozen=True, slots=True)
class AppSummary:
    """One line of `bundle list`. `namespace`: which part of the target it is in, where that has parts."""

    app: str
    bundle: str
    version: str
    root: Digest | None
    instances: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """`time` is RFC 3339 UTC as the engine gives it."""

    time: str
    service: str
    instance: int
    text: str
