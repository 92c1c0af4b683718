"""Images that several apps bring, on a real engine: the last to let go takes each away, and no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from engines import Meanwhile, OnEngine

from bundler.errors import TargetError
from bundler.model.plan import Action, Step
from bundler.model.release import Release
from targets.engine import claims, observe
from targets.engine.api import NotThere
from targets.sample import Deployment, sample, settled

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


def moments(test: Callable[..., None]) -> Callable[..., None]:
    """What another app does was planned before, or is then; around the question whose the image is."""
    test = pytest.mark.parametrize("planned", [True, False], ids=["planned before", "planned then"])(test)
    return pytest.mark.parametrize("after", [False, True], ids=["before the question", "after it"])(test)


def test_of_two_apps_removed_at_once_the_last_takes_their_image_along(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release
) -> None:
    deployment.go(release)
    second.go(replace(release, app=second.app))
    removals = [(one, one.plan(None).steps) for one in (deployment, second)]
    for one, steps in removals:
        one.carry_out(steps)
    assert subject.remains(subject.app) == []


def test_an_image_that_another_app_brings_meanwhile_stays(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release
) -> None:
    deployment.go(release)
    removal = deployment.plan(None).steps
    assert [step for step in removal if step.resource.startswith("image/tgt-sample")]
    second.go(replace(release, app=second.app))
    deployment.carry_out(removal)
    assert subject.engine.image(subject.image.reference) is not None
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_another_app_brings_during_a_look_was_not_loaded_by_hand(
    subject: OnEngine, deployment: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    meanwhile("images", lambda: deployment.go(release))
    things = observe.observe(subject.engine, subject.target.name, f"{subject.app}-2").things
    (found,) = (thing for thing in things if thing.name == subject.image.reference)
    assert found.shared


def test_an_image_that_goes_between_plan_and_deploy_is_loaded(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release
) -> None:
    deployment.go(release)
    plan = second.plan(replace(release, app=second.app))
    assert not [step for step in plan.steps if step.action is Action.LOAD]
    deployment.remove(volumes=True)
    second.carry_out(plan.steps)
    second.wait(plan.ready)
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_its_last_app_lets_go_of_during_a_look_is_claimed(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    """By the lists of that look, somebody else has loaded it by hand."""
    deployment.go(release)
    release = replace(release, app=second.app)
    meanwhile("images", lambda: deployment.remove(volumes=True), after=True)
    plan = second.go(release)
    assert not [step for step in plan.steps if step.action is Action.LOAD]
    assert second.plan(settled(release, second.observe())).steps == ()
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


@moments
def test_an_app_that_comes_while_the_last_lets_go_has_its_image(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    meanwhile: Meanwhile,
    planned: bool,
    after: bool,
) -> None:
    deployment.go(release)
    removal = deployment.plan(None).steps
    release = replace(release, app=second.app)
    steps = second.plan(release).steps if planned else ()
    ground: list[Step] = []

    def comes() -> None:
        """As far as no container holds the image."""
        ground.extend(steps or second.plan(release).steps)
        second.carry_out([step for step in ground if step.resource.split("/")[0] in ("images", "image", "network")])

    meanwhile("volumes", comes, after=after)
    deployment.carry_out(removal)
    assert ground
    assert subject.engine.image(subject.image.reference) is not None
    second.go(release)
    second.remove(volumes=True)
    assert subject.remains(subject.app) == []


@moments
def test_an_app_that_goes_while_another_lets_go_leaves_no_image(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    meanwhile: Meanwhile,
    planned: bool,
    after: bool,
) -> None:
    deployment.go(release)
    second.go(replace(release, app=second.app))
    first, steps = deployment.plan(None).steps, second.plan(None).steps if planned else ()
    meanwhile("volumes", lambda: second.carry_out(steps or second.plan(None).steps), after=after)
    deployment.carry_out(first)
    assert subject.remains(subject.app) == []


def test_of_two_apps_whose_questions_cross_the_first_asks_again(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    """The first sees the other's claim, which goes before the image has its name back; the other asks after that."""
    deployment.go(release)
    second.go(replace(release, app=second.app))
    first, steps = deployment.plan(None).steps, second.plan(None).steps
    about_to_ask, may_ask = threading.Event(), threading.Event()

    def ask() -> None:
        about_to_ask.set()
        assert may_ask.wait(60)

    def goes() -> None:
        meanwhile("volumes", ask)
        other.start()
        assert about_to_ask.wait(60)

    other = threading.Thread(target=second.carry_out, args=(steps,))
    meanwhile("volumes", goes, after=True)
    deployment.carry_out(first)
    may_ask.set()
    other.join()
    assert subject.remains(subject.app) == []


def test_a_removal_that_is_planned_while_its_image_has_no_name_takes_it_along(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    deployment.go(release)
    first = deployment.plan(None).steps
    second.go(replace(release, app=second.app))
    planned: list[Step] = []
    meanwhile("volumes", lambda: planned.extend(second.plan(None).steps))
    deployment.carry_out(first)
    assert subject.engine.image(subject.image.reference) is not None
    second.carry_out(planned)
    assert subject.remains(subject.app) == []


def test_an_image_that_an_interruption_left_without_its_name_goes_with_the_next_removal(
    subject: OnEngine, deployment: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    deployment.go(release)

    def interrupted() -> None:
        raise TargetError("interrupted")

    removal = deployment.plan(None).steps
    meanwhile("volumes", interrupted)
    with pytest.raises(TargetError, match="interrupted"):
        deployment.carry_out(removal)
    assert subject.engine.image(subject.image.reference) is None
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_does_not_get_its_name_back_keeps_the_other_one(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(release)
    removal = deployment.plan(None).steps
    tag = subject.engine.tag

    def failing(image: str, reference: str) -> None:
        if reference == subject.image.reference:
            raise TargetError("no room")
        tag(image, reference)

    release = replace(release, app=second.app)
    second.carry_out([step for step in second.plan(release).steps if step.resource == "images"])
    monkeypatch.setattr(subject.engine, "tag", failing)
    with pytest.raises(TargetError, match="no room"):
        deployment.carry_out(removal)
    monkeypatch.undo()
    assert subject.engine.images(f"{subject.image.reference}.going-*")
    second.remove(volumes=True)
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


@pytest.mark.parametrize("killed", [False, True], ids=["it does", "it was killed"])
def test_an_image_is_given_no_name_while_another_app_lets_go_of_it(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    killed: bool,
) -> None:
    """Docker takes a name that an image is given while it is deleted along."""
    engine, reference = subject.engine, subject.image.reference
    deployment.carry_out([s for s in deployment.plan(release).steps if s.resource.startswith("image")])
    steps = second.plan(replace(release, app=second.app)).steps
    going, named = f"{reference}.going-1234", list[str]()
    engine.tag(reference, going)
    engine.remove_image(reference)
    tag, look = engine.tag, iter((lambda: None, lambda: None, lambda: engine.remove_image(going)))
    monkeypatch.setattr(engine, "tag", lambda image, name: named.append(name) or tag(image, name))
    monkeypatch.setattr(claims, "GOING_S", 0.2 if killed else 600.0)
    monkeypatch.setattr(claims.time, "sleep", lambda _: None if killed else next(look)())
    second.carry_out([step for step in steps if step.resource == "images"])
    assert named == ([reference] if killed else [])
    engine.remove_image(going)
    assert engine.image(reference) is not None
    second.remove(volumes=True)
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_a_name_that_is_given_back_just_then_is_taken_all_the_same(
    subject: OnEngine, deployment: Deployment, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(release)
    real = subject.engine.tag

    def not_there_yet(image: str, reference: str) -> None:
        monkeypatch.setattr(subject.engine, "tag", real)
        raise NotThere(f"naming {reference}: No such image: {image}")

    monkeypatch.setattr(subject.engine, "tag", not_there_yet)
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_is_given_back_to_an_app_that_is_just_leaving_goes(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    deployment.go(release)
    second.go(replace(release, app=second.app))
    steps = deployment.plan(None).steps
    at = next(number for number, step in enumerate(steps) if step.payload["do"] == "let-go")
    deployment.carry_out(steps[:at])
    meanwhile("remove_volume", lambda: second.remove(volumes=True))
    deployment.carry_out(steps[at:])
    assert subject.remains(subject.app) == []


def test_an_image_that_is_given_back_to_an_app_that_has_just_taken_it_away_goes(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(release)
    steps = deployment.plan(None).steps  # when the image was its alone
    second.go(replace(release, app=second.app))
    engine, reference, this = subject.engine, subject.image.reference, threading.current_thread()
    gives_back, may_give_back, given_back = threading.Event(), threading.Event(), threading.Event()
    tag, remove_image = engine.tag, engine.remove_image

    def tagging(image: str, name: str) -> None:
        if name == reference:
            gives_back.set()
            assert may_give_back.wait(60)
        tag(image, name)
        if name == reference:
            given_back.set()

    def removing(name: str) -> None:
        if claims.GOING in name and threading.current_thread() is this:
            may_give_back.set()
            assert given_back.wait(60)
        remove_image(name)

    monkeypatch.setattr(engine, "tag", tagging)
    monkeypatch.setattr(engine, "remove_image", removing)
    other = threading.Thread(target=second.remove, kwargs={"volumes": True})
    other.start()
    assert gives_back.wait(60)
    deployment.carry_out(steps)
    other.join()
    assert subject.remains(subject.app) == []


def test_an_image_has_its_name_back_where_its_claim_cannot_be_removed(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    deployment.go(release)
    second.go(replace(release, app=second.app))
    let_go = next(step for step in deployment.plan(None).steps if step.payload["do"] == "let-go")

    def fails() -> None:
        raise TargetError("the volume is in use")

    meanwhile("remove_volume", fails)
    with pytest.raises(TargetError, match="in use"):
        deployment.carry_out([let_go])
    assert subject.engine.image(subject.image.reference) is not None
    for one in (deployment, second):
        one.remove(volumes=True)
    assert subject.remains(subject.app) == []


def test_an_image_that_something_has_come_to_use_stays_and_the_removal_ends(
    subject: OnEngine, deployment: Deployment
) -> None:
    deployment.go(sample(subject))
    removal = deployment.plan(None).steps
    reference = subject.image.reference
    assert [reference] in [step.payload["names"] for step in removal if step.payload["do"] == "remove-images"]
    user = subject.engine.create(f"{subject.app}-user", {"Image": reference})
    try:
        deployment.carry_out(removal)
        assert subject.remains(subject.app) == [f"/{subject.app}-user", reference]
    finally:
        subject.engine.remove(user)
        subject.engine.remove_image(reference)
