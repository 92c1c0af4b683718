"""The release that the conformance suite deploys, and the steps of deploying it one by one.

Two services (`store` keeps data, `web` is published and needs `store` and the job `seed`), one job, one volume, one
config file and one secret. The image holds one program: started without arguments it serves HTTP on port 8000 with a
healthy `/healthz` until it gets SIGTERM; `job STATUS TEXT` prints TEXT and ends with STATUS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bundler.contract import BlobSource, Target
from bundler.model.bundle import BundleImage
from bundler.model.graph import Condition, Healthcheck, Mount, Resources, Tmpfs, Volume
from bundler.model.observed import Observed, State, StoredSecret
from bundler.model.oci import Descriptor, Digest
from bundler.model.plan import Plan, Ready, Step
from bundler.model.release import (
    FileMount,
    Need,
    Release,
    ReleaseDoor,
    ReleaseJob,
    ReleaseSecret,
    ReleaseService,
    SecretPart,
)

SECRET = b"pl$in bytes/that nobody may see"
FIRST_SECRET = StoredSecret("revision-1", SECRET)
DEADLINE_S = 60.0
POLL_S = 0.1
READY = {
    "running": {State.RUNNING, State.STARTING, State.HEALTHY, State.UNHEALTHY},
    "healthy": {State.RUNNING, State.HEALTHY},
    "completed": {State.COMPLETED},
}


class Subject(Protocol):
    """An adapter under test, and what the suite has to do behind its back."""

    target: Target
    app: str  # a name nothing else uses; a second app is this with "-2"
    image: BundleImage
    config: Descriptor  # a small blob, for the config file
    blobs: BlobSource
    port: int  # a free one for the front door

    def stop(self, app: str, service: str) -> None:
        """End a service's instance without the adapter."""

    def plant(self, app: str) -> str:
        """Put something of somebody else's where the adapter would put a thing of `app`; what names it."""

    def planted(self, app: str) -> bool:
        """Whether it is still there, as it was."""

    def uproot(self, app: str) -> None:
        """Remove it."""

    def shown(self, app: str) -> str:
        """Everything that people who may list things can see of the app: labels, names, arguments, logs of the
        adapter; not the environment of processes."""

    def remains(self, app: str) -> Sequence[str]:
        """Names of everything of the app that is still there."""


def service(name: str, **changes: object) -> ReleaseService:
    made = ReleaseService(
        name=name,
        image="app",
        entrypoint=None,
        command=None,
        working_dir=None,
        environment=(),
        files=(),
        volumes=(),
        models=(),
        tmpfs=(),
        user=None,
        read_only=False,
        resources=Resources(),
        init=False,
        cap_add=(),
        stop_signal=None,
        stop_grace_period_s=5.0,
        needs=(),
        ports=(("http", 8000),),
        healthcheck=Healthcheck("/healthz", False, None, None, 1.0, 1.0, 3, 20.0),
        liveness=None,
        min_instances=1,
        max_instances=1,
        scale_cpu=None,
        doors=(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the dataclass checks nothing, and callers are tests


def job(name: str, *words: str, **changes: object) -> ReleaseJob:
    made = ReleaseJob(
        name=name,
        image="app",
        entrypoint=None,
        command=(("job",), *((word,) for word in words)),
        working_dir=None,
        environment=(),
        files=(),
        volumes=(),
        models=(),
        tmpfs=(),
        user=None,
        read_only=False,
        resources=Resources(),
        init=False,
        cap_add=(),
        stop_signal=None,
        stop_grace_period_s=5.0,
        needs=(),
        run="install",
        due=True,
        min_workers=1,
        max_workers=1,
        retries=0,
        timeout_s=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # as above


def sample(subject: Subject, app: str | None = None) -> Release:
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", subject.port)
    store = service("store", volumes=(Mount("data", "/data"),), user="10001:10001")
    seed = job("seed", "0", "seeded", needs=(Need("store", Condition.HEALTHY),))
    web = service(
        "web",
        doors=(door,),
        environment=(
            ("GREETING", ("hello $HOME $$x ${literal}",)),
            ("STORE_URL", ("http://user:", SecretPart("key", True), "@store:8000")),
        ),
        files=(
            FileMount("/etc/web/settings.yaml", subject.config, secret=False),
            FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),
        ),
        tmpfs=(Tmpfs("/tmp", 1 << 20),),  # noqa: S108 - a path of the container
        user="10002:10002",
        read_only=True,
        needs=(Need("seed", Condition.COMPLETED), Need("store", Condition.HEALTHY)),
    )
    return Release(
        app=app or subject.app,
        bundle="sample",
        version="1.0.0",
        root=Digest.of(b"a root"),
        images=(subject.image,),
        models=(),
        services=(store, web),
        jobs=(seed,),
        volumes=(Volume("data", None),),
        secrets=(ReleaseSecret("key", "revision-1", stored=False),),
        doors=(door,),
        waves=(("store",), ("seed",), ("web",)),
        record=json.dumps({"release": 1}),
        recorded=False,
    )


def settled(release: Release, observed: Observed) -> Release:
    """The same release as the core would ask for it again: jobs done, secrets kept, recorded if it is."""
    newest = observed.record
    return replace(
        release,
        jobs=tuple(replace(one, due=False) for one in release.jobs),
        services=tuple(replace(one, needs=_without_jobs(release, one.needs)) for one in release.services),
        secrets=tuple(replace(secret, stored=True) for secret in release.secrets),
        recorded=newest is not None and newest.document == release.record,
    )


def _without_jobs(release: Release, needs: tuple[Need, ...]) -> tuple[Need, ...]:
    jobs = {one.name for one in release.jobs}
    return tuple(need for need in needs if need.node not in jobs)


def with_service(release: Release, name: str, **changes: object) -> Release:
    services = tuple(
        replace(one, **changes) if one.name == name else one  # type: ignore[arg-type]  # as above
        for one in release.services
    )
    return replace(release, services=services, record=json.dumps({"release": sorted(changes)}), recorded=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The steps of a plan, one by one."""

    subject: Subject
    app: str
    secret: StoredSecret = FIRST_SECRET

    def observe(self) -> Observed:
        return self.subject.target.observe(self.app)

    def plan(self, release: Release | None) -> Plan:
        plan = self.subject.target.plan(release, self.observe())
        if plan.refused:
            raise AssertionError(f"refused: {plan.refused}")
        return plan

    def go(self, release: Release) -> Plan:
        plan = self.plan(release)
        self.carry_out(plan.steps)
        self.wait(plan.ready)
        return plan

    def remove(self, *, volumes: bool) -> Plan:
        plan = self.plan(None)
        self.carry_out([step for step in plan.steps if volumes or not step.loses_data])
        return plan

    def carry_out(self, steps: Sequence[Step], *, times: int = 1) -> None:
        done: set[str] = set()
        given = {step.id for step in steps}
        for step in steps:
            if not set(step.after) & given <= done:
                raise AssertionError(f"{step.id} is listed before what it comes after")
            self.wait(step.waits)
            for _ in range(times):
                self.subject.target.apply(step, self.subject.blobs, {"key": self.secret}, lambda size: None)
            done.add(step.id)

    def wait(self, ready: Sequence[Ready]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while missing := [one for one in ready if not self._is_ready(one)]:
            if time.monotonic() >= deadline:
                raise AssertionError(f"{missing} in {self.observe().instances}")
            time.sleep(POLL_S)

    def _is_ready(self, ready: Ready) -> bool:
        instances = self.observe().of(ready.resource)
        return bool(instances) and all(one.state in READY[ready.state] for one in instances)

    def identities(self) -> dict[str, tuple[str, str]]:
        """What tells an instance from its replacement and from itself restarted."""
        return {f"{one.resource} {one.index}": (one.id, one.started_at) for one in self.observe().instances}
