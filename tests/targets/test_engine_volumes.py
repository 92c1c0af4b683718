"""Volumes and weights of docker and compose deployments: how they begin, are filled and end, on a real engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from engines import OnEngine, changed, get, only
from images import image, model

from bundler.errors import TargetError
from bundler.model.graph import Mount, Volume
from bundler.model.release import FileMount, Release
from targets import ownership, tar
from targets.engine import fill
from targets.engine.api import Engine
from targets.sample import Deployment, settled

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


def test_a_volume_begins_with_the_images_content_and_its_first_writers_owner(
    subject: OnEngine, deployment: Deployment, program: bytes
) -> None:
    layer = [
        tar.directory("data", mode=0o750),
        tar.file("data/seed", b"from the image\n", mode=0o640, uid=7, gid=8),
        tar.file("server", program, mode=0o755),
    ]
    subject.image = image(subject.blobs, "app", [layer], {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]})
    release = replace(only(subject, volumes=(Mount("data", "/data"),), user="70:71"), volumes=(Volume("data", None),))
    deployment.go(release)
    assert get(subject.port, "/stat/data") == "0750 70 71\n"
    assert get(subject.port, "/stat/data/seed") == "0640 7 8\n"
    get(subject.port, "/write/data/more")
    deployment.remove(volumes=False)
    deployment.go(settled(release, deployment.observe()))
    assert get(subject.port, "/read/data/more") == "written\n"


def test_volumes_that_only_the_image_names_end_with_their_container(
    subject: OnEngine, deployment: Deployment, program: bytes
) -> None:
    layer = [tar.directory("data", mode=0o777), tar.file("server", program, mode=0o755)]
    config = {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"], "Volumes": {"/data": {}}}
    subject.image = image(subject.blobs, "app", [layer], config)
    before = {volume["Name"] for volume in subject.engine.volumes()}
    release = only(subject)
    deployment.go(release)
    get(subject.port, "/write/data/note")
    deployment.go(changed(release, deployment, environment=(("A", ("b",)),)))
    with pytest.raises(OSError, match="404"):
        get(subject.port, "/read/data/note")
    deployment.remove(volumes=True)
    after = {volume["Name"] for volume in subject.engine.volumes() if re.fullmatch("[0-9a-f]{64}", volume["Name"])}
    assert after <= before


# filling


def test_an_interrupted_filling_is_done_again(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject, files=(FileMount("/etc/settings.yaml", subject.config, secret=False),))
    steps = deployment.plan(release).steps
    broken = [step for step in steps if step.resource != "files/web"]
    (filling,) = [step for step in steps if step.resource == "files/web"]
    deployment.carry_out([step for step in broken if step.resource.split("/")[0] in ("images", "image", "network")])
    content = filling.payload["files"][0]["content"]["blob"]  # type: ignore[index]  # a payload is JSON
    content["digest"] = "sha256:" + 64 * "0"
    with pytest.raises(Exception, match="no blob"):
        subject.target.apply(filling, subject.blobs, {}, lambda size: None)
    again = deployment.plan(release)
    assert [step.cause for step in again.steps if step.resource == "files/web"] == ["not complete"]
    deployment.go(release)
    assert get(subject.port, "/read/etc/settings.yaml") == "language: en\n"


class Interrupted(Engine):
    """An engine on which something happens once, just before a request that has to do with a mark."""

    def __init__(self, before: str, happening: Callable[[], object]) -> None:
        super().__init__()
        self.before, self.happenings = before, [happening]

    def _happen(self, request: str, name: str) -> None:
        if request == self.before and name.endswith(ownership.FILLING) and self.happenings:
            self.happenings.pop()()

    def create_volume(self, name: str, labels: Mapping[str, str]) -> Mapping[str, str]:
        self._happen("create", name)
        return super().create_volume(name, labels)

    def create(self, name: str, body: Mapping[str, object]) -> str:
        self._happen("container", name.removesuffix(ownership.FILLER) + ownership.FILLING)
        return super().create(name, body)

    def remove_volume(self, name: str) -> None:
        self._happen("remove", name)
        super().remove_volume(name)


def _data(subject: OnEngine) -> tuple[str, dict[str, str]]:
    return ownership.volume(subject.app, "data"), ownership.labels(subject.target.name, subject.app, "volume/data", "1")


def _fill(engine: Engine, volume: str, labels: Mapping[str, str]) -> None:
    with fill.filling(engine, volume, labels) as begun:
        assert begun is not None
        begun.container(fill.helper_image(engine, labels))


def test_a_deploy_that_comes_late_does_not_write_over_what_another_has_completed(
    subject: OnEngine, deployment: Deployment
) -> None:
    volume, labels = _data(subject)
    first = fill.filling(subject.engine, volume, labels)
    begun = first.__enter__()
    assert begun is not None
    begun.container(fill.helper_image(subject.engine, labels))
    late = Interrupted("create", lambda: first.__exit__(None, None, None))
    with fill.filling(late, volume, labels) as found:
        assert found is None
    assert subject.engine.volume(ownership.filling_volume(volume)) is None


def test_a_deploy_that_comes_even_later_stops_before_it_writes(subject: OnEngine, deployment: Deployment) -> None:
    volume, labels = _data(subject)
    first = fill.filling(subject.engine, volume, labels)
    assert first.__enter__() is not None
    subject.engine.create_volume(volume, labels)
    late = Interrupted("container", lambda: first.__exit__(None, None, None))
    with pytest.raises(TargetError, match="another deploy"):
        _fill(late, volume, labels)
    assert subject.engine.volume(ownership.filling_volume(volume)) is None


def test_a_deploy_whose_filling_another_has_taken_over_stops(subject: OnEngine, deployment: Deployment) -> None:
    volume, labels = _data(subject)
    second = fill.filling(subject.engine, volume, labels)

    def take_over() -> None:
        begun = second.__enter__()
        assert begun is not None
        begun.container(fill.helper_image(subject.engine, labels))

    with pytest.raises(TargetError, match="another deploy"):
        _fill(Interrupted("remove", take_over), volume, labels)
    assert subject.engine.volume(ownership.filling_volume(volume)) is not None
    second.__exit__(None, None, None)
    assert subject.engine.volume(ownership.filling_volume(volume)) is None


def test_a_volume_that_is_in_use_is_not_filled_whatever_marks_it(subject: OnEngine, deployment: Deployment) -> None:
    release = replace(only(subject, volumes=(Mount("data", "/data"),)), volumes=(Volume("data", None),))
    deployment.go(release)
    volume, labels = _data(subject)
    mark = ownership.filling_volume(volume)
    subject.engine.create_volume(mark, {**labels, ownership.RESOURCE: fill.INCOMPLETE + volume})
    with fill.filling(subject.engine, volume, labels) as found:
        assert found is None
    assert subject.engine.volume(mark) is None


# weights


def test_weights_are_mounted_read_only(subject: OnEngine, deployment: Deployment) -> None:
    release = _with_weights(subject)
    deployment.go(release)
    assert get(subject.port, "/read/models/tiny/part/b.txt") == "two\n"
    with pytest.raises(OSError, match="404"):
        get(subject.port, "/write/models/tiny/new")
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


class OldEngine(Engine):
    """This engine as Docker 25 would be: neither image mounts nor volume subpaths."""

    api_version = (1, 44)  # type: ignore[assignment]


def test_an_older_engine_gets_weights_and_files_from_volumes(subject: OnEngine, deployment: Deployment) -> None:
    subject.target.engine = subject.engine = OldEngine()
    release = _with_weights(subject)
    plan = deployment.go(release)
    assert "load model/tiny" in [step.id for step in plan.steps]
    assert get(subject.port, "/read/models/tiny/part/b.txt") == "two\n"
    assert get(subject.port, "/read/etc/settings.yaml") == "language: en\n"
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


def _with_weights(subject: OnEngine) -> Release:
    tiny = model(subject.blobs, "tiny", {"a.bin": b"one" * 1000, "part/b.txt": b"two\n"})
    files = (FileMount("/etc/settings.yaml", subject.config, secret=False),)
    release = only(subject, models=(Mount("tiny", "/models/tiny", read_only=True),), files=files, user="10001:10001")
    return replace(release, models=(tiny,))
