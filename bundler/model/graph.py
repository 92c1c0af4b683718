"""The graph as the checker leaves it: every key understood, every default filled in, every name resolved.

Texts that may hold `${a.b}` stay raw here; `graphfile.placeholders` reads them. Units are in the names.
Ordering: every tuple of named things is sorted by name, except where the file's order has a meaning
(`command`, `entrypoint`, mounts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """When a dependency is satisfied (Compose's three words)."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that a service listens on. `type` is a known type ("http", "postgres" ...) or "tcp"."""

    name: str
    port: int
    type: str


@dataclass(frozen=True, slots=True)
class Connection:
    """An edge, as its consumer writes it: `slot: node.endpoint`, or `slot: external` (endpoint None)."""

    slot: str
    node: str
    endpoint: str | None
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Dependency:
    """Order without an address."""

    node: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Mount:
    """`name:/path[:ro]` of a volume, config or model; a secret's path is /run/secrets/NAME unless given."""

    name: str
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Tmpfs:
    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Exactly one of `http` (a path), `tcp`, `test` (an argument list run in the container)."""

    http: str | None
    tcp: bool
    test: tuple[str, ...] | None
    port: int | None
    interval_s: float = 10.0
    timeout_s: float = 5.0
    retries: int = 3
    start_period_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Gpus:
    count: int
    required: bool = True


@dataclass(frozen=True, slots=True)
class Resources:
    cpus: float | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    gpus: Gpus | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    min: int
    max: int
    cpu: int | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """Texts, because a site value may decide them ("4", "${values.train_workers}")."""

    min: str
    max: str


@dataclass(frozen=True, slots=True)
class PythonBuild:
    """A Python project, put on a base without a Dockerfile. `project` is its directory, relative to the graph file,
    `base` what `image` could be, `version` that of its Python, such as "3.13"."""

    project: str
    base: str
    version: str


@dataclass(frozen=True, slots=True)
class Workload:
    """What services and jobs share. Exactly one of `image` and `build` is given.

    `build` is the path of a directory with a Dockerfile, relative to the graph file, or a Python project.
    `entrypoint` and `command` are None where the image's own hold. `user` is "uid" or "uid:gid", or a
    name that the image's passwd resolves at pack.
    """

    name: str
    image: str | None
    build: str | PythonBuild | None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_dir: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    connect: tuple[Connection, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    configs: tuple[Mount, ...] = ()
    secrets: tuple[Mount, ...] = ()
    volumes: tuple[Mount, ...] = ()
    models: tuple[Mount, ...] = ()
    user: str | None = None
    read_only: bool = False
    tmpfs: tuple[Tmpfs, ...] = ()
    resources: Resources = Resources()
    init: bool = False
    cap_add: tuple[str, ...] = ()
    stop_signal: str | None = None
    stop_grace_period_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Service(Workload):
    expose: tuple[Endpoint, ...] = ()
    healthcheck: Healthcheck | None = None
    liveness: Healthcheck | None = None
    scale: Scale | None = None
    outputs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()  # (endpoint, ((field, text), ...))


@dataclass(frozen=True, slots=True)
class Job(Workload):
    """`run` is "manual", "install", "upgrade", or a cron line of five fields."""

    run: str = "manual"
    workers: Workers | None = None
    retries: int = 0
    timeout_s: float | None = None

    @property
    def cron(self) -> bool:
        return self.run not in ("manual", "install", "upgrade")


@dataclass(frozen=True, slots=True)
class Volume:
    name: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Config:
    """Exactly one of `file`, `dir` (paths relative to the graph file) and `content` is given."""

    name: str
    file: str | None
    dir: str | None
    content: str | None
    template: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """`generate` characters of A-Z a-z 0-9 are made at the site; None: the site must give it."""

    name: str
    generate: int | None


@dataclass(frozen=True, slots=True)
class Model:
    """`source` is a path relative to the graph file, or a registry reference."""

    name: str
    source: str
    license: str | None = None


@dataclass(frozen=True, slots=True)
class External:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Value:
    """A knob: a JSON Schema fragment; `default` is None where the site must give it."""

    name: str
    schema: Mapping[str, object]
    default: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Door:
    """A published endpoint. An optional one opens only where the site asks for it."""

    name: str
    node: str
    endpoint: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole system. `waves` are the start order: every node of a wave may start once the waves
    before it are ready; services and jobs with `run: install|upgrade` are in it, others are not."""

    name: str
    version: str
    services: tuple[Service, ...] = ()
    jobs: tuple[Job, ...] = ()
    volumes: tuple[Volume, ...] = ()
    configs: tuple[Config, ...] = ()
    secrets: tuple[Secret, ...] = ()
    models: tuple[Model, ...] = ()
    externals: tuple[External, ...] = ()
    values: tuple[Value, ...] = ()
    doors: tuple[Door, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()
