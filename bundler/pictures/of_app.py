"""The recorded release and what is observed -> Picture: how a system is where it runs."""

from __future__ import annotations

from bundler.graphfile.edges import waves
from bundler.model.observed import FORWARDED_DOORS, Instance, Observed, State
from bundler.model.release import Release, ReleaseJob, ReleaseService
from bundler.pictures import facts
from bundler.pictures.of_graph import CONDITIONS, counted, mounts
from bundler.pictures.picture import Edge, Health, Kind, Node, Picture, Tie, joined

HEALTH = {
    State.CREATED: Health.STARTING,
    State.STARTING: Health.STARTING,
    State.RUNNING: Health.WELL,
    State.HEALTHY: Health.WELL,
    State.UNHEALTHY: Health.ILL,
    State.RESTARTING: Health.ILL,
    State.COMPLETED: Health.WELL,
    State.FAILED: Health.ILL,
    State.STOPPED: Health.ILL,
}
_WORST_FIRST = (Health.ILL, Health.ABSENT, Health.STARTING, Health.WELL)


def of_app(release: Release, observed: Observed, place: str) -> Picture:
    """`place` is the target's name."""
    ids = {workload.name: workload.resource for workload in release.workloads}
    starts = _starts(release)
    nodes: list[Node] = []
    edges: list[Edge] = []
    for service in release.services:
        nodes.append(_service(service, release, observed, starts.get(service.name)))
    for job in release.jobs:
        nodes.append(_job(job, release, observed, starts.get(job.name)))
    for workload in release.workloads:
        edges += mounts(workload.resource, "volume", workload.volumes)
        edges += mounts(workload.resource, "model", workload.models)
    for edge in release.edges:
        id = ids.get(edge.node, f"external/{edge.node}")
        tie = Tie.CONNECT if edge.condition is None else Tie.ORDER
        label = edge.slot if edge.condition is None else CONDITIONS[edge.condition]
        edges.append(Edge(ids[edge.consumer], id, tie, (label,), edge.waits))
        if edge.external and not any(node.id == id for node in nodes):
            nodes.append(Node(id, Kind.EXTERNAL, edge.node, edge.external))
    for volume in release.volumes:
        there = observed.thing(f"volume/{volume.name}")
        state = (None, "") if there and not there.foreign else (Health.ABSENT, "not there")
        caption = facts.size(volume.size_bytes)
        nodes.append(Node(f"volume/{volume.name}", Kind.VOLUME, volume.name, caption, health=state[0], state=state[1]))
    for model in release.models:
        told = facts.given(license=model.license or "", digest=model.image.digest.short)
        nodes.append(Node(f"model/{model.name}", Kind.MODEL, model.name, "weights", facts=told))
    for door in release.doors:
        forwarded = door.host is None and FORWARDED_DOORS in observed.host.features
        told = facts.given(address="" if forwarded else door.url)
        nodes.append(Node(f"door/{door.name}", Kind.DOOR, door.name, facts=told))
        edges.append(Edge(f"door/{door.name}", f"service/{door.node}", Tie.DOOR, waits=False))
    nodes.sort(key=lambda node: node.id)
    variant = f" {release.variant}" if release.variant else ""
    title = f"{release.app}: {release.bundle} {release.version}{variant} on {place}"
    return Picture(title, _about(nodes), tuple(nodes), joined(edges), place)


def _about(nodes: list[Node]) -> str:
    services = [node for node in nodes if node.kind is Kind.SERVICE]
    well = sum(node.health is Health.WELL for node in services)
    ill = [node.name for node in nodes if node.health is Health.ILL]
    return f"{well} of {counted(len(services), 'service')} well" + (f"; not well: {', '.join(ill)}" if ill else "")


def _starts(release: Release) -> dict[str, int]:
    """Places in the start order; the record says what waits for what."""
    names = [workload.name for workload in release.workloads if not _aside(workload)]
    order = [(edge.consumer, edge.node) for edge in release.edges if edge.waits]
    return {name: number for number, wave in enumerate(waves(names, order), 1) for name in wave}


def _aside(workload: ReleaseService | ReleaseJob) -> bool:
    return isinstance(workload, ReleaseJob) and workload.run not in ("install", "upgrade")


def _service(service: ReleaseService, release: Release, observed: Observed, start: int | None) -> Node:
    instances = observed.of(service.resource)
    health, state = _state(instances) if instances else (Health.ABSENT, "not there")
    ports = [f"{name} {port}" for name, port in service.ports]
    counts = service.min_instances, service.max_instances
    told = facts.of_service(ports, service.healthcheck, service.resources, counts)
    many = service.max_instances > 1
    seen = (*_image(service, release), *told, *_said(instances))
    caption = facts.image_caption(service.image)
    return Node(service.resource, Kind.SERVICE, service.name, caption, start, many, seen, health, state)


def _job(job: ReleaseJob, release: Release, observed: Observed, start: int | None) -> Node:
    instances = observed.of(job.resource)
    health, state = _state(instances) if instances else (None, "")
    workers = (str(job.min_workers), str(job.max_workers)) if job.ranked else None
    told = facts.of_job(job.run, workers, job.resources, job.timeout_s)
    seen = (*_image(job, release), *told, *_said(instances))
    many = job.max_workers > 1
    return Node(job.resource, Kind.JOB, job.name, facts.when(job.run), start, many, seen, health, state)


def _image(workload: ReleaseService | ReleaseJob, release: Release) -> facts.Facts:
    digest = next((image.descriptor.digest.short for image in release.images if image.name == workload.image), "")
    return facts.given(image=workload.image, digest=digest)


def _state(instances: tuple[Instance, ...]) -> tuple[Health, str]:
    """The worst of them, and how many are well where there are several."""
    worst = min((HEALTH[one.state] for one in instances), key=_WORST_FIRST.index)
    words = sorted({str(one.state) for one in instances if HEALTH[one.state] is worst})
    well = sum(HEALTH[one.state] is Health.WELL for one in instances)
    return worst, ", ".join(words) + (f" ({well} of {len(instances)} well)" if len(instances) > 1 else "")


def _said(instances: tuple[Instance, ...]) -> facts.Facts:
    restarts = sum(one.restarts for one in instances)
    details = [one.detail.strip() for one in instances if one.detail.strip() and HEALTH[one.state] is not Health.WELL]
    return facts.given(restarts=str(restarts) if restarts else "", said="\n".join(dict.fromkeys(details)))
