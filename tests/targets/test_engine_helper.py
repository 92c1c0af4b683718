"""The helper image, of which each app has one to itself, and who reads secrets through it, on a real engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from engines import Meanwhile, OnEngine

from bundler.model.release import Release
from targets import ownership
from targets.engine import fill
from targets.sample import Deployment, sample

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


def _helpers(subject: OnEngine, app: str) -> list[str]:
    found = subject.engine.images(f"{fill.HELPER_IMAGE}:*")
    return [name for i in found if ownership.ours(i["Labels"], subject.target.name, app) for name in i["RepoTags"]]


def _once_found(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> None:
    """Something happens once: when a helper image is there, and nothing uses it yet."""
    real = fill.helper_image

    def finding(*arguments: Any) -> str:
        monkeypatch.setattr(fill, "helper_image", real)
        reference = real(*arguments)
        happening()
        return reference

    monkeypatch.setattr(fill, "helper_image", finding)


def test_an_app_that_goes_takes_no_helper_image_of_another_along(
    subject: OnEngine, deployment: Deployment, second: Deployment, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(release)
    _once_found(monkeypatch, lambda: deployment.remove(volumes=True))
    second.go(replace(release, app=second.app))
    assert _helpers(subject, subject.app) == []
    assert len(_helpers(subject, second.app)) == 1
    second.remove(volumes=True)
    assert _helpers(subject, second.app) == []


def test_a_command_that_reads_secrets_beside_a_removal_brings_nothing_back(
    subject: OnEngine, deployment: Deployment, meanwhile: Meanwhile
) -> None:
    deployment.go(sample(subject))
    assert set(subject.target.secrets(subject.app)) == {"key"}
    meanwhile("create", lambda: deployment.remove(volumes=True))
    assert subject.target.secrets(subject.app) == {}
    assert subject.remains(subject.app) == []
    assert _helpers(subject, subject.app) == []


def test_a_command_that_reads_secrets_keeps_no_image_that_a_removal_has_taken_along(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(sample(subject))
    _once_found(monkeypatch, lambda: [subject.engine.remove_image(one) for one in _helpers(subject, subject.app)])
    assert set(subject.target.secrets(subject.app)) == {"key"}
    assert _helpers(subject, subject.app) == []


def test_a_removal_waits_for_a_command_that_reads_secrets(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.go(sample(subject))
    planned, get = deployment.plan(None).steps, subject.engine.get
    removing = threading.Thread(target=deployment.carry_out, args=(planned,))

    def slowly(container: str, path: str) -> Iterator[bytes]:
        monkeypatch.setattr(subject.engine, "get", get)
        removing.start()
        while any(one["Names"][0].startswith(f"/{subject.app}-") for one in subject.engine.containers()):
            time.sleep(0.05)
        time.sleep(1)
        return get(container, path)

    monkeypatch.setattr(subject.engine, "get", slowly)
    assert set(subject.target.secrets(subject.app)) == {"key"}
    removing.join()
    assert subject.remains(subject.app) == []
    assert _helpers(subject, subject.app) == []


def test_a_helper_image_that_a_plan_has_taken_along_is_loaded_again(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_along() -> None:
        (image,) = _helpers(subject, subject.app)
        subject.engine.remove_image(image)

    _once_found(monkeypatch, taken_along)
    deployment.go(sample(subject))
    deployment.remove(volumes=True)
    assert _helpers(subject, subject.app) == []
