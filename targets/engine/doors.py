"""Whether front doors can be opened where a site wants them, told while the containers of before still run."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bundler.edges import ports
from bundler.errors import TargetError
from bundler.model.plan import Note, Step, Verdict
from targets import ownership, tar
from targets.engine.api import Engine, Json
from targets.engine.fill import architecture, helper_image, made
from targets.helper import ARCHITECTURES, MOUNT_PATH, binary

Doors = dict[str, tuple[str, int]]  # address and host port, by name

_TAKEN = re.compile("port is already allocated|address already in use")


def check(engine: Engine, steps: Sequence[Step]) -> tuple[Note, ...]:
    """Refuses addresses that the engine's machine does not have, where that is this one."""
    found = [(step.resource, name, bind) for step in steps for name, (bind, _) in _wanted(step).items()]
    if not found or not engine.here:
        return ()
    reason = "this machine has no address {bind}; choose one that it has: --set publish.{name}.bind=…"
    return tuple(
        Note(resource, f"publish {name}", Verdict.REFUSED, reason.format(bind=bind, name=name))
        for resource, name, bind in sorted(found)
        if not ports.has_address(bind)
    )


def prove(engine: Engine, target: str, step: Step) -> None:
    """Opens new doors of a service that is there already, for a moment and in a container of their own: only the engine
    knows what its machine lets it open. Raises TargetError where it cannot."""
    wanted, app, machine = _wanted(step), str(step.payload["app"]), architecture(engine)
    if not wanted or machine not in ARCHITECTURES:
        return
    name = ownership.successor(ownership.container(app, step.resource.partition("/")[2]))
    stale = engine.container(name)
    if stale is not None and ownership.ours(stale["Config"].get("Labels"), target, app):
        engine.remove(stale["Id"])
    there = [one for one in engine.containers() if _is_of(one.get("Labels") or {}, target, app, step.resource)]
    before = {door for one in there for door in _labelled(one).values()}
    new = {door: place for door, place in wanted.items() if place not in before}
    if not there or not new:
        return
    held = {port for _, port in before}
    body = {
        "Image": helper_image(engine, ownership.labels(target, app, step.resource, "")),
        "Entrypoint": [MOUNT_PATH, "version"],
        "Labels": ownership.labels(target, app, step.resource, ""),
        "ExposedPorts": {"1/tcp": {}},
        "HostConfig": {
            "NetworkMode": ownership.network(app),
            "PortBindings": {
                "1/tcp": [
                    {"HostIp": bind, "HostPort": "" if port in held else str(port)} for bind, port in new.values()
                ]
            },
        },
    }
    container = made(engine, name, body)
    folder, program = posixpath.split(MOUNT_PATH.removeprefix("/"))
    members = [tar.directory(folder), tar.file(f"{folder}/{program}", binary(machine), mode=0o555)]
    try:
        engine.put(container, "/", tar.whole(members))
        _open(engine, container, new)
    finally:
        engine.remove(container)


@contextmanager
def explained(step: Step) -> Iterator[None]:
    """A port that was free when the plan was made, and is not when the container starts, in words for people."""
    try:
        yield
    except TargetError as error:
        if not (_wanted(step) and _TAKEN.search(error.what)):
            raise
        hint = "run the same command again: where the site names no port, the next free one is taken"
        told = f"front door {_places(_wanted(step))}: something else has taken the port meanwhile"
        raise TargetError(told, hint=hint) from error


def _open(engine: Engine, container: str, doors: Doors) -> None:
    try:
        engine.start(container)
    except TargetError as error:
        hint = f"what runs goes on as it is; choose another place: --set publish.{min(doors)}.bind=…, or .port=…"
        raise TargetError(f"front door {_places(doors)} cannot be opened: {error.what}", hint=hint) from error


def _places(doors: Doors) -> str:
    return ", ".join(f"{name} at {_shown(bind)}:{port}" for name, (bind, port) in sorted(doors.items()))


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _wanted(step: Step) -> Doors:
    return _read(step.payload.get("doors") or {})  # type: ignore[arg-type]  # JSON


def _labelled(container: Json) -> Doors:
    return _read(json.loads((container.get("Labels") or {}).get(ownership.DOORS, "{}")))


def _read(doors: Json) -> Doors:
    return {name: (str(bind), int(port)) for name, (bind, port) in doors.items()}


def _is_of(labels: Json, target: str, app: str, resource: str) -> bool:
    return ownership.ours(labels, target, app) and labels.get(ownership.RESOURCE) == resource
