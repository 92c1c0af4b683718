"""Graph -> Picture."""

from __future__ import annotations

from collections.abc import Mapping

from bundler.model.graph import Condition, Graph, Job, Mount, PythonBuild, Service, Workload
from bundler.pictures import facts
from bundler.pictures.picture import Edge, Kind, Node, Picture, Tie, joined

CONDITIONS = {
    Condition.STARTED: "once started",
    Condition.HEALTHY: "once healthy",
    Condition.COMPLETED: "once completed",
}


def of_graph(graph: Graph, variant: str = "", digests: Mapping[str, str] | None = None) -> Picture:
    """`digests` are those of the images of services and jobs, by node, where the graph comes out of a bundle."""
    starts = {name: number for number, wave in enumerate(graph.waves, 1) for name in wave}
    ids = {
        **{service.name: f"service/{service.name}" for service in graph.services},
        **{job.name: f"job/{job.name}" for job in graph.jobs},
        **{external.name: f"external/{external.name}" for external in graph.externals},
    }
    nodes: list[Node] = []
    edges: list[Edge] = []
    for service in graph.services:
        nodes.append(_service(service, starts.get(service.name), digests or {}))
    for job in graph.jobs:
        nodes.append(_job(job, starts.get(job.name), digests or {}))
    for workload in (*graph.services, *graph.jobs):
        edges += _edges(workload, ids)
    for volume in graph.volumes:
        nodes.append(Node(f"volume/{volume.name}", Kind.VOLUME, volume.name, facts.size(volume.size_bytes)))
    for model in graph.models:
        told = facts.given(source=model.source, license=model.license or "")
        nodes.append(Node(f"model/{model.name}", Kind.MODEL, model.name, "weights", facts=told))
    for external in graph.externals:
        nodes.append(Node(f"external/{external.name}", Kind.EXTERNAL, external.name, external.type))
    for door in graph.doors:
        told = facts.given(to=f"{door.node}.{door.endpoint}", opens="where the site asks for it" * door.optional)
        nodes.append(Node(f"door/{door.name}", Kind.DOOR, door.name, facts=told))
        edges.append(Edge(f"door/{door.name}", f"service/{door.node}", Tie.DOOR, (door.endpoint,), waits=False))
    title = f"{graph.name} {graph.version}" + (f" {variant}" if variant else "")
    return Picture(title, _about(graph), tuple(sorted(nodes, key=lambda node: node.id)), joined(edges))


def counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def mounts(id: str, section: str, mounts: tuple[Mount, ...]) -> list[Edge]:
    return [Edge(id, f"{section}/{mount.name}", Tie.MOUNT, (mount.path,), waits=False) for mount in mounts]


def _about(graph: Graph) -> str:
    parts = ((len(graph.services), "service"), (len(graph.jobs), "job"), (len(graph.doors), "front door"))
    return ", ".join(counted(count, word) for count, word in parts if count) or "nothing is in it yet"


def _service(service: Service, start: int | None, digests: Mapping[str, str]) -> Node:
    ports = [f"{one.name} {one.port}" + (f" ({one.type})" if one.type != one.name else "") for one in service.expose]
    low, high = (service.scale.min, service.scale.max) if service.scale else (1, 1)
    return Node(
        f"service/{service.name}",
        Kind.SERVICE,
        service.name,
        _made_of(service),
        start,
        high > 1,
        (*_image(service, digests), *facts.of_service(ports, service.healthcheck, service.resources, (low, high))),
    )


def _job(job: Job, start: int | None, digests: Mapping[str, str]) -> Node:
    workers = (job.workers.min, job.workers.max) if job.workers else None
    told = facts.of_job(job.run, workers, job.resources, job.timeout_s)
    many = workers is not None and workers[1] != "1"
    caption = facts.when(job.run)
    return Node(f"job/{job.name}", Kind.JOB, job.name, caption, start, many, (*_image(job, digests), *told))


def _made_of(workload: Workload) -> str:
    return facts.image_caption(workload.image) if workload.image is not None else f"built from {_source(workload)}"


def _source(workload: Workload) -> str:
    """The folder that an image is made of; empty where it is not."""
    return workload.build.project if isinstance(workload.build, PythonBuild) else workload.build or ""


def _image(workload: Workload, digests: Mapping[str, str]) -> facts.Facts:
    digest = digests.get(workload.name, "")
    return facts.given(image=workload.image or "", build=_source(workload), digest=digest)


def _edges(workload: Workload, ids: Mapping[str, str]) -> list[Edge]:
    id = ids[workload.name]
    edges = [Edge(id, ids[one.node], Tie.CONNECT, (one.slot,), one.wait) for one in workload.connect]
    edges += [Edge(id, ids[one.node], Tie.ORDER, (CONDITIONS[one.condition],)) for one in workload.depends_on]
    return edges + mounts(id, "volume", workload.volumes) + mounts(id, "model", workload.models)
