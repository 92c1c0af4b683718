"""What is right and yet no good: the lints of a checked graph.

Reads: a `Graph` and the `Source` that it was read from, components put in; no file.
Writes: `Lint`s, each at the key where it can be mended or opted out of (`noqa`).
Next: `bundle check` and `bundle build` tell them.

Each is worth its line: where a graph may well mean it so, nothing is told. What stands in a component's file is its
author's to mend, and is told of no graph that uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from bundler.errors import Position
from bundler.graphfile import forms, placeholders
from bundler.graphfile.confidential import LOGIN, PLAIN, is_secret
from bundler.graphfile.source import Path, Source, Where
from bundler.graphfile.types import TYPES
from bundler.model.graph import (
    Condition,
    Config,
    External,
    Graph,
    Job,
    Model,
    PythonBuild,
    Secret,
    Service,
    Value,
    Volume,
    Workload,
)

RULES: Mapping[str, str] = {
    "B001": "An opt-out that fits nothing.",
    "B101": "A volume that nothing mounts.",
    "B102": "A config that nothing mounts.",
    "B103": "A secret that nothing mounts or reads.",
    "B104": "A model that nothing mounts.",
    "B105": "A value that nothing reads.",
    "B106": "An external that nothing connects to.",
    "B107": "A service that listens and that nothing reaches: no edge leads to it or from it, no front door.",
    "B201": "A volume that several services write, or several instances of one service.",
    "B202": "A volume whose writers run as different users.",
    "B301": "A service without a health check that others connect to and wait for.",
    "B302": "A service with a front door and without a health check.",
    "B401": "A secret in plain sight: in a variable or an output, where a bundle and every engine show it.",
    "B402": "An image without a tag, or with the tag latest: the next build may pack another.",
    "B403": "Resources that do not bound the memory.",
}
_UNUSED = {
    "volumes": "B101",
    "configs": "B102",
    "secrets": "B103",
    "models": "B104",
    "values": "B105",
    "externals": "B106",
}
UNUSED = frozenset(_UNUSED.values())
_NOBODY = {
    "volumes": "nothing mounts the volume {}",
    "configs": "nothing mounts the config {}",
    "secrets": "nothing mounts or reads the secret {}",
    "models": "nothing mounts the model {}, and it would be packed",
    "values": "nothing reads the value {}",
    "externals": "nothing connects to the external {}",
}
_USE = {
    "volumes": "volumes: [{}:/path]",
    "configs": "configs: [{}:/path]",
    "secrets": "secrets: [{}]",
    "models": "models: [{}:/path]",
    "values": "${{values.{}}}",
    "externals": "connect: {{SLOT: {}}}",
}
_TOLD = 8  # names in one message


@dataclass(frozen=True, slots=True)
class Lint:
    """`path` is what it is about, as the graph has it; `variant`: of which variant's graph, "": of the graph itself."""

    code: str
    where: Where
    path: Path
    message: str
    hint: str
    variant: str = ""


def lints(graph: Graph, source: Source) -> tuple[Lint, ...]:
    """All of one graph, by place; also of what stands in components' files."""
    found = [
        *_unused(graph, source),
        *_unreached(graph, source),
        *_written(graph, source),
        *_unwatched(graph, source),
        *_in_plain_sight(graph, source),
        *_images(graph, source),
        *_unbounded(graph, source),
    ]
    return tuple(sorted(found, key=order))


def joined(found: Mapping[str, Iterable[Lint]], graphs: Mapping[str, Graph], files: Set[str]) -> tuple[Lint, ...]:
    """Those of a graph ("") and its variants as one list, of what stands in one of `files`. What one of them uses is
    used. Else those of a variant are told where the graph itself has none."""
    every = {variant: {(one.code, one.path) for one in ones} for variant, ones in found.items()}
    told: dict[tuple[str, Path], Lint] = {}
    for variant, ones in found.items():
        for one in ones:
            key = (one.code, one.path)
            used = one.code in UNUSED and any(
                key not in every[other] and one.path[1] in _names(graph, str(one.path[0]))
                for other, graph in graphs.items()
            )
            if isinstance(one.where, Position) and one.where.file in files and not used and key not in told:
                message = f"{one.message} (in the variant {variant})" if variant else one.message
                told[key] = replace(one, message=message, variant=variant)
    return tuple(sorted(told.values(), key=order))


def order(lint: Lint) -> tuple[str, int, int, str]:
    where = lint.where
    return (where.file, where.line, where.column, lint.code) if isinstance(where, Position) else ("", 0, 0, where)


def _lint(code: str, source: Source, path: Path, message: str, hint: str) -> Lint:
    return Lint(code, source.at(path, key=True), path, message, hint)


def _names(graph: Graph, section: str) -> Set[str]:
    kinds: Mapping[str, tuple[Volume | Config | Secret | Model | Value | External, ...]] = {
        "volumes": graph.volumes,
        "configs": graph.configs,
        "secrets": graph.secrets,
        "models": graph.models,
        "values": graph.values,
        "externals": graph.externals,
    }
    return {one.name for one in kinds[section]}


def _workloads(graph: Graph) -> Iterator[tuple[Path, Service | Job]]:
    yield from ((("services", each.name), each) for each in graph.services)
    yield from ((("jobs", each.name), each) for each in graph.jobs)


def _unused(graph: Graph, source: Source) -> Iterator[Lint]:
    workloads = [each for _, each in _workloads(graph)]
    read = {(ref.scope, ref.field) for text in _texts(source.data) for ref in placeholders.refs(text)}
    used = {
        "volumes": {mount.name for each in workloads for mount in each.volumes},
        "configs": {mount.name for each in workloads for mount in each.configs},
        "secrets": {mount.name for each in workloads for mount in each.secrets}
        | {name for scope, name in read if scope == "secrets"},
        "models": {mount.name for each in workloads for mount in each.models},
        "values": {name for scope, name in read if scope == "values"},
        "externals": {edge.node for each in workloads for edge in each.connect},
    }
    # Files are not read here; a template among them may name any value or secret.
    hidden = any(config.template and config.content is None for config in graph.configs)
    for section, code in _UNUSED.items():
        if hidden and section in ("values", "secrets"):
            continue
        for name in sorted(_names(graph, section) - used[section]):
            message = _NOBODY[section].format(name)
            hint = f"take it out, or use it: {_USE[section].format(name)}"
            yield _lint(code, source, (section, name), message, hint)


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for part in data.values():
            yield from _texts(part)
    elif isinstance(data, list | tuple):
        for part in data:
            yield from _texts(part)


def _unreached(graph: Graph, source: Source) -> Iterator[Lint]:
    """What listens to nobody, asks others itself, or writes what others mount is a worker."""
    reached = {door.node for door in graph.doors}
    for _, each in _workloads(graph):
        reached |= {edge.node for edge in each.connect} | {before.node for before in each.depends_on}
    mounting: dict[str, set[str]] = {}
    for _, each in _workloads(graph):
        for mount in each.volumes:
            mounting.setdefault(mount.name, set()).add(each.name)
    for service in graph.services:
        works = service.connect or any(len(mounting[one.name]) > 1 for one in service.volumes if not one.read_only)
        if service.expose and not works and service.name not in reached:
            end = f"{service.name}.{service.expose[0].name}"
            hint = f"connect: {{SLOT: {end}}} where it is needed, publish: {{{service.name}: {end}}}, or take it out"
            yield _lint("B107", source, ("services", service.name), f"nothing reaches the service {service.name}", hint)


def _written(graph: Graph, source: Source) -> Iterator[Lint]:
    writers: dict[str, list[tuple[Path, Service | Job]]] = {}
    for path, each in _workloads(graph):
        for name in dict.fromkeys(mount.name for mount in each.volumes if not mount.read_only):
            writers.setdefault(name, []).append((path, each))
    for volume, those in sorted(writers.items()):
        # Jobs come before or after; several services are there at once.
        services = [each.name for _, each in those if isinstance(each, Service)]
        many = [each.name for _, each in those if _instances(each) > 1]
        told = ""
        if len(services) > 1:
            every = "both" if len(services) == 2 else "all"
            told = f"{_listed(services)} {every} write the volume {volume}"
        elif many:
            told = f"each instance of {_listed(many)} writes the volume {volume}"
        place = _place(source, volume, those)
        if told:
            hint = f"mount it read-only where it is only read ({volume}:/path:ro), or give each writer its own volume"
            yield Lint("B201", place, ("volumes", volume), told, hint)
        users = {each.name: uid for _, each in those if (uid := (each.user or "").partition(":")[0]).isdigit()}
        if len({int(uid) for uid in users.values()}) > 1:
            told = ", ".join(f"{name} as {uid}" for name, uid in users.items())
            hint = "one may not write what another has made: give them the same user"
            yield Lint("B202", place, ("volumes", volume), f"different users write the volume {volume}: {told}", hint)


def _place(source: Source, volume: str, those: Iterable[tuple[Path, Workload]]) -> Where:
    """The volume's key; where a component brings it, the first mount that the graph itself writes."""
    places = [source.at(("volumes", volume), key=True)]
    for path, each in those:
        index = next(number for number, mount in enumerate(each.volumes) if mount.name == volume)
        places.append(source.at((*path, "volumes", index), key=True))
    return next((one for one in places if isinstance(one, Position) and one.file == source.file), places[0])


def _instances(workload: Service | Job) -> int:
    if isinstance(workload, Service):
        return workload.scale.max if workload.scale else 1
    most = workload.workers.max if workload.workers else "1"
    return int(most) if most.isdigit() else 1  # else a site says how many


def _listed(names: list[str]) -> str:
    if len(names) > _TOLD:
        names = [*names[: _TOLD - 1], f"{len(names) - _TOLD + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _unwatched(graph: Graph, source: Source) -> Iterator[Lint]:
    waiting: dict[str, list[str]] = {}
    for _, each in _workloads(graph):
        for edge in each.connect:
            if edge.wait and edge.endpoint is not None:
                waiting.setdefault(edge.node, []).append(each.name)
        for before in each.depends_on:
            if before.condition is Condition.HEALTHY:
                waiting.setdefault(before.node, []).append(each.name)
    doors = {door.node: door.name for door in reversed(graph.doors)}
    for service in graph.services:
        if service.healthcheck is not None:
            continue
        path: Path = ("services", service.name)
        http = any(endpoint.type == "http" for endpoint in service.expose)
        hint = f"healthcheck: {'{http: /path}' if http else '{tcp: true}'} says when it is ready"
        if service.name in waiting:
            names = _listed(sorted(set(waiting[service.name])))
            message = f"{names} start as soon as {service.name} runs, ready or not: it has no health check"
            message = message if " and " in names else message.replace(" start ", " starts ", 1)
            yield _lint("B301", source, path, message, hint)
        elif service.name in doors:
            message = (
                f"the front door {doors[service.name]} opens before {service.name} is ready: it has no health check"
            )
            yield _lint("B302", source, path, message, hint)


def _in_plain_sight(graph: Graph, source: Source) -> Iterator[Lint]:
    for path, each in _workloads(graph):
        for variable, text in each.environment:
            login = LOGIN.search(text)
            literal = is_secret(variable) and text and not placeholders.refs(text) and not PLAIN.fullmatch(text)
            if literal or (login and not login[2].startswith("$")):
                what = f"the secret of {variable}" if literal else f"a password in {variable}"
                yield _plain(source, (*path, "environment", variable), what)
        if not isinstance(each, Service):
            continue
        types = {endpoint.name: endpoint.type for endpoint in each.expose}
        for endpoint, fields in each.outputs:
            for field, text in fields:
                if field in TYPES[types[endpoint]].secret and text and not placeholders.refs(text):
                    yield _plain(source, (*path, "outputs", endpoint, field), f"the {field} of {each.name}.{endpoint}")


def _plain(source: Source, path: Path, what: str) -> Lint:
    hint = "declare it: secrets: {NAME: {generate: 24}}, and write ${secrets.NAME}; without generate the site gives it"
    return _lint("B401", source, path, f"{what} is in plain sight, in the bundle too", hint)


def _images(graph: Graph, source: Source) -> Iterator[Lint]:
    for path, each in _workloads(graph):
        base = isinstance(each.build, PythonBuild)
        image = each.build.base if isinstance(each.build, PythonBuild) else each.image
        if image is None or forms.ON_DISK.fullmatch(image) or "@" in image:
            continue
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            told = "has no tag" if not tag else "is whatever is the latest"
            yield _lint(
                "B402",
                source,
                (*path, *(("build", "base") if base else ("image",))),
                f"the image {image} {told}: the next build may pack another",
                "name a version: IMAGE:TAG, or IMAGE@sha256:…",
            )


def _unbounded(graph: Graph, source: Source) -> Iterator[Lint]:
    """Where somebody thought of what it needs, and not of what takes the others down with it."""
    for path, each in _workloads(graph):
        given = each.resources
        if given.memory_bytes is None and (given.cpus or given.shm_bytes or given.gpus):
            message = f"the resources of {each.name} do not bound its memory"
            yield _lint("B403", source, (*path, "resources"), message, "resources: {…, memory: 1GiB}")
