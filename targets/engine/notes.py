"""What an engine answers to features it honours otherwise than asked, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.model.bundle import for_platform
from bundler.model.observed import Observed
from bundler.model.plan import Note, Verdict
from bundler.model.release import Release, ReleaseJob, ReleaseService, Workload
from targets import ownership
from targets.engine import workloads


def notes(release: Release, observed: Observed, names: frozenset[str], *, owns_project: bool) -> tuple[Note, ...]:
    """Sorted by resource. `names` are all those that the release would give to things; `owns_project`: it would also
    be the Compose project of its name."""
    found = [*_images(release, observed), *_volumes(release), *_foreign(observed, names, owns_project=owns_project)]
    if workloads.NO_COMPOSE in observed.host.features:
        reason = "the docker program or its Compose plugin is not installed here; install both (Compose 2.24 or newer)"
        found.append(Note("app", "compose", Verdict.REFUSED, reason))
    for workload in release.workloads:
        found += _limits(workload, observed)
        found += _placement(release, workload)
    for service in release.services:
        found += _service(service, observed)
    for job in release.jobs:
        found += _job(job, observed)
    return tuple(sorted(found, key=lambda note: (note.resource, note.feature, note.reason)))


def _images(release: Release, observed: Observed) -> Iterator[Note]:
    for image in release.images:
        if for_platform(image.platforms, observed.host.platform) is None:
            has = ", ".join(str(one.platform) for one in image.platforms)
            yield Note(
                f"image/{image.name}", "platform", Verdict.REFUSED, f"no {observed.host.platform} in it, only {has}"
            )


def _volumes(release: Release) -> Iterator[Note]:
    for volume in release.volumes:
        resource = f"volume/{volume.name}"
        if ownership.RESERVED_VOLUMES.fullmatch(volume.name):
            yield Note(resource, "name", Verdict.REFUSED, "this target keeps its own things under that name; rename it")
        if volume.name in dict(release.storage):
            yield Note(resource, "storage", Verdict.ADAPTED, "an engine has no classes; its volumes lie in one place")
        if volume.size_bytes is not None:
            yield Note(resource, "size", Verdict.ADAPTED, "the engine's local volumes have no size limit")


def _foreign(observed: Observed, names: frozenset[str], *, owns_project: bool) -> Iterator[Note]:
    """Names that this release needs and something else has."""
    for thing in observed.things:
        if not thing.foreign or thing.resource.startswith("image/"):
            continue
        kind = thing.resource.partition("/")[0]
        in_project = owns_project and kind == "container" and thing.spec == observed.app
        if thing.name in names or in_project:
            whose = f"belongs to {thing.owner}" if thing.owner else "is there and not this app's"
            reason = f"{kind} {thing.name} {whose}; choose another --app name"
            yield Note(thing.resource, "name", Verdict.REFUSED, reason)


def _service(service: ReleaseService, observed: Observed) -> Iterator[Note]:
    resource, count = service.resource, workloads.instances(service)
    if service.doors and service.max_instances > 1:
        yield Note(resource, "scale", Verdict.ADAPTED, "one instance, because it is published on a host port")
    elif service.max_instances > count:
        yield Note(resource, "scale", Verdict.ADAPTED, f"fixed at {count}; the engine does not scale by load")
    if service.liveness is not None:
        checked = "is watched by its healthcheck alone" if service.healthcheck else "is used as the health check"
        yield Note(
            resource, "liveness", Verdict.ADAPTED, f"it {checked}; the engine restarts what ends, not what hangs"
        )
    for door in service.doors:
        if door.host_port in observed.host.taken_ports:
            reason = (
                f"port {door.host_port} is taken by something else; choose another: --set publish.{door.name}.port=…"
            )
            yield Note(resource, f"publish {door.name}", Verdict.REFUSED, reason)
        if door.host is not None or door.tls is not None:
            at = f"{door.bind}:{door.host_port}"
            yield Note(
                resource, f"publish {door.name}", Verdict.ADAPTED, f"served at {at} without TLS; put a proxy before"
            )
    yield from _gpus(service, observed)


def _job(job: ReleaseJob, observed: Observed) -> Iterator[Note]:
    if job.run not in ("manual", "install", "upgrade"):
        reason = f"there is no scheduler for {job.run!r}; use `run: manual` and start it with `bundle run`"
        yield Note(job.resource, "run", Verdict.REFUSED, reason)
    if job.timeout_s is not None:
        reason = "kept by the command that waits for the run; a detached run (`bundle run --detach`) has none"
        yield Note(job.resource, "timeout", Verdict.ADAPTED, reason)
    if job.max_workers > 1:
        yield Note(job.resource, "workers", Verdict.ADAPTED, f"all {job.max_workers} run on this one machine")
    yield from _gpus(job, observed)


def _limits(workload: Workload, observed: Observed) -> Iterator[Note]:
    resources = workload.resources
    for asked, feature, lacks in (
        (resources.memory_bytes, "memory", workloads.NO_MEMORY_LIMIT),
        (resources.cpus, "cpus", workloads.NO_CPU_LIMIT),
    ):
        if asked is not None and lacks in observed.host.features:
            reason = (
                "runs without the limit; this engine has no such cgroup controller (rootless: delegate it to the user)"
            )
            yield Note(workload.resource, feature, Verdict.ADAPTED, reason)


def _placement(release: Release, workload: Workload) -> Iterator[Note]:
    """What a site says for other targets."""
    for word in release.placed(workload):
        yield Note(workload.resource, f"placement {word}", Verdict.ADAPTED, "an engine is one machine; it runs there")


def _gpus(workload: Workload, observed: Observed) -> Iterator[Note]:
    gpus = workload.resources.gpus
    if gpus is None or gpus.count == 0 or workloads.NVIDIA in observed.host.features:
        return
    if gpus.required:
        yield Note(
            workload.resource, "gpus", Verdict.REFUSED, f"needs {gpus.count}, and the engine has no nvidia runtime"
        )
    else:
        yield Note(workload.resource, "gpus", Verdict.ADAPTED, "runs without; the engine has no nvidia runtime")
