"""The sample release on an engine that is not there: what is planned for it, and what would be seen of it."""

from __future__ import annotations

from images import AMD64, Blobs, image

from bundler.model.observed import Host, Instance, Observed, OpenDoor, Record, State, Thing
from bundler.model.plan import Plan
from bundler.model.release import Release
from targets import tar
from targets.engine import workloads
from targets.engine.target import EngineTarget
from targets.sample import sample

FEATURES = frozenset({workloads.IMAGE_MOUNT, workloads.SUBPATH, workloads.START_INTERVAL})
HOST = Host(AMD64, "docker", "28", FEATURES)


class Fixed:
    """As much of a subject as makes a release."""

    app = "sample"
    port = 8080

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.image = image(self.blobs, "app", [[tar.file("server", b"program")]], {})
        self.config = self.blobs.add("text/plain", b"a: 1\n")


def released() -> Release:
    return sample(Fixed())  # type: ignore[arg-type]  # the rest of a subject is not used


def nothing(host: Host = HOST) -> Observed:
    return Observed("sample", host)


def text(plan: Plan) -> str:
    lines = [str(note) for note in plan.notes]
    for step in plan.steps:
        after = f" after {', '.join(step.after)}" if step.after else ""
        waits = "".join(f" when {ready.resource} {ready.state}" for ready in step.waits)
        lines.append(f"{step.id}: {step.cause}{after}{waits}")
    return "\n".join([*lines, ""])


def deployed(target: EngineTarget, release: Release) -> Observed:
    """As an engine would show it once the plan was carried out."""
    things, instances = [], []
    names = {one.workload.resource: target.form.names(release, one)[0] for one in _containers(release)}
    for step in target.plan(release, nothing()).steps:
        payload = dict(step.payload)
        if "volume" in payload or "network" in payload:
            name = str(payload.get("volume") or payload.get("network"))
            things.append(Thing(step.resource, name, "1"))
        if payload["do"] == "load":
            things.append(Thing(f"image/{payload['reference']}", str(payload["reference"]), str(payload["pin"])))
        if payload["do"] == "workload":
            state = State.COMPLETED if payload["job"] else State.HEALTHY
            instances.append(Instance(step.resource, "id", names[step.resource], 0, str(payload["spec"]), state))
    doors = tuple(OpenDoor(door.name, door.bind, door.host_port, door.node) for door in release.doors)
    return Observed("sample", HOST, tuple(instances), tuple(things), doors, (Record(1, release.record),))


def _containers(release: Release) -> tuple[workloads.Container, ...]:
    return workloads.containers(release, HOST, {})
