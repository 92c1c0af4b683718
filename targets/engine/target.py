"""What the docker and compose adapters share: everything but the containers themselves.

Each step's payload says in `do` what it is; `apply` does that one thing and decides nothing else.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bundler.contract import BlobSource
from bundler.edges.room import room
from bundler.errors import TargetError, UsageError
from bundler.model.finding import Finding
from bundler.model.observed import AppSummary, LogLine, Observed, StoredSecret
from bundler.model.plan import Note, Plan, Step
from bundler.model.release import Release
from targets import ownership
from targets.engine import claims, delivery, doors, fill, leasing, logs, observe, planning, removal
from targets.engine.api import Conflict, Engine
from targets.engine.planning import Form

READING_S = 5.0  # who has had it for so long does not only read the secrets
POLL_S = 0.05

Payload = Mapping[str, Any]


def engine_of(options: Mapping[str, str], target: str) -> Engine:
    """The engine of a docker context, or of the current one. Raises UsageError for other options."""
    unknown = sorted(name for name in options if name != "context")
    if unknown:
        raise UsageError(f"target {target} knows no {' and no '.join(unknown)}", hint="leave it out of the site file")
    return Engine(options.get("context"))


class EngineTarget(ABC):
    """A target on a Docker engine. `name` is also the value of the label that tells the adapters apart."""

    name: str
    form: Form

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine if engine is not None else Engine()

    @abstractmethod
    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]: ...

    @abstractmethod
    def put_workload(self, payload: Payload, secrets: Mapping[str, StoredSecret]) -> None:
        """Make the containers of one workload be there and run, as the payload says."""

    def plan(self, release: Release | None, observed: Observed) -> Plan:
        if release is None:
            return removal.plan_removal(observed)
        return planning.plan_deploy(self.name, self.form, release, observed)

    def check(self, plan: Plan) -> tuple[Note, ...]:
        return doors.check(self.engine, plan.steps)

    def observe(self, app: str) -> Observed:
        return observe.observe(self.engine, self.name, app)

    def secrets(self, app: str) -> Mapping[str, StoredSecret]:
        volume = ownership.secrets_volume(app)
        return fill.stored_secrets(self.engine, volume, ownership.labels(self.name, app, "secrets", "1"))

    def holder(self, app: str) -> str:
        return leasing.holder(self.engine, self.name, app)

    def lease(self, app: str, holder: str, before: str) -> str:
        return leasing.lease(self.engine, self.name, app, holder, before)

    def apply(
        self,
        step: Step,
        blobs: BlobSource | None,
        secrets: Mapping[str, StoredSecret],
        progress: Callable[[int], None],
    ) -> None:
        payload: Payload = step.payload
        engine, labels = self.engine, payload.get("labels", {})
        match payload["do"]:
            case "load":
                delivery.load(engine, payload, blobs, progress)
            case "model":
                fill.model(engine, payload, labels, blobs, progress)
            case "network":
                self._network(payload)
            case "mark":
                self._mark(payload)
            case "claim":
                self._claim(payload, blobs, progress)
            case "volume":
                fill.data(engine, payload, labels)
            case "secrets":
                fill.store_secrets(engine, payload, labels, secrets)
            case "files":
                fill.files(engine, payload, labels, blobs, secrets)
            case "helper":
                fill.helper(engine, payload, labels)
            case "workload":
                doors.prove(engine, self.name, step)
                with doors.explained(step):
                    self.put_workload(payload, secrets)
            case "stop-containers":
                self._stop(payload)
            case "remove-containers" | "remove-volumes" | "remove-network" | "remove-images" | "remove-helper":
                self._remove(payload)
            case "let-go":
                with claims.letting_go(engine, self.name, payload["app"], payload["images"]):
                    self._remove({**payload, "do": "remove-volumes"})
            case unknown:
                raise TargetError(f"step {step.id!r} has an unknown payload {unknown!r}")

    def logs(
        self, app: str, service: str | None, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[LogLine]:
        members = observe.members(self.engine, self.name, app, service)
        if service is not None and not members:
            raise TargetError(f"{app} has no container of {service}")
        return logs.lines(self.engine, members, follow=follow, since=since, tail=tail)

    def apps(self) -> tuple[AppSummary, ...]:
        return observe.apps(self.engine, self.name)

    def examine(self) -> Iterator[Finding]:
        info = self.engine.info
        told = f"{info['ServerVersion']}, {info['OSType']}/{info['Architecture']}"
        yield Finding("Docker engine", told, "running containers")
        root = Path(info["DockerRootDir"])
        if self.engine.local and root.is_dir():
            yield room(root, "images and volumes")

    # single effects

    def _own(self, labels: Mapping[str, str] | None, what: str, app: str) -> None:
        """Raises TargetError for a thing that is not ours: it is neither taken over nor removed."""
        if not ownership.ours(labels, self.name, app):
            raise TargetError(f"{what} does not belong to app {app} of target {self.name}; left alone")

    def _network_id(self, app: str) -> str | None:
        network = self.engine.network(ownership.network(app))
        return network["Id"] if network is not None else None

    def _network(self, payload: Payload) -> None:
        name, labels = payload["network"], payload["labels"]
        network = self.engine.network(name)
        if network is None:
            self.engine.create_network(name, labels)
        else:
            self._own(network.get("Labels"), f"network {name}", labels[ownership.APP])

    def _mark(self, payload: Payload) -> None:
        """An empty volume whose labels are the information."""
        name, labels = payload["volume"], payload["labels"]
        found = self.engine.create_volume(name, labels)
        self._own(found, f"volume {name}", labels[ownership.APP])
        if found.get(ownership.SPEC) != labels[ownership.SPEC]:
            raise TargetError(
                f"another deploy of {labels[ownership.APP]} has written {labels[ownership.RESOURCE]} meanwhile",
                hint="see what it did (bundle status), then run the same command again",
            )

    def _claim(self, payload: Payload, blobs: BlobSource | None, progress: Callable[[int], None]) -> None:
        """Claims images, then loads those that were there when the plan was made and have gone since."""
        self._mark(payload)
        gone = [image for image in payload["images"] if not delivery.is_there(self.engine, image)]
        wider = claims.wider(payload, gone)
        if wider is not None:
            self._mark(wider)
            self.engine.remove_volume(payload["volume"])
        for image in gone:
            delivery.load(self.engine, image, blobs, progress)

    def _stop(self, payload: Payload) -> None:
        """Ends jobs that run for too long. One that ends with 0 all the same must not look completed: it goes."""
        engine, app = self.engine, payload["app"]
        for name in payload["names"]:
            container = engine.container(name)
            if container is None or container["State"]["Status"] == "exited":
                continue
            self._own(container["Config"].get("Labels"), f"container {name}", app)
            engine.stop(container["Id"])
            ended = engine.container(container["Id"])
            if ended is not None and ended["State"]["ExitCode"] == 0:
                engine.remove(container["Id"])

    def _when_read(self, remove: Callable[[str], None], name: str) -> None:
        """A command that only reads the app's secrets has their volume and the helper image for a moment."""
        until = time.monotonic() + READING_S
        while True:
            try:
                return remove(name)
            except Conflict:
                if time.monotonic() >= until:
                    raise
            time.sleep(POLL_S)

    def _remove(self, payload: Payload) -> None:
        engine, app = self.engine, payload["app"]
        for name in payload["names"]:
            match payload["do"]:
                case "remove-containers":
                    container = engine.container(name)
                    if container is not None:
                        self._own(container["Config"].get("Labels"), f"container {name}", app)
                        engine.stop(container["Id"])
                        engine.remove(container["Id"])
                case "remove-volumes":
                    volume = engine.volume(name)
                    if volume is not None:
                        self._own(volume.get("Labels"), f"volume {name}", app)
                        self._when_read(engine.remove_volume, name)
                case "remove-network":
                    network = engine.network(name)
                    if network is not None:
                        self._own(network.get("Labels"), f"network {name}", app)
                        engine.remove_network(network["Id"])
                case "remove-images":
                    claims.take_away(engine, self.name, app, name)
                case "remove-helper":
                    with suppress(Conflict):  # something else uses it by now
                        self._when_read(engine.remove_image, name)
