"""What is, and what should be, to the steps between. Pure.

Order of a deploy: what containers need (`supplies`) · workloads in waves · record · removal of what is obsolete
(`removal`). A thing is changed only where its label names another spec than the release does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bundler.model.graph import Condition
from bundler.model.observed import Host, Instance, Observed, State
from bundler.model.oci import Platform
from bundler.model.plan import Action, Plan, Ready, Step
from bundler.model.release import Release, ReleaseJob, ReleaseService
from targets import ownership
from targets.engine import supplies
from targets.engine.notes import notes
from targets.engine.removal import UP, Kept, cleanup
from targets.engine.supplies import Draft
from targets.engine.workloads import (
    IMAGE_MOUNT,
    LOG_ROTATION,
    NVIDIA,
    START_INTERVAL,
    SUBPATH,
    Container,
    containers,
)
from targets.parts import changes


@dataclass(frozen=True, slots=True)
class Form:
    """How an adapter puts a workload on the engine: its containers' names, its part of the payload, and whether the
    app is a Compose project."""

    names: Callable[[Release, Container], tuple[str, ...]]
    payload: Callable[[Release, tuple[Container, ...], Container, Observed], Mapping[str, object]]
    owns_project: bool = False


def plan_deploy(target: str, form: Form, release: Release, observed: Observed) -> Plan:
    pins = supplies.pins(release, observed)
    wanted = containers(release, observed.host, pins)
    said = notes(release, observed, _names(form, release, observed, wanted), owns_project=form.owns_project)
    ready = _ready(form, release, wanted)
    plan = Plan((), said, tuple(ready.values()))
    if plan.refused:
        return plan
    draft = Draft(target, release, observed)
    loads = supplies.images(draft, pins)
    supplies.ground(draft, wanted, loads)
    _workloads(draft, form, wanted, loads, ready)
    _record(draft, plan.ready)
    cleanup(draft.steps, _kept(release, observed, wanted), observed, recording=not release.recorded)
    return Plan(tuple(draft.steps), said, plan.ready)


def rendered(release: Release) -> tuple[tuple[Container, ...], Observed]:
    """The containers on a current engine of the first platform the bundle has, for people to read. A bundle where
    nothing runs has none."""
    platforms = [image.platform for named in release.images for image in named.platforms]
    features = frozenset({IMAGE_MOUNT, SUBPATH, START_INTERVAL, LOG_ROTATION, NVIDIA})
    host = Host(min(platforms, key=str, default=Platform("linux", "amd64")), "docker", "", features)
    observed = Observed(release.app, host)
    return containers(release, host, supplies.pins(release, observed)), observed


def _names(form: Form, release: Release, observed: Observed, wanted: tuple[Container, ...]) -> frozenset[str]:
    """Every name that this release would give to something on the engine."""
    app = release.app
    volumes = {mount.volume for container in wanted for mount in container.volumes}
    volumes |= {ownership.volume(app, volume.name) for volume in release.volumes}
    volumes |= {ownership.secrets_volume(app), ownership.record_volume(app, _revision(observed))}
    containers = {name for container in wanted for name in form.names(release, container)}
    return frozenset(volumes | containers | {ownership.network(app), supplies.claim(release, observed)[1]})


def _kept(release: Release, observed: Observed, wanted: tuple[Container, ...]) -> Kept:
    references, claim = supplies.claim(release, observed)
    volumes = {mount.volume for container in wanted for mount in container.volumes} | {claim}
    by_resource = {container.workload.resource: container for container in wanted}
    return Kept(frozenset(volumes), frozenset(references), by_resource)


# workloads


def _ready(form: Form, release: Release, wanted: tuple[Container, ...]) -> dict[str, Ready]:
    """What must hold at the end, by workload: services settled, due jobs completed within their time."""
    ready = {service.name: _settled(service) for service in release.services}
    due = {job.name for job in release.jobs if job.due}
    for container in wanted:
        job = container.workload
        if isinstance(job, ReleaseJob) and job.name in due:
            names = list(form.names(release, container))
            payload = {"do": "stop-containers", "app": release.app, "names": names}
            overdue = Step(job.resource, Action.STOP, "its timeout is over", payload) if job.timeout_s else None
            ready[job.name] = Ready(job.resource, "completed", within_s=job.timeout_s, overdue=overdue)
    return ready


def _settled(service: ReleaseService) -> Ready:
    checked = service.healthcheck is not None or service.liveness is not None
    return Ready(service.resource, "healthy" if checked else "running", steady=not checked)


def _workloads(
    draft: Draft,
    form: Form,
    wanted: tuple[Container, ...],
    loads: Mapping[str, str],
    ready: Mapping[str, Ready],
) -> None:
    by_name = {container.workload.name: container for container in wanted}
    in_waves = [name for wave in draft.release.waves for name in wave]
    freed = _free_ports(draft, wanted)
    cleared = _clear(draft, form, wanted, freed)
    ids: dict[str, str] = {}
    for name in dict.fromkeys([*in_waves, *sorted(by_name)]):
        container = by_name.get(name)
        if container is None:
            continue
        resource = container.workload.resource
        there = () if resource in freed else draft.observed.of(resource)
        if resource in cleared:
            there = tuple(one for one in there if one.name in form.names(draft.release, container))
        decided = _decide(container, there, draft.observed)
        if decided is None:
            continue
        action, cause = decided
        payload = {"do": "workload", **form.payload(draft.release, wanted, container, draft.observed)}
        if container.doors:
            payload["doors"] = container.doors
        needed = [ids[need.node] for need in container.workload.needs if need.node in ids]
        after = [*supplies.of(draft, container, loads), *freed.values(), *cleared.values(), *needed]
        waits = _waits(draft.release, container, ready)
        ids[name] = draft.add(resource, action, cause, payload, after=after, waits=waits)


def _free_ports(draft: Draft, wanted: tuple[Container, ...]) -> dict[str, str]:
    """Removes services whose host port goes to another one; the ids of those steps by resource."""
    ground = [step.id for step in draft.steps]
    heirs = {
        door.host_port: container.workload
        for container in wanted
        if isinstance(container.workload, ReleaseService)
        for door in container.workload.doors
    }
    freed: dict[str, str] = {}
    for door in draft.observed.doors:
        heir = heirs.get(door.host_port)
        resource = f"service/{door.node}"
        if heir is None or heir.name == door.node or resource in freed:
            continue
        names = [instance.name for instance in draft.observed.of(resource)]
        payload = {"do": "remove-containers", "app": draft.release.app, "names": names}
        freed[resource] = draft.add(resource, Action.REMOVE, f"its port goes to {heir.name}", payload, after=ground)
    return freed


def _clear(draft: Draft, form: Form, wanted: tuple[Container, ...], freed: Mapping[str, str]) -> dict[str, str]:
    """Removes instances that this release gives no name: one that somebody has renamed, or one too many. Replacing goes
    by name, they hold ports and volumes, and what is waited for is waited for in all its instances. A job that is not
    due is waited for by nobody."""
    ground = [step.id for step in draft.steps]
    cleared: dict[str, str] = {}
    for container in wanted:
        resource, names = container.workload.resource, form.names(draft.release, container)
        others = [one for one in draft.observed.of(resource) if one.name not in names]
        due = not isinstance(container.workload, ReleaseJob) or container.workload.due
        if not due or resource in freed or not others:
            continue
        too_many = container.job or all(one.index >= container.instances for one in others)
        cause = "of an earlier release" if too_many else "has another name"
        payload = {"do": "remove-containers", "app": draft.release.app, "names": [one.name for one in others]}
        cleared[resource] = draft.add(resource, Action.REMOVE, cause, payload, after=ground)
    return cleared


def _waits(release: Release, container: Container, ready: Mapping[str, Ready]) -> list[Ready]:
    services = {service.name: service for service in release.services}
    waits = []
    for need in container.workload.needs:
        if need.node in services:
            service = services[need.node]
            waits.append(
                ready[need.node] if need.condition is Condition.HEALTHY else Ready(service.resource, "running")
            )
        elif need.node in ready and need.condition is Condition.COMPLETED:
            waits.append(ready[need.node])
    return waits


def _decide(container: Container, there: tuple[Instance, ...], observed: Observed) -> tuple[Action, str] | None:
    """What a workload needs, and why; None where nothing."""
    same = [instance for instance in there if instance.spec == container.spec]
    if isinstance(container.workload, ReleaseJob):
        return _decide_job(container.workload, container, there, same, observed)
    if not there:
        return Action.CREATE, "not there"
    if len(same) < len(there):
        other = next(instance for instance in there if instance.spec != container.spec)
        return Action.REPLACE, changes(other.parts, container.parts)
    if len(there) < container.instances:
        return Action.CREATE, f"{len(there)} of {container.instances} instances there"
    down = [instance for instance in same if instance.state not in UP]
    if down:
        return Action.START, f"{down[0].state}" + (f", {down[0].detail}" if down[0].detail else "")
    return None


def _decide_job(
    job: ReleaseJob, container: Container, there: tuple[Instance, ...], same: list[Instance], observed: Observed
) -> tuple[Action, str] | None:
    if not job.due:
        return None
    if len(same) == len(there) == container.instances and all(i.state in UP | {State.COMPLETED} for i in same):
        return (Action.RUN, "its volume is new") if observed.lacks(one.name for one in job.volumes) else None
    if any(instance.state is State.FAILED for instance in same):
        return Action.RUN, "failed before"
    return Action.RUN, {"manual": "asked for", "install": "first run"}.get(job.run, "this release's run")


# record


def _revision(observed: Observed) -> int:
    return observed.records[-1].revision + 1 if observed.records else 1


def _record(draft: Draft, ready: tuple[Ready, ...]) -> None:
    """The next revision, once everything is done and ready."""
    release, observed = draft.release, draft.observed
    if release.recorded:
        return
    revision = _revision(observed)
    resource = f"record/{revision}"
    labels = draft.labels(resource, ownership.digest(release.record)) | {
        ownership.RECORD: release.record,
        ownership.BUNDLE: release.bundle,
        ownership.VERSION: release.version,
        ownership.ROOT: str(release.root),
    }
    payload = {"do": "mark", "volume": ownership.record_volume(release.app, revision), "labels": labels}
    after = [step.id for step in draft.steps]
    draft.add(resource, Action.STORE, "this release", payload, after=after, waits=ready)
