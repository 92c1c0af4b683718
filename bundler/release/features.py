"""What a release asks of its target, feature by feature, in the words that targets note features by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bundler.model.graph import Workload as Node
from bundler.model.plan import Note, Plan, Verdict
from bundler.model.release import Release, ReleaseJob, ReleaseService, Workload

_GRACE_S = Node.__dataclass_fields__["stop_grace_period_s"].default

# word -> whether a service or job asks for it; what a graph leaves to the image or to us is not asked for
_WORKLOAD: Mapping[str, Callable[[Workload], object]] = {
    "cap_add": lambda one: one.cap_add,
    "command": lambda one: one.command is not None or one.entrypoint is not None,
    "cpus": lambda one: one.resources.cpus,
    "environment": lambda one: one.environment,
    "gpus": lambda one: one.resources.gpus is not None and one.resources.gpus.count,
    "init": lambda one: one.init,
    "memory": lambda one: one.resources.memory_bytes,
    "models": lambda one: one.models,
    "read_only": lambda one: one.read_only,
    "shm": lambda one: one.resources.shm_bytes,
    "order": lambda one: one.needs,
    "stop_grace_period": lambda one: one.stop_grace_period_s != _GRACE_S,
    "stop_signal": lambda one: one.stop_signal,
    "tmpfs": lambda one: one.tmpfs,
    "user": lambda one: one.user,
    "volumes": lambda one: one.volumes,
    "working_dir": lambda one: one.working_dir,
}
_SERVICE: Mapping[str, Callable[[ReleaseService], object]] = {
    "healthcheck": lambda one: one.healthcheck,
    "liveness": lambda one: one.liveness,
    "scale": lambda one: one.max_instances > 1,
}
_JOB: Mapping[str, Callable[[ReleaseJob], object]] = {
    "retries": lambda one: one.retries,
    "run": lambda one: one.run,
    "timeout": lambda one: one.timeout_s,
    "workers": lambda one: one.max_workers > 1,
}


def exact(release: Release, plan: Plan) -> tuple[Note, ...]:
    """Those that the target does as asked: no note of the plan is about them. Sorted by resource."""
    found = [
        Note(resource, feature, Verdict.EXACT, "")
        for resource, feature in asked(release)
        if not any(is_about(note, resource, feature) for note in plan.notes)
    ]
    return tuple(sorted(found, key=lambda note: (note.resource, note.feature)))


def is_about(note: Note, resource: str, feature: str) -> bool:
    """A note on "healthcheck interval" is about "healthcheck"."""
    return note.resource == resource and f"{note.feature} ".startswith(f"{feature} ")


def asked(release: Release) -> Iterator[tuple[str, str]]:
    """Resource and feature."""
    for image in release.images:
        yield f"image/{image.name}", "platform"
    for volume in release.volumes:
        mounting = [one for one in release.workloads if any(mount.name == volume.name for mount in one.volumes)]
        if volume.size_bytes is not None:
            yield f"volume/{volume.name}", "size"
        if len(mounting) > 1 or any(_several(one) for one in mounting):
            yield f"volume/{volume.name}", "sharing"
        if volume.name in dict(release.storage):
            yield f"volume/{volume.name}", "storage"
    for workload in release.workloads:
        for feature in _of(workload):
            yield workload.resource, feature
        for word in release.placed(workload):
            yield workload.resource, f"placement {word}"


def _of(workload: Workload) -> Iterator[str]:
    yield from (word for word, asks in _WORKLOAD.items() if asks(workload))
    yield from (f"file {file.path}" for file in workload.files)
    if isinstance(workload, ReleaseJob):
        yield from (word for word, asks in _JOB.items() if asks(workload))
    else:
        yield from (word for word, asks in _SERVICE.items() if asks(workload))
        yield from (f"publish {door.name}" for door in workload.doors)


def _several(workload: Workload) -> bool:
    return (workload.max_workers if isinstance(workload, ReleaseJob) else workload.max_instances) > 1
