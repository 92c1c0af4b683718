"""Rules inside one node, and the one name space that all nodes share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bundler.errors import Position
from bundler.graphfile import forms, values
from bundler.graphfile.forms import MountText
from bundler.graphfile.scope import NODE_KINDS, SINGULAR, Scope, Workload, as_map
from bundler.graphfile.source import Path, quoted
from bundler.graphfile.types import made_fields
from bundler.graphfile.walk import closest, suggestion

MOUNT_KINDS = ("configs", "secrets", "volumes", "models")
SECRETS_DIR = "/run/secrets"
_OURS = "/.bundle"  # where the helper program and its files are mounted
_SYSTEM = ("/proc", "/sys", "/dev")
_SHM = "/dev/shm"  # noqa: S108 - a path of the container


def check_nodes(scope: Scope) -> None:
    _names(scope)
    for workload in scope.workloads():
        _python(scope, workload)
        _mounts(scope, workload)
        if workload.kind == "services":
            _service(scope, workload)
        else:
            _job(scope, workload)
    for name, config in as_map(scope.data.get("configs")).items():
        if "content" in config and "template" in config:
            message = "template goes with file or dir; placeholders are always read in content"
            scope.report(("configs", name, "template"), message, "leave template out", key=True)
    for name, value in as_map(scope.data.get("values")).items():
        for key, message, hint in values.problems(value):
            path = ("values", name, *key)
            written = scope.walker.source.written(path)
            quote = hint is not None and hint.startswith("quote it") and written is not None
            scope.report(path, message, f'quote it: "{written}"' if quote else hint)


def _names(scope: Scope) -> None:
    first: dict[str, Path] = {}
    for kind in NODE_KINDS:
        for name in scope.declared(kind):
            path = (kind, name)
            if name == "localhost":
                scope.report(path, '"localhost" names the container itself', "give the node another name", key=True)
            if name in first:
                message = f"the name {quoted(name)} is taken by {SINGULAR[str(first[name][0])]}"
                where = scope.walker.source.at(first[name], key=True)
                place = f" in line {where.line}" if isinstance(where, Position) else ""
                scope.report(path, message + place, "all nodes share one name space: rename one of them", key=True)
            first.setdefault(name, path)
    for name, kind in scope.names.items():
        job, _, rank = name.rpartition("-")
        if "workers" in as_map(scope.declared("jobs").get(job)) and re.fullmatch("0|[1-9][0-9]*", rank):
            message = f"{quoted(name)} is the network name of worker {rank} of the job {quoted(job)}"
            scope.report((kind, name), message, "give the node another name", key=True)


def _python(scope: Scope, workload: Workload) -> None:
    """The Python that wheels are chosen for is known without a look into the base."""
    build = as_map(workload.data.get("build"))
    base, version = build.get("base"), build.get("version")
    named = forms.PYTHON_IMAGE.fullmatch(base) if base is not None else None
    path: Path = (*workload.path, "build", "base")
    if base is not None and version is None and named is None:
        scope.report(path, f"the name {base} does not say which Python is in it", 'add the version: version: "3.11"')
    elif named is not None and version is not None and named[1] != version:
        scope.report(path, f"{base} is no image of Python {version}", "leave version out, or name another base")
    elif base is not None and "alpine" in base:
        hint = (
            f"take {base.replace('alpine', 'slim')}" if named else "take an image with glibc, such as python:3.13-slim"
        )
        scope.report(path, f"{base} has musl, and wheels are chosen for glibc", hint)


def _mounts(scope: Scope, workload: Workload) -> None:
    taken: dict[str, str] = {}
    for kind in MOUNT_KINDS:
        for index, mount in enumerate(workload.data.get(kind, ())):
            if not isinstance(mount, MountText):
                continue
            path = (*workload.path, kind, index)
            _mounted_name(scope, workload, kind, mount.name, path)
            target = mount.path or f"{SECRETS_DIR}/{mount.name}"
            _mount_path(scope, kind, target, path)
            _taken(scope, taken, target, f"{kind} {quoted(mount.name)}", path)
    for index, entry in enumerate(workload.data.get("tmpfs", ())):
        place = as_map(entry).get("path") if isinstance(entry, Mapping) else entry
        path = (*workload.path, "tmpfs", index)
        if place == _SHM:
            scope.report(path, f"{_SHM} is there already", "its size is resources: {shm: 1GiB}")
        elif place is not None:
            _mount_path(scope, "tmpfs", place, path)
            _taken(scope, taken, place, "a tmpfs", path)


def _mounted_name(scope: Scope, workload: Workload, kind: str, name: str, path: Path) -> None:
    if name in scope.declared(kind):
        return
    other = scope.names.get(name)
    if other in MOUNT_KINDS:
        message = f"{quoted(name)} is {SINGULAR[other]}, not {SINGULAR[kind]}"
        scope.report(path, message, f"mount it under {other} of {workload.name}")
    elif other is not None:
        message = f"{quoted(name)} is {SINGULAR[other]}, not {SINGULAR[kind]}"
        scope.report(path, message, f"{SINGULAR[other]} is connected to, not mounted")
    elif scope.unknown(name):
        what = SINGULAR[kind].removeprefix("a ").removeprefix("an ")
        hint = closest(name, scope.declared(kind)) or f"declare it: {kind}: {{{name}: {_EXAMPLES[kind]}}}"
        scope.report(path, f"there is no {what} {quoted(name)}", hint)


_EXAMPLES = {"configs": "{file: ./…}", "secrets": "{}", "volumes": "{}", "models": "{from: ./…}"}


def _mount_path(scope: Scope, kind: str, target: str, path: Path) -> None:
    if kind != "secrets" and _inside(target, SECRETS_DIR):
        scope.report(path, f"{target} is kept for secrets", "mount it elsewhere")
    elif _inside(target, _OURS):
        scope.report(path, f"{target} is kept for the tool itself", "mount it elsewhere")
    elif any(_inside(target, system) for system in _SYSTEM):
        scope.report(path, f"{target} belongs to the system in every container", "mount it elsewhere")


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def _taken(scope: Scope, taken: dict[str, str], target: str, what: str, path: Path) -> None:
    if target in taken:
        scope.report(path, f"{target} is taken by {taken[target]}", "one path holds one mount")
    taken.setdefault(target, what)


def _service(scope: Scope, service: Workload) -> None:
    if "parts" in service.raw and "use" not in service.raw:
        message = "parts changes what comes with a component, and none is used"
        scope.report((*service.path, "parts"), message, "write use: NAME@VERSION, or leave it out", key=True)
    if "use" in service.raw:
        return  # its keys are some of a component's, which has a mistake in it
    for key in ("healthcheck", "liveness"):
        check = as_map(service.data.get(key))
        path = (*service.path, key)
        asks = "http" in check or "tcp" in check
        if asks and "port" not in check and "expose" not in service.raw:
            what = "http" if "http" in check else "tcp"
            hint = "name the port the program listens on: expose: {http: 8080}"
            scope.report(path, f"{key}.{what} needs a port, and {service.name} exposes none", hint)
        if "test" in check and "port" in check:
            scope.report((*path, "port"), "a test asks no port", "leave port out", key=True)
        test = check.get("test")
        if test and test[0] in ("CMD", "CMD-SHELL", "NONE"):
            rest = ", ".join(quoted(word) for word in test[1:] if word is not None)
            hints = {
                "CMD": f"write [{rest}]",
                "CMD-SHELL": f'write ["sh", "-c", {rest}]',
                "NONE": f"leave {key} out",
            }
            scope.report((*path, "test", 0), f"{test[0]} is Compose's word, not a program", hints[test[0]])
    _scale(scope, service)
    endpoints = scope.endpoints(service.name)
    for endpoint, fields in as_map(service.data.get("outputs")).items():
        place: Path = (*service.path, "outputs", endpoint)
        if endpoint not in endpoints:
            known = suggestion(endpoint, endpoints, "endpoint: expose names none")
            scope.report(place, f"{service.name} has no endpoint {quoted(endpoint)}", known, key=True)
            continue
        made = made_fields(scope.endpoint_type(service.name, endpoint) or "tcp")
        for field in fields:
            if field in made:
                message = f"{field} is made from the endpoint itself; outputs adds other fields"
                scope.report((*place, field), message, "leave it out", key=True)


def _scale(scope: Scope, service: Workload) -> None:
    scale = as_map(service.data.get("scale"))
    if "min" in scale and "max" in scale and scale["min"] > scale["max"]:
        message = f"scale.min is {scale['min']}, more than scale.max, {scale['max']}"
        scope.report((*service.path, "scale", "min"), message)
    if "cpu" in scale and "cpus" not in as_map(service.raw.get("resources")):
        message = "scale.cpu is a percentage of resources.cpus, which is not given"
        scope.report((*service.path, "scale", "cpu"), message, "write resources: {cpus: 1}")


def _job(scope: Scope, job: Workload) -> None:
    run = job.data.get("run", "manual")
    if run not in ("manual", "install", "upgrade") and (problem := forms.cron_problem(run)):
        scope.report((*job.path, "run"), f"run is {quoted(run)}: {problem}")
    workers = job.data.get("workers")
    parts: list[tuple[Path, Any]] = [((), workers)]
    if isinstance(workers, Mapping):
        parts = [((key,), workers[key]) for key in ("min", "max") if key in workers]
        least, most = (str(workers.get(key, 1)) for key in ("min", "max"))
        if least.isdigit() and most.isdigit() and "max" in workers and int(least) > int(most):
            message = f"workers.min is {least}, more than workers.max, {most}"
            scope.report((*job.path, "workers", "min"), message)
    for inner, part in parts:
        name = str(part)[len("${values.") : -1] if str(part).startswith("${") else None
        value = as_map(scope.data.get("values")).get(name) if name else None
        if value is not None and values.type_of(value) != "integer":
            message = f"{part} is a number of workers, and the value {quoted(name or '')} is no integer"
            scope.report((*job.path, "workers", *inner), message, f"values: {{{name}: {{type: integer, minimum: 1}}}}")
