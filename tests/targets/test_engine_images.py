"""Images that several apps bring, on a real engine: the last to let go takes each away, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from engines import OnEngine, only

from bundler.model.plan import Action, Plan
from targets.engine import fill, observe
from targets.engine.api import Engine, Json
from targets.sample import Deployment, sample

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


def test_of_two_apps_removed_at_once_the_last_takes_their_image_along(
    subject: OnEngine, deployment: Deployment
) -> None:
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    second.go(replace(release, app=second.app))
    removals = [(one, one.plan(None).steps) for one in (deployment, second)]
    for one, steps in removals:
        one.carry_out(steps)
    assert subject.remains(subject.app) == []


def test_an_image_that_another_app_brings_meanwhile_stays(subject: OnEngine, deployment: Deployment) -> None:
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    removal = deployment.plan(None).steps
    assert [step for step in removal if step.resource.startswith("image/tgt-sample")]
    second.go(replace(release, app=second.app))
    deployment.carry_out(removal)
    assert subject.engine.image(subject.image.reference) is not None
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


class Meanwhile(Engine):
    """An engine on which something happens once, just before or just after it is asked for one of its lists."""

    def __init__(self, happening: Callable[[], object], when: str) -> None:
        super().__init__()
        self.happenings, self.when = [happening], when

    def _now(self, when: str) -> None:
        while self.happenings and when == self.when:
            self.happenings.pop()()

    def images(self, pattern: str) -> list[Json]:
        self._now("before images")
        listed = super().images(pattern)
        self._now("after images")
        return listed

    def volumes(self) -> list[Json]:
        self._now("before volumes")
        listed = super().volumes()
        self._now("after volumes")
        return listed


def test_an_image_that_another_app_brings_during_a_look_was_not_loaded_by_hand(
    subject: OnEngine, deployment: Deployment
) -> None:
    release = replace(only(subject, doors=()), doors=())
    look = Meanwhile(lambda: deployment.go(release), "before images")
    things = observe.observe(look, subject.target.name, f"{subject.app}-2").things
    (found,) = (thing for thing in things if thing.name == subject.image.reference)
    assert found.shared


def test_an_image_that_goes_between_plan_and_deploy_is_loaded(subject: OnEngine, deployment: Deployment) -> None:
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    plan = second.plan(replace(release, app=second.app))
    assert not [step for step in plan.steps if step.action is Action.LOAD]
    deployment.remove(volumes=True)
    second.carry_out(plan.steps)
    second.wait(plan.ready)
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_its_last_app_lets_go_of_during_a_look_is_claimed(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the lists of that look, somebody else has loaded it by hand."""
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    with monkeypatch.context() as patched:
        patched.setattr(subject.target, "engine", Meanwhile(lambda: deployment.remove(volumes=True), "after images"))
        plan = second.plan(replace(release, app=second.app))
    assert not [step for step in plan.steps if step.action is Action.LOAD]
    second.carry_out(plan.steps)
    second.wait(plan.ready)
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


@pytest.mark.parametrize("when", ["before volumes", "after volumes"])
def test_an_app_that_comes_while_the_last_lets_go_has_its_image(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    removal = deployment.plan(None).steps
    plans: list[Plan] = []

    def comes() -> None:
        monkeypatch.setattr(subject.target, "engine", engine)
        plans.append(second.go(replace(release, app=second.app)))

    engine = subject.target.engine
    monkeypatch.setattr(subject.target, "engine", Meanwhile(comes, when))
    deployment.carry_out(removal)
    second.wait(plans[0].ready)
    assert subject.engine.image(subject.image.reference) is not None
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


@pytest.mark.parametrize("when", ["before volumes", "after volumes"])
def test_an_app_that_goes_while_another_lets_go_leaves_no_image(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    release, second = replace(only(subject, doors=()), doors=()), Deployment(subject, f"{subject.app}-2")
    deployment.go(release)
    second.go(replace(release, app=second.app))
    removals = [one.plan(None).steps for one in (deployment, second)]

    def goes() -> None:
        monkeypatch.setattr(subject.target, "engine", engine)
        second.carry_out(removals[1])

    engine = subject.target.engine
    monkeypatch.setattr(subject.target, "engine", Meanwhile(goes, when))
    deployment.carry_out(removals[0])
    assert subject.remains(subject.app) == []


def test_the_helper_image_that_another_app_took_along_is_loaded_again(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [fill.helper_image]

    def taken_along(engine: Engine) -> str:
        reference = fill.helper_reference()
        if not first:
            return helper_image(engine)
        first.pop()(engine)
        engine.remove_image(reference)
        return reference

    helper_image = fill.helper_image
    monkeypatch.setattr(fill, "helper_image", taken_along)
    deployment.go(sample(subject))
    assert not first


def test_an_image_that_something_has_come_to_use_stays_and_the_removal_ends(
    subject: OnEngine, deployment: Deployment
) -> None:
    deployment.go(sample(subject))
    removal = deployment.plan(None).steps
    images = [step.payload["names"][0] for step in removal if step.payload["do"] == "remove-images"]
    users = [subject.engine.create(f"{subject.app}-user-{index}", {"Image": one}) for index, one in enumerate(images)]
    try:
        deployment.carry_out(removal)
        assert images
        assert [one for one in images if subject.engine.image(one) is None] == []
    finally:
        for user in users:
            subject.engine.remove(user)
        for one in images:
            subject.engine.remove_image(one)
