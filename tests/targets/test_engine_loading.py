"""What is sent of an image, on a real engine, where it has some of it from another app that may go meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from engines import Meanwhile, OnEngine
from images import image

from bundler.errors import TargetError
from bundler.model.bundle import BundleImage
from bundler.model.plan import Action
from bundler.model.release import Release
from targets import tar
from targets.sample import Deployment

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


@pytest.fixture
def other(subject: OnEngine, program: bytes) -> BundleImage:
    """It has its first layer in common with the image of `subject`."""
    base = [tar.directory("tmp", mode=0o1777), tar.file("server", program, mode=0o755)]
    own = [tar.file("other", subject.app.encode())]
    return image(subject.blobs, "app", [base, own], {"Entrypoint": ["/server"]})


def test_what_an_image_shares_with_one_that_goes_meanwhile_is_sent_after_all(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    meanwhile: Meanwhile,
    other: BundleImage,
) -> None:
    deployment.go(release)
    release = replace(release, app=second.app, images=(other,))
    load = next(step for step in second.plan(release).steps if step.action is Action.LOAD)
    went: list[object] = []
    meanwhile("load", lambda: went.append(deployment.remove(volumes=True)))
    try:
        second.carry_out([load])
        assert went
        assert subject.engine.image(other.reference) is not None
    finally:
        subject.engine.remove_image(other.reference)


def test_an_image_that_the_engine_refuses_is_sent_once_and_says_why(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    other: BundleImage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment.go(release)
    steps = second.plan(replace(release, app=second.app, images=(other,))).steps
    sent: list[object] = []

    def refusing(archive: object) -> None:
        sent.append(archive)
        raise TargetError("no space left on device")

    monkeypatch.setattr(subject.engine, "load", refusing)
    with pytest.raises(TargetError, match="no space left"):
        second.carry_out([next(step for step in steps if step.action is Action.LOAD)])
    assert len(sent) == 1


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "again"])
def test_what_is_told_of_a_load_are_the_bytes_that_were_sent(
    subject: OnEngine,
    deployment: Deployment,
    second: Deployment,
    release: Release,
    other: BundleImage,
    monkeypatch: pytest.MonkeyPatch,
    fails: bool,
) -> None:
    deployment.go(release)
    told: list[int] = []
    load = subject.engine.load

    def lost(archive: Iterator[bytes]) -> None:
        """Takes all of it in, and has no image: as where a layer that was left out has gone."""
        monkeypatch.setattr(subject.engine, "load", load)
        for _ in archive:
            pass

    for step in second.plan(replace(release, app=second.app, images=(other,))).steps:
        if step.action is Action.LOAD and fails:
            monkeypatch.setattr(subject.engine, "load", lost)
        if step.resource.startswith("image"):
            subject.target.apply(step, subject.blobs, {}, told.append)
    had, new = (layer.size_bytes for layer in other.platforms[0].layers)
    sent = had + new if fails else new
    assert sent < sum(told) < sent + had // 2
    second.remove(volumes=True)


def test_an_image_that_has_another_name_and_goes_meanwhile_is_sent_after_all(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, meanwhile: Meanwhile
) -> None:
    deployment.go(release)
    other = replace(subject.image, reference=subject.image.reference.replace("/app:", "/other:"))
    release = replace(release, app=second.app, images=(other,))
    load = next(step for step in second.plan(release).steps if step.action is Action.LOAD)
    meanwhile("tag", lambda: deployment.remove(volumes=True))
    try:
        second.carry_out([load])
        assert subject.remains(subject.app) == []
        assert subject.engine.image(other.reference) is not None
    finally:
        subject.engine.remove_image(other.reference)
