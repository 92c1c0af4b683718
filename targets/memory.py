"""The reference adapter: a target that is a dictionary. It shows what each operation of the contract means, and it
stands in for an engine where the core is tested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bundler.contract import BlobSource, Target
from bundler.errors import TargetError
from bundler.model.graph import Condition
from bundler.model.observed import (
    AppSummary,
    Host,
    Instance,
    LogLine,
    Observed,
    OpenDoor,
    Record,
    State,
    StoredSecret,
    Thing,
)
from bundler.model.oci import Descriptor, Digest, Platform
from bundler.model.plan import Action, Note, Plan, Ready, Step, Verdict
from bundler.model.release import FileMount, Release, ReleaseJob, ReleaseService, SecretPart, Text, Workload
from targets import ownership

Kept = dict[str, tuple[str, object]]  # resource -> (spec, content)


@dataclass
class _App:
    instances: dict[str, Instance] = field(default_factory=dict)
    things: Kept = field(default_factory=dict)
    records: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    secrets: dict[str, StoredSecret] = field(default_factory=dict)
    doors: dict[str, OpenDoor] = field(default_factory=dict)
    lines: list[LogLine] = field(default_factory=list)


def create(options: Mapping[str, str]) -> Target:
    return MemoryTarget()


class MemoryTarget:
    """Services are healthy and jobs completed as soon as they are started, but for those named in `sick`
    ("service/api", "job/ingest"), which become unhealthy or fail. Resources named in `foreign` are somebody else's."""

    name = "memory"

    def __init__(self, platform: Platform | None = None) -> None:
        self.host = Host(platform or Platform("linux", "amd64"), "memory", "1")
        self.sick: set[str] = set()
        self.foreign: set[str] = set()
        self._apps: dict[str, _App] = {}
        self._leases: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ticks = 0

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        lines = [f"{workload.resource} {_spec(release, workload)}" for workload in release.workloads]
        return {f"{release.app}.txt": "\n".join([*lines, ""])}

    # plan: pure

    def plan(self, release: Release | None, observed: Observed) -> Plan:
        return _removal(observed) if release is None else _deploy(release, observed)

    # observe and apply

    def observe(self, app: str) -> Observed:
        with self._lock:
            kept = self._apps.get(app, _App())
            things = [Thing(resource, resource, spec) for resource, (spec, _) in kept.things.items()]
            things += [Thing(resource, resource, "", foreign=True) for resource in self.foreign]
            return Observed(
                app,
                self.host,
                tuple(kept.instances[name] for name in sorted(kept.instances)),
                tuple(sorted(things, key=lambda thing: thing.resource)),
                tuple(kept.doors[name] for name in sorted(kept.doors)),
                tuple(Record(revision, kept.records[revision]["document"]) for revision in sorted(kept.records)),
            )

    def secrets(self, app: str) -> Mapping[str, StoredSecret]:
        with self._lock:
            return dict(self._apps[app].secrets) if app in self._apps else {}

    def holder(self, app: str) -> str:
        with self._lock:
            return self._leases.get(app, "")

    def lease(self, app: str, holder: str, before: str) -> str:
        with self._lock:
            now = self._leases.get(app, "")
            if now == before:
                now = self._leases[app] = holder
            return now

    def apply(
        self,
        step: Step,
        blobs: BlobSource | None,
        secrets: Mapping[str, StoredSecret],
        progress: Callable[[int], None],
    ) -> None:
        payload: Mapping[str, Any] = step.payload
        content: object = None
        if payload["do"] == "load":
            if blobs is None:
                raise TargetError(f"{step.resource} is in the bundle, and no bundle was given")
            content = blobs.read(_descriptor(payload["manifest"]))
            progress(step.moves_bytes)
        with self._lock:
            app = self._apps.setdefault(payload["app"], _App())
            match payload["do"]:
                case "load" | "make":
                    app.things[step.resource] = (payload["spec"], content)
                case "secrets":
                    self._check_before(app, payload, secrets)
                    app.things[step.resource] = (payload["spec"], None)
                    app.secrets |= {name: secrets[name] for name in payload["names"]}
                case "record":
                    app.records[payload["revision"]] = payload
                    app.things[step.resource] = (payload["spec"], None)
                case "start":
                    self._start(app, step.resource, payload)
                case "remove":
                    self._remove(app, step.resource)
                    if app == _App(lines=app.lines):
                        del self._apps[payload["app"]]
                        self._leases.pop(payload["app"], None)
                case unknown:
                    raise TargetError(f"step {step.id!r} has an unknown payload {unknown!r}")

    @staticmethod
    def _check_before(app: _App, payload: Mapping[str, Any], secrets: Mapping[str, StoredSecret]) -> None:
        """Raises TargetError where one has no value, or another deploy has stored one since the plan was made."""
        for name, before in payload["names"].items():
            if name not in secrets:
                raise TargetError(f"secret {name} has no value yet")
            kept = app.secrets.get(name)
            if kept is not None and kept.revision not in (before, secrets[name].revision):
                raise TargetError(
                    f"another deploy has stored secret {name} meanwhile", hint="run the same command again"
                )

    def _start(self, app: _App, resource: str, payload: Mapping[str, Any]) -> None:
        job, sick = resource.startswith("job/"), resource in self.sick
        state = (State.FAILED if sick else State.COMPLETED) if job else (State.UNHEALTHY if sick else State.HEALTHY)
        before = app.instances.get(resource)
        self._ticks += 1
        node = resource.partition("/")[2]
        app.instances[resource] = Instance(
            resource=resource,
            id=f"{node}-{self._ticks}" if before is None or before.spec != payload["spec"] or job else before.id,
            name=node,
            index=0,
            spec=payload["spec"],
            state=state,
            exit_code=int(sick) if job else None,
            started_at=str(self._ticks),
        )
        for name, (bind, port) in payload["doors"].items():
            app.doors[name] = OpenDoor(name, bind, port, node)
        app.lines.append(LogLine(f"2000-01-01T00:00:00.{self._ticks:09d}Z", node, 0, f"started {payload['spec'][:19]}"))

    @staticmethod
    def _remove(app: _App, resource: str) -> None:
        app.instances.pop(resource, None)
        app.things.pop(resource, None)
        app.doors = {n: door for n, door in app.doors.items() if f"service/{door.node}" != resource}
        if resource == "secrets":
            app.secrets.clear()
        if resource.startswith("record/"):
            app.records.pop(int(resource.partition("/")[2]), None)

    def stop(self, app: str, service: str) -> None:
        """What an operator might do behind our back."""
        resource = f"service/{service}"
        with self._lock:
            instances = self._apps[app].instances
            instances[resource] = replace(instances[resource], state=State.STOPPED)

    def logs(
        self, app: str, service: str | None, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[LogLine]:
        with self._lock:
            kept = self._apps.get(app, _App())
            lines = [line for line in kept.lines if service in (None, line.service)]
        lines = [line for line in lines if since is None or line.time >= since]
        return iter(lines if tail is None else lines[len(lines) - min(tail, len(lines)) :])

    def apps(self) -> tuple[AppSummary, ...]:
        with self._lock:
            return tuple(_summary(name, kept) for name, kept in sorted(self._apps.items()))


def _summary(name: str, kept: _App) -> AppSummary:
    newest: Mapping[str, Any] = kept.records[max(kept.records)] if kept.records else {}
    root = Digest(newest["root"]) if newest else None
    running = sum(one.state in (State.HEALTHY, State.UNHEALTHY) for one in kept.instances.values())
    return AppSummary(name, newest.get("bundle", ""), newest.get("version", ""), root, running)


def _deploy(release: Release, observed: Observed) -> Plan:
    ready = tuple(Ready(service.resource, "healthy") for service in release.services)
    ready += tuple(Ready(job.resource, "completed") for job in release.jobs if job.due)
    wanted = _wanted(release)
    foreign = {thing.resource for thing in observed.things if thing.foreign}
    notes = tuple(
        Note(name, "name", Verdict.REFUSED, f"{name} is there and not this app's") for name in sorted(wanted & foreign)
    )
    if notes:
        return Plan((), notes, ready)
    there = {thing.resource: thing.spec for thing in observed.things if not thing.foreign}
    app = {"app": release.app}
    steps = []
    for image in release.images:
        resource, spec = f"image/{image.name}", str(image.descriptor.digest)
        if there.get(resource) != spec:
            manifest = image.platforms[0].manifest
            blob = {"mediaType": manifest.media_type, "digest": str(manifest.digest), "size": manifest.size_bytes}
            payload: dict[str, object] = {**app, "do": "load", "spec": spec, "manifest": blob}
            steps.append(Step(resource, Action.LOAD, "not there", payload, moves_bytes=manifest.size_bytes))
    for volume in release.volumes:
        if f"volume/{volume.name}" not in there:
            payload = {**app, "do": "make", "spec": "1"}
            steps.append(Step(f"volume/{volume.name}", Action.CREATE, "not there", payload))
    new = {one.name: one.before for one in release.secrets if not one.stored}
    if new:
        payload = {**app, "do": "secrets", "spec": "1", "names": new}
        steps.append(Step("secrets", Action.STORE, f"new or changed: {', '.join(new)}", payload))
    ground = tuple(step.id for step in steps)
    for workload in _in_order(release):
        decided = _decide(release, workload, observed)
        if decided is not None:
            steps.append(_start_step(release, workload, decided, ground, steps))
    if not release.recorded:
        revision = observed.records[-1].revision + 1 if observed.records else 1
        payload = {
            **app,
            "do": "record",
            "spec": str(revision),
            "revision": revision,
            "document": release.record,
            "bundle": release.bundle,
            "version": release.version,
            "root": str(release.root),
        }
        after = tuple(step.id for step in steps)
        steps.append(Step(f"record/{revision}", Action.STORE, "this release", payload, after, ready))
    after = tuple(step.id for step in steps)
    keep = {workload.resource for workload in release.workloads}
    for resource in dict.fromkeys(one.resource for one in observed.instances if one.resource not in keep):
        steps.append(Step(resource, Action.REMOVE, "not in this release", {**app, "do": "remove"}, after))
    return Plan(tuple(steps), (), ready)


def _wanted(release: Release) -> set[str]:
    return {workload.resource for workload in release.workloads} | {f"volume/{v.name}" for v in release.volumes}


def _in_order(release: Release) -> list[Workload]:
    by_name = {workload.name: workload for workload in release.workloads}
    names = dict.fromkeys([*(name for wave in release.waves for name in wave), *sorted(by_name)])
    return [by_name[name] for name in names if name in by_name]


def _decide(release: Release, workload: Workload, observed: Observed) -> tuple[Action, str] | None:
    there = observed.of(workload.resource)
    same = bool(there) and there[0].spec == _spec(release, workload)
    if isinstance(workload, ReleaseJob):
        done = same and there[0].state is State.COMPLETED
        return (Action.RUN, "due") if workload.due and not done else None
    if not there:
        return Action.CREATE, "not there"
    if not same:
        return Action.REPLACE, "specification changed"
    return (Action.START, there[0].state) if there[0].state is State.STOPPED else None


def _start_step(
    release: Release,
    workload: Workload,
    decided: tuple[Action, str],
    ground: tuple[str, ...],
    before: list[Step],
) -> Step:
    jobs = {job.name: job for job in release.jobs}
    waits = []
    for need in workload.needs:
        if need.node not in jobs:
            waits.append(Ready(f"service/{need.node}", "healthy"))
        elif jobs[need.node].due and need.condition is Condition.COMPLETED:
            waits.append(Ready(f"job/{need.node}", "completed"))
    needed = {ready.resource for ready in waits}
    after = (*ground, *(step.id for step in before if step.resource in needed))
    doors = workload.doors if isinstance(workload, ReleaseService) else ()
    payload = {
        "app": release.app,
        "do": "start",
        "spec": _spec(release, workload),
        "doors": {door.name: [door.bind, door.host_port] for door in doors},
    }
    return Step(workload.resource, decided[0], decided[1], payload, after, tuple(waits))


def _removal(observed: Observed) -> Plan:
    steps = []
    payload = {"app": observed.app, "do": "remove"}
    for resource in dict.fromkeys(instance.resource for instance in observed.instances):
        steps.append(Step(resource, Action.REMOVE, "the app is removed", payload))
    for resource in sorted((thing.resource for thing in observed.things if not thing.foreign), key=ownership.going):
        loses = resource.startswith(ownership.LOSES_DATA)
        gone = tuple(step.id for step in steps)
        steps.append(Step(resource, Action.REMOVE, "the app is removed", payload, gone, (), loses))
    return Plan(tuple(steps))


def _spec(release: Release, workload: Workload) -> str:
    """Everything the workload is, with the revisions of its secrets."""
    texts: list[Text] = [text for _, text in workload.environment]
    texts += [*(workload.entrypoint or ()), *(workload.command or ())]
    texts += [file.content for file in workload.files if isinstance(file.content, tuple)]
    used = {part.name for text in texts for part in text if isinstance(part, SecretPart)}
    revisions = [[secret.name, secret.revision] for secret in release.secrets if secret.name in used]
    files = [_file(file) for file in workload.files]
    plain = replace(workload, files=(), needs=())
    if isinstance(plain, ReleaseJob):
        plain = replace(plain, due=False)
    image = str(release.image(workload.image).descriptor.digest)
    return "sha256:" + ownership.digest([repr(plain), files, revisions, image])


def _file(file: FileMount) -> list[str]:
    return [file.path, repr(file.content) if isinstance(file.content, tuple) else str(file.content.digest)]


def _descriptor(value: Mapping[str, Any]) -> Descriptor:
    return Descriptor(value["mediaType"], Digest(value["digest"]), value["size"])
