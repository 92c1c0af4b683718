"""The in-memory adapter keeps the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from images import Blobs, image

from bundler import deploy
from bundler.errors import TargetError
from bundler.model.plan import Note, Plan, Verdict
from targets import tar
from targets.conformance import Conformance
from targets.memory import MemoryTarget
from targets.sample import FIRST_SECRET, Deployment, sample
from tests.test_run import Clockwork, Quiet


class Memory:
    """Things are foreign by name here."""

    app = "sample"
    port = 8080

    def __init__(self) -> None:
        self.target = MemoryTarget()
        self.blobs = Blobs()
        self.image = image(self.blobs, "app", [[tar.file("server", b"program")]], {})
        self.config = self.blobs.add("text/plain", b"a: 1\n")

    def stop(self, app: str, service: str) -> None:
        self.target.stop(app, service)

    def plant(self, app: str) -> str:
        self.target.foreign.add("volume/data")
        return "volume/data"

    def planted(self, app: str) -> bool:
        return self.target.foreign == {"volume/data"}

    def uproot(self, app: str) -> None:
        self.target.foreign.clear()

    def shown(self, app: str) -> str:
        return repr(self.target.observe(app))

    def remains(self, app: str) -> Sequence[str]:
        observed = self.target.observe(app)
        return [*(one.name for one in observed.instances), *(thing.name for thing in observed.things)]


class TestMemory(Conformance):
    @pytest.fixture
    def subject(self) -> Memory:
        return Memory()


class Asking(MemoryTarget):
    """One that lets nobody remove anything."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Plan] = []

    def check(self, plan: Plan) -> tuple[Note, ...]:
        self.asked.append(plan)
        return (Note("service/web", "permission", Verdict.REFUSED, "you may not"),)


def test_a_target_is_asked_about_a_plans_steps_and_about_no_others() -> None:
    subject = Memory()
    subject.target = target = Asking()
    Deployment(subject, subject.app).go(sample(subject))
    refused = deploy.prepare_removal(target, subject.app, volumes=False)
    (asked,) = target.asked
    assert asked.steps
    assert not any(step.loses_data for step in asked.steps)
    assert refused.plan.steps == ()
    with pytest.raises(TargetError, match=r"refuses to remove sample; nothing was changed\n.*you may not"):
        deploy.refuse(refused)
    deploy.prepare_removal(target, "nothing", volumes=True)
    assert target.asked == [asked]


def test_what_another_deploy_has_changed_since_the_plan_is_not_deployed_over() -> None:
    subject = Memory()
    target, release, deployment = subject.target, sample(subject), Deployment(subject, subject.app)
    observed = target.observe(subject.app)
    plan, secrets = target.plan(release, observed), {"key": FIRST_SECRET}
    late = deploy.Prepared(target, subject.app, release, plan, observed, secrets, subject.blobs, 60.0)
    deployment.go(release)
    there = target.observe(subject.app)
    with pytest.raises(TargetError, match="another command has changed sample since this plan was made"):
        deploy.carry_out(late, Quiet(), Clockwork(), None)
    assert target.observe(subject.app) == there
    assert target.holder(subject.app) == ""
