"""Data that has passed every check -> Graph: defaults filled in, conditions chosen, everything sorted.

Nothing is reported here; a mistake that comes this far is a defect of the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bundler.graphfile import edges, nodes, values
from bundler.graphfile.forms import PYTHON_IMAGE, MountText, TargetText
from bundler.graphfile.scope import Scope, as_map, connection, type_of
from bundler.model.graph import (
    Condition,
    Config,
    Connection,
    Dependency,
    Door,
    Endpoint,
    External,
    Gpus,
    Graph,
    Healthcheck,
    Job,
    Model,
    Mount,
    PythonBuild,
    Resources,
    Scale,
    Secret,
    Service,
    Tmpfs,
    Value,
    Volume,
    Workers,
    Workload,
)

TMPFS_BYTES = 64 << 20
PYTHON_VERSION = "3.13"


def build(scope: Scope) -> Graph:
    data = scope.data
    services = tuple(_service(scope, name, part) for name, part in _sorted(data, "services"))
    jobs = tuple(_job(scope, name, part) for name, part in _sorted(data, "jobs"))
    return Graph(
        name=data["bundle"],
        version=data["version"],
        services=services,
        jobs=jobs,
        volumes=tuple(Volume(name, part.get("size")) for name, part in _sorted(data, "volumes")),
        configs=tuple(
            Config(name, part.get("file"), part.get("dir"), part.get("content"), part.get("template", False))
            for name, part in _sorted(data, "configs")
        ),
        secrets=tuple(Secret(name, part.get("generate")) for name, part in _sorted(data, "secrets")),
        models=tuple(Model(name, part["from"], part.get("license")) for name, part in _sorted(data, "models")),
        externals=tuple(External(name, part["as"]) for name, part in _sorted(data, "externals")),
        values=tuple(
            Value(name, {**part, "type": values.type_of(part)}, part.get("default"))
            for name, part in _sorted(data, "values")
        ),
        doors=tuple(_door(name, part) for name, part in _sorted(data, "publish")),
        waves=_waves(services, jobs),
    )


def _sorted(data: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    return sorted(as_map(data.get(section)).items())


def _waves(services: Iterable[Service], jobs: Iterable[Job]) -> tuple[tuple[str, ...], ...]:
    started: list[Workload] = [*services, *(job for job in jobs if job.run in ("install", "upgrade"))]
    order = []
    for workload in started:
        order += [(workload.name, edge.node) for edge in workload.connect if edge.wait and edge.endpoint is not None]
        order += [(workload.name, dependency.node) for dependency in workload.depends_on]
    return edges.waves([workload.name for workload in started], order)


def _workload(scope: Scope, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    resources = as_map(data.get("resources"))
    user = data.get("user")
    return {
        "name": name,
        "image": data.get("image"),
        "build": _build(data.get("build")),
        "entrypoint": tuple(data["entrypoint"]) if "entrypoint" in data else None,
        "command": tuple(data["command"]) if "command" in data else None,
        "working_dir": data.get("working_dir"),
        "environment": tuple(sorted(as_map(data.get("environment")).items())),
        "connect": tuple(_connection(slot, part) for slot, part in sorted(as_map(data.get("connect")).items())),
        "depends_on": tuple(
            Dependency(node, Condition(condition) if condition else edges.usual_condition(scope, node))
            for node, condition in sorted(edges.dependencies(data.get("depends_on")).items())
        ),
        "configs": _mounts(data, "configs", read_only=True),
        "secrets": _mounts(data, "secrets", read_only=True),
        "volumes": _mounts(data, "volumes", read_only=False),
        "models": _mounts(data, "models", read_only=True),
        "user": str(user) if user is not None else None,
        "read_only": data.get("read_only", False),
        "tmpfs": tuple(
            Tmpfs(part["path"], part.get("size", TMPFS_BYTES))
            if isinstance(part, Mapping)
            else Tmpfs(part, TMPFS_BYTES)
            for part in data.get("tmpfs", ())
        ),
        "resources": Resources(
            float(resources["cpus"]) if "cpus" in resources else None,
            resources.get("memory"),
            resources.get("shm"),
            _gpus(resources.get("gpus")),
        ),
        "init": data.get("init", False),
        "cap_add": tuple(sorted(data.get("cap_add", ()))),
        "stop_signal": data.get("stop_signal"),
        "stop_grace_period_s": data.get("stop_grace_period", 30.0),
    }


def _build(part: Any) -> str | PythonBuild | None:
    if not isinstance(part, Mapping):
        return None if part is None else str(part)
    base, version = part.get("base"), part.get("version")
    named = PYTHON_IMAGE.fullmatch(base or "")
    version = version or (named[1] if named else PYTHON_VERSION)
    return PythonBuild(part["python"], base or f"python:{version}-slim", version)


def _service(scope: Scope, name: str, data: Mapping[str, Any]) -> Service:
    exposed = [
        Endpoint(endpoint, part["port"] if isinstance(part, Mapping) else part, type_of(endpoint, part) or "tcp")
        for endpoint, part in as_map(data.get("expose")).items()
    ]
    first = exposed[0].port if exposed else None
    return Service(
        **_workload(scope, name, data),
        expose=tuple(sorted(exposed, key=lambda endpoint: endpoint.name)),
        healthcheck=_healthcheck(data.get("healthcheck"), first),
        liveness=_healthcheck(data.get("liveness"), first),
        scale=_scale(data.get("scale")),
        outputs=tuple(
            (endpoint, tuple(sorted(fields.items())))
            for endpoint, fields in sorted(as_map(data.get("outputs")).items())
        ),
    )


def _job(scope: Scope, name: str, data: Mapping[str, Any]) -> Job:
    workers = data.get("workers")
    if isinstance(workers, Mapping):
        workers = Workers(str(workers.get("min", 1)), str(workers["max"]))
    elif workers is not None:
        workers = Workers(str(workers), str(workers))
    return Job(
        **_workload(scope, name, data),
        run=" ".join(data.get("run", "manual").split()),
        workers=workers,
        retries=data.get("retries", 0),
        timeout_s=data.get("timeout"),
    )


def _connection(slot: str, part: Any) -> Connection:
    target, wait = connection(part)
    if target is None:
        raise AssertionError(f"slot {slot} was not checked")
    return Connection(slot, target.node, target.endpoint, wait)


def _mounts(data: Mapping[str, Any], kind: str, *, read_only: bool) -> tuple[Mount, ...]:
    mounts: list[MountText] = data.get(kind, [])
    return tuple(
        Mount(mount.name, mount.path or f"{nodes.SECRETS_DIR}/{mount.name}", read_only or mount.read_only)
        for mount in mounts
    )


def _gpus(part: Any) -> Gpus | None:
    if part is None:
        return None
    return Gpus(part["count"], part.get("required", True)) if isinstance(part, Mapping) else Gpus(part)


def _healthcheck(part: Any, first_port: int | None) -> Healthcheck | None:
    if part is None:
        return None
    test = tuple(part["test"]) if "test" in part else None
    return Healthcheck(
        http=part.get("http"),
        tcp=part.get("tcp", False),
        test=test,
        port=None if test else part.get("port", first_port),
        interval_s=part.get("interval", 10.0),
        timeout_s=part.get("timeout", 5.0),
        retries=part.get("retries", 3),
        start_period_s=part.get("start_period", 30.0),
    )


def _scale(part: Any) -> Scale | None:
    if part is None:
        return None
    least = part.get("min", 1 if part.get("max", 1) >= 1 else part["max"])
    return Scale(least, part.get("max", least), part.get("cpu"))


def _door(name: str, part: Any) -> Door:
    target: TargetText = part if isinstance(part, TargetText) else part["to"]
    optional = part.get("optional", False) if isinstance(part, Mapping) else False
    return Door(name, target.node, target.endpoint or "", optional)
