"""One snapshot of an app on an engine, from a handful of requests.

Four lists (containers, volumes, networks, images of bundles) say what is there and whose it is; each container of the
app is then looked at for its health and exit. What carries a name of ours and not our labels is foreign.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.edges import ports
from bundler.model.observed import AppSummary, Host, Instance, Observed, OpenDoor, Record, State, Thing
from bundler.model.oci import Digest, Platform
from targets import ownership
from targets.engine import claims, delivery, workloads
from targets.engine.api import Engine, Json

DOOR_PORTS = range(8080, 8181)
BUNDLE_IMAGES = "bundle.local/*/*"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_NUMBER = "com.docker.compose.container-number"
LEFTOVER = "leftover/"  # a container that was to take another's place, or to fill or read a volume

_AUXILIARY = re.compile(
    rf"(?:{re.escape(ownership.SUCCESSOR)}|{re.escape(ownership.FILLER)}\d*|{re.escape(ownership.READER)}[0-9a-f]+)\Z"
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_VARIANTS = {"armv7l": "v7"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lists, as the engine gives them."""

    containers: list[Json]
    volumes: list[Json]
    networks: list[Json]
    images: list[Json]


def observe(engine: Engine, target: str, app: str) -> Observed:
    images = engine.images(BUNDLE_IMAGES)  # first: who loads one has claimed it before, and nobody did so by hand
    found = Snapshot(engine.containers(), engine.volumes(), engine.networks(app), images)
    mine = [c for c in found.containers if ownership.ours(c.get("Labels"), target, app)]
    network = next((n["Id"] for n in found.networks if n["Name"] == ownership.network(app)), None)
    instances = [
        _instance(looked, attached=is_attached(looked, app, network))
        for listed in mine
        if not _auxiliary(_name(listed)) and (looked := engine.container(listed["Id"])) is not None
    ]
    return Observed(
        app=app,
        host=_host(engine, found, mine),
        instances=tuple(sorted(instances, key=lambda one: (one.resource, one.index, one.name))),
        things=tuple(sorted(_things(found, mine, target, app), key=lambda thing: (thing.resource, thing.name))),
        doors=tuple(sorted(_doors(mine), key=lambda door: door.name)),
        records=tuple(sorted(_records(found, target, app), key=lambda record: record.revision)),
    )


def apps(engine: Engine, target: str) -> tuple[AppSummary, ...]:
    """Every app that has a container or a volume here."""
    running: dict[str, int] = {}
    for container in engine.containers():
        labels = container.get("Labels") or {}
        if labels.get(ownership.TARGET) == target and ownership.APP in labels:
            named = running.setdefault(labels[ownership.APP], 0)
            if container.get("State") == "running" and not _auxiliary(_name(container)):
                running[labels[ownership.APP]] = named + 1
    newest: dict[str, tuple[int, Mapping[str, str]]] = {}
    for volume in engine.volumes():
        labels = volume.get("Labels") or {}
        if labels.get(ownership.TARGET) != target or ownership.APP not in labels:
            continue
        app, revision = labels[ownership.APP], _revision(labels)
        known = newest.setdefault(app, (-1, {}))
        if revision is not None:
            newest[app] = max(known, (revision, labels), key=lambda pair: pair[0])
    summaries = []
    for app in sorted({*running, *newest}):
        _, recorded = newest.get(app, (-1, {}))
        root = Digest(recorded[ownership.ROOT]) if ownership.ROOT in recorded else None
        bundle, version = recorded.get(ownership.BUNDLE, ""), recorded.get(ownership.VERSION, "")
        summaries.append(AppSummary(app, bundle, version, root, running.get(app, 0)))
    return tuple(summaries)


def members(engine: Engine, target: str, app: str, service: str | None) -> list[tuple[str, str, int]]:
    """(container id, node, index) of the app's containers, or of one service or job of it."""
    found = []
    for listed in engine.containers():
        labels = listed.get("Labels") or {}
        if ownership.ours(labels, target, app) and not _auxiliary(_name(listed)):
            node = labels.get(ownership.RESOURCE, "").partition("/")[2]
            if service in (None, node):
                found.append((listed["Id"], node, _index(labels)))
    return sorted(found, key=lambda one: one[1:])


def _auxiliary(name: str) -> bool:
    """Whether a container is one of ours that is no instance of anything."""
    return _AUXILIARY.search(name) is not None


def _name(listed: Mapping[str, Any]) -> str:
    names = listed.get("Names") or [""]
    return str(names[0]).removeprefix("/")


def _index(labels: Mapping[str, str]) -> int:
    if ownership.INDEX in labels:
        return int(labels[ownership.INDEX])
    return int(labels.get(COMPOSE_NUMBER, "1")) - 1


# instances


def is_attached(container: Json, app: str, network: str | None) -> bool:
    """Whether a container, as listed or looked at, is on the app's network: on that one, not an earlier of its name.
    One that was never started does not say."""
    end = ((container.get("NetworkSettings") or {}).get("Networks") or {}).get(ownership.network(app))
    return end is not None and end.get("NetworkID") in ("", None, network)


def _instance(container: Json, *, attached: bool) -> Instance:
    """A service that was cut off from the network is as good as changed."""
    labels = container["Config"].get("Labels") or {}
    resource = labels.get(ownership.RESOURCE, "")
    state = container["State"]
    judged = _state(state, job=resource.startswith("job/"))
    cut_off = not attached and resource.startswith("service/")
    ended = judged in (State.COMPLETED, State.FAILED, State.STOPPED, State.RESTARTING)
    return Instance(
        resource=resource,
        id=container["Id"],
        name=container["Name"].removeprefix("/"),
        index=_index(labels),
        spec="" if cut_off else labels.get(ownership.SPEC, ""),
        state=judged,
        detail=_detail(state, judged),
        exit_code=state.get("ExitCode") if ended else None,
        started_at=state.get("StartedAt", "") if state["Status"] != "created" else "",
        restarts=container.get("RestartCount", 0),
        parts=ownership.canonical({**_parts(labels), "network": ""}) if cut_off else labels.get(ownership.PARTS, ""),
    )


def _parts(labels: Mapping[str, str]) -> Mapping[str, object]:
    try:
        parts = json.loads(labels.get(ownership.PARTS, ""))
    except ValueError:
        return {}
    return parts if isinstance(parts, dict) else {}


def _state(state: Mapping[str, Any], *, job: bool) -> State:
    match state["Status"]:
        case "created":
            return State.CREATED
        case "restarting":
            return State.RESTARTING
        case "running":
            health = (state.get("Health") or {}).get("Status", "none")
            return _HEALTH.get(health, State.RUNNING)
        case "exited" | "dead" | "removing" if job:
            return State.COMPLETED if state.get("ExitCode") == 0 and state["Status"] == "exited" else State.FAILED
        case _:
            return State.STOPPED


_HEALTH = {"starting": State.STARTING, "healthy": State.HEALTHY, "unhealthy": State.UNHEALTHY}


def _detail(state: Mapping[str, Any], judged: State) -> str:
    """The engine's error, the last health check's words, or how it ended."""
    if judged in (State.STARTING, State.UNHEALTHY):
        log = (state.get("Health") or {}).get("Log") or []
        return " ".join(str(log[-1].get("Output", "")).split())[:300] if log else ""
    if judged in (State.FAILED, State.STOPPED, State.RESTARTING, State.CREATED):
        if state.get("Error"):
            return " ".join(str(state["Error"]).split())
        if state.get("OOMKilled"):
            return "ended for want of memory"
        if judged is not State.CREATED:
            return f"exit status {state.get('ExitCode')}"
    return ""


# things


def _things(found: Snapshot, mine: list[Json], target: str, app: str) -> Iterator[Thing]:
    prefix = f"{app}_"
    for container in mine:
        if _auxiliary(name := _name(container)):
            yield Thing(LEFTOVER + name, name, "")
    for volume in found.volumes:
        labels, name = volume.get("Labels") or {}, volume["Name"]
        if ownership.ours(labels, target, app):
            yield Thing(labels.get(ownership.RESOURCE, ""), name, labels.get(ownership.SPEC, ""))
        elif name.startswith(prefix):
            yield Thing(f"volume/{name.removeprefix(prefix)}", name, "", foreign=True, owner=ownership.owner(labels))
    for network in found.networks:
        if network["Name"] == ownership.network(app):
            labels = network.get("Labels") or {}
            foreign = not ownership.ours(labels, target, app)
            spec, owner = labels.get(ownership.SPEC, ""), ownership.owner(labels) if foreign else ""
            yield Thing("network", network["Name"], spec, foreign=foreign, owner=owner)
    for container in found.containers:
        labels, name = container.get("Labels") or {}, _name(container)
        project = labels.get(COMPOSE_PROJECT)
        if not ownership.ours(labels, target, app) and (name.startswith(f"{app}-") or project == app):
            yield Thing(f"container/{name}", name, project or "", foreign=True, owner=ownership.owner(labels))
    yield from _images(found, mine, target, app)


def _images(found: Snapshot, mine: list[Json], target: str, app: str) -> Iterator[Thing]:
    """Images of bundles. Those that this app has not brought are foreign to it; one is shared where another app brings
    it too or is just letting go of it, or a container of somebody else's needs it and it has no other name."""
    claimed: set[str] = set()
    others: set[str] = set()
    for volume in found.volumes:
        labels = volume.get("Labels") or {}
        if ownership.IMAGES in labels:
            own = ownership.ours(labels, target, app)
            (claimed if own else others).update(json.loads(labels[ownership.IMAGES]))
    ids = {container["Id"] for container in mine}
    used = {container.get("ImageID") for container in found.containers if container["Id"] not in ids}
    for image in found.images:
        names, labels = image.get("RepoTags") or (), image.get("Labels") or {}
        references = {claims.own_name(name) for name in names}
        going = references - set(names)
        needed = image["Id"] in used and len(references) == 1
        for reference in sorted(references):
            if labels.get(ownership.RESOURCE) == delivery.HELPER:
                if ownership.ours(labels, target, app):
                    yield Thing(delivery.HELPER, reference, image["Id"])
            elif reference.startswith("bundle.local/"):
                yield Thing(
                    f"image/{reference}",
                    reference,
                    image["Id"],
                    foreign=reference not in claimed,
                    shared=reference in others or reference in going or needed,
                )


def _records(found: Snapshot, target: str, app: str) -> Iterator[Record]:
    for volume in found.volumes:
        labels = volume.get("Labels") or {}
        revision = _revision(labels)
        if revision is not None and ownership.ours(labels, target, app):
            yield Record(revision, labels[ownership.RECORD])


def _revision(labels: Mapping[str, str]) -> int | None:
    kind, _, number = labels.get(ownership.RESOURCE, "").partition("/")
    return int(number) if kind == "record" and number.isdigit() and ownership.RECORD in labels else None


def _doors(mine: Iterable[Json]) -> Iterator[OpenDoor]:
    for container in mine:
        labels = container.get("Labels") or {}
        if ownership.DOORS in labels and not _auxiliary(_name(container)):
            node = labels.get(ownership.RESOURCE, "").partition("/")[2]
            for name, (bind, port) in json.loads(labels[ownership.DOORS]).items():
                yield OpenDoor(name, bind, port, node)


# the host


def _host(engine: Engine, found: Snapshot, mine: list[Json]) -> Host:
    info = engine.info
    machine = str(info["Architecture"])
    platform = Platform(info.get("OSType", "linux"), _ARCHITECTURES.get(machine, machine), _VARIANTS.get(machine, ""))
    own_ids = {container["Id"] for container in mine}
    own = _published(c for c in found.containers if c["Id"] in own_ids)
    others = _published(c for c in found.containers if c["Id"] not in own_ids)
    listening: frozenset[int] = frozenset()
    if engine.local:
        listening = ports.listening() - own | ports.taken(port for port in DOOR_PORTS if port not in own)
    return Host(platform, "docker", info.get("ServerVersion", ""), _features(engine), listening | others)


def _features(engine: Engine) -> frozenset[str]:
    info, api = engine.info, engine.api_version
    runtimes = set(info.get("Runtimes") or ())
    cdi = any("nvidia" in str(device) for device in info.get("DiscoveredDevices") or ())
    features = {
        workloads.IMAGE_MOUNT: api >= (1, 48),
        workloads.SUBPATH: api >= (1, 45),
        workloads.START_INTERVAL: api >= (1, 44),
        workloads.NVIDIA: "nvidia" in runtimes or cdi,
        workloads.LOG_ROTATION: info.get("LoggingDriver") == "json-file",
        workloads.NO_MEMORY_LIMIT: not info.get("MemoryLimit", True),
        workloads.NO_CPU_LIMIT: not info.get("CpuCfsQuota", True),
        delivery.CONTAINERD_STORE: engine.containerd_store,
    }
    return frozenset(name for name, has in features.items() if has)


def _published(containers: Iterable[Json]) -> set[int]:
    """Host ports with TCP on them; doors know nothing else."""
    ports = [port for container in containers for port in container.get("Ports") or ()]
    return {port["PublicPort"] for port in ports if "PublicPort" in port and port.get("Type", "tcp") == "tcp"}
