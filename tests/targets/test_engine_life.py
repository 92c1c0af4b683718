"""What docker and compose deployments are like from inside and over time, alike on both, on a real engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from engines import OnEngine, get
from images import image, model

from bundler.edges.clock import SystemClock
from bundler.errors import TargetError
from bundler.follow import follow
from bundler.model.graph import Condition, Gpus, Healthcheck, Mount, Resources, Tmpfs, Volume
from bundler.model.observed import LogLine, State, StoredSecret
from bundler.model.plan import Action, Ready
from bundler.model.release import FileMount, Need, Release, ReleaseDoor, SecretPart
from targets import ownership, tar
from targets.compose.target import ComposeTarget
from targets.docker.target import DockerTarget
from targets.engine import fill
from targets.engine.api import Engine
from targets.engine.target import EngineTarget
from targets.sample import SECRET, Deployment, job, sample, service, settled, with_service

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]

ADAPTERS: dict[str, type[EngineTarget]] = {"docker": DockerTarget, "compose": ComposeTarget}


class OldEngine(Engine):
    """This engine as Docker 25 would be: neither image mounts nor volume subpaths."""

    api_version = (1, 44)  # type: ignore[assignment]


@pytest.fixture(params=sorted(ADAPTERS))
def subject(request: pytest.FixtureRequest, program: bytes) -> OnEngine:
    return OnEngine(ADAPTERS[request.param](), program)


@pytest.fixture
def deployment(subject: OnEngine) -> Iterator[Deployment]:
    deployment = Deployment(subject, subject.app)
    yield deployment
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


def only(subject: OnEngine, **changes: object) -> Release:
    """One published service."""
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", subject.port)
    web = service("web", **{"doors": (door,), **changes})
    base = sample(subject)
    return replace(base, services=(web,), jobs=(), volumes=(), doors=(door,), waves=(("web",),))


def changed(release: Release, deployment: Deployment, name: str = "web", **changes: object) -> Release:
    return with_service(settled(release, deployment.observe()), name, **changes)


# what a process sees


def test_environment_reaches_the_process_to_the_letter(subject: OnEngine, deployment: Deployment) -> None:
    texts = {
        "N": "1234e56",
        "O": "0o17",
        "Y": "yes",
        "A": "$HOME ${B} $$c",
        "B": "two\nlines",
        "C": "",
        "D": "'quoted' \"twice\" \\ #no comment",
        "E": "ü",
    }
    environment = (*((name, (text,)) for name, text in texts.items()), ("F", ("x:", SecretPart("key", encoded=True))))
    deployment.go(only(subject, environment=environment))
    seen = get(subject.port, "/env")
    for name, text in texts.items():
        assert f"{name}={text}\n" in seen
    assert "F=x:pl%24in%20bytes%2Fthat%20nobody%20may%20see\n" in seen


def test_arguments_reach_the_process_to_the_letter(subject: OnEngine, deployment: Deployment) -> None:
    words = ("a $HOME ${B} $$c", "'q' \"r\"", "")
    seed = job("seed", "0", *words)
    deployment.go(replace(only(subject), jobs=(seed,), waves=(("web", "seed"),)))
    lines = [line.text for line in logs(subject, "seed") if line.text != "ends with 0"]
    assert lines[: len(words)] == list(words)


def test_an_entrypoint_drops_the_arguments_of_the_image(subject: OnEngine, deployment: Deployment) -> None:
    seed = replace(job("seed"), entrypoint=(("/server",), ("job",), ("0",)), command=None)
    deployment.go(replace(only(subject), jobs=(seed,), waves=(("web", "seed"),)))
    assert sorted(line.text for line in logs(subject, "seed")) == ["ends with 0", "rank - of -"]


def test_files_belong_to_the_user_and_siblings_stay(subject: OnEngine, deployment: Deployment) -> None:
    files = (
        FileMount("/tmp/settings.yaml", subject.config, secret=False),
        FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),
        FileMount("/server.conf", ("url=", SecretPart("key", encoded=True)), secret=True),
    )
    deployment.go(only(subject, files=files, user="10001:10002", read_only=True))
    assert get(subject.port, "/read/tmp/settings.yaml") == "language: en\n"
    assert get(subject.port, "/stat/tmp/settings.yaml") == "0444 10001 10002\n"
    assert get(subject.port, "/read/run/secrets/key") == SECRET.decode()
    assert get(subject.port, "/stat/run/secrets/key") == "0400 10001 10002\n"
    assert get(subject.port, "/read/server.conf").startswith("url=pl%24in")
    assert get(subject.port, "/stat/server") == "0755 0 0\n"


def test_names_lead_to_each_other(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(sample(subject))
    assert get(subject.port, "/get/store/8000/id") == "10001:10001 store\n"
    assert get(subject.port, "/id") == "10002:10002 web\n"


def test_temporary_files_may_be_written_where_the_root_is_read_only(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(only(subject, user="10001:10001", read_only=True, tmpfs=(Tmpfs("/tmp", 1 << 20),)))
    get(subject.port, "/write/tmp/new")
    assert get(subject.port, "/read/tmp/new") == "written\n"


def test_limits_are_set(subject: OnEngine, deployment: Deployment) -> None:
    resources = Resources(0.5, 64 << 20, 8 << 20, Gpus(1, required=False))
    plan = deployment.go(only(subject, resources=resources, init=True, cap_add=("NET_ADMIN",), stop_signal="SIGINT"))
    (instance,) = deployment.observe().of("service/web")
    container = subject.engine.container(instance.id) or {}
    host = container["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (500_000_000, 64 << 20, 8 << 20)
    assert (host["Init"], [c.removeprefix("CAP_") for c in host["CapAdd"]]) == (True, ["NET_ADMIN"])
    assert container["Config"]["StopSignal"] == "SIGINT"
    assert "gpus" in [note.feature for note in plan.notes]


@pytest.mark.parametrize("value", [b"\xff\x00 no text", b"x" * 200_000], ids=["binary", "large"])
def test_a_secret_that_is_only_a_file_may_be_of_any_bytes_and_size(subject: OnEngine, value: bytes) -> None:
    deployment = Deployment(subject, subject.app, StoredSecret("revision-1", value))
    try:
        files = (FileMount("/run/secrets/key", (SecretPart("key"),), secret=True),)
        deployment.go(only(subject, files=files))
        assert get(subject.port, "/stat/run/secrets/key").startswith("0400 ")
    finally:
        deployment.remove(volumes=True)


# volumes


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
        begun.container(fill.holder(engine))


def test_a_deploy_that_comes_late_does_not_write_over_what_another_has_completed(
    subject: OnEngine, deployment: Deployment
) -> None:
    volume, labels = _data(subject)
    first = fill.filling(subject.engine, volume, labels)
    begun = first.__enter__()
    assert begun is not None
    begun.container(fill.holder(subject.engine))
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
        begun.container(fill.holder(subject.engine))

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


def test_weights_are_mounted_read_only(subject: OnEngine, deployment: Deployment) -> None:
    release = _with_weights(subject)
    deployment.go(release)
    assert get(subject.port, "/read/models/tiny/part/b.txt") == "two\n"
    with pytest.raises(OSError, match="404"):
        get(subject.port, "/write/models/tiny/new")
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


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


# change


def test_a_changed_file_replaces_the_service_and_its_old_volume_goes(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject, files=(FileMount("/etc/a.txt", ("one",), secret=False),))
    deployment.go(release)
    files = (FileMount("/etc/a.txt", ("two",), secret=False),)
    plan = deployment.go(changed(release, deployment, files=files))
    causes = {step.id: step.cause for step in plan.steps}
    assert causes["replace service/web"] == "file /etc/a.txt changed"
    assert causes["create files/web"] == "content changed"
    assert get(subject.port, "/read/etc/a.txt") == "two"
    assert len([v for v in subject.remains(subject.app) if "_files_" in v]) == 1


def test_a_new_image_replaces_the_service_and_the_old_image_goes(
    subject: OnEngine, deployment: Deployment, program: bytes
) -> None:
    release = only(subject)
    deployment.go(release)
    before = subject.image.reference
    layers = [[tar.file("server", program, mode=0o755)], [tar.file("new", b"")]]
    new = image(subject.blobs, "app", layers, {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]})
    plan = deployment.go(replace(changed(release, deployment), images=(new,)))
    subject.image = new
    assert {step.id: step.cause for step in plan.steps}["replace service/web"] == "image changed"
    assert subject.engine.image(before) is None
    assert subject.engine.image(new.reference) is not None


def test_a_front_door_may_move_to_another_service(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject)
    other = service("other", needs=(Need("web", Condition.HEALTHY),))
    release = replace(release, services=(release.services[0], other), waves=(("web",), ("other",)))
    deployment.go(release)
    door = replace(release.doors[0], node="other")
    now = settled(release, deployment.observe())
    moved = replace(
        now,
        services=(replace(now.services[0], doors=()), replace(now.services[1], doors=(door,))),
        doors=(door,),
        record="{}",
        recorded=False,
    )
    deployment.go(moved)
    assert get(subject.port, "/id").split()[1] == "other"
    assert deployment.plan(settled(moved, deployment.observe())).steps == ()


def test_instances_may_become_more_and_fewer(subject: OnEngine, deployment: Deployment) -> None:
    many = service("many", min_instances=3, max_instances=3)
    release = replace(only(subject), services=(service("many", min_instances=2, max_instances=2),), waves=(("many",),))
    release = replace(release, doors=())
    deployment.go(release)
    two = deployment.identities()
    more = replace(settled(release, deployment.observe()), services=(many,), record="3", recorded=False)
    deployment.go(more)
    three = deployment.identities()
    assert len(two) == 2
    assert len(three) == 3
    assert two.items() <= three.items()
    deployment.go(replace(settled(release, deployment.observe()), record="2", recorded=False))
    assert deployment.identities() == two


@pytest.mark.parametrize("wrong", ["gone", "cut off"])
def test_the_first_of_several_instances_comes_back_and_nothing_more_is_to_be_done(
    subject: OnEngine, deployment: Deployment, wrong: str
) -> None:
    two = service("many", min_instances=2, max_instances=2)
    release = replace(only(subject), services=(two,), waves=(("many",),), doors=())
    deployment.go(release)
    first, _ = deployment.observe().of("service/many")
    if wrong == "gone":
        subject.engine.remove(first.id)
    else:
        disconnect = {"Container": first.id, "Force": True}
        subject.engine._call("POST", f"/networks/{subject.app}/disconnect", "disconnecting", body=disconnect)
    deployment.go(settled(release, deployment.observe()))
    assert [one.index for one in deployment.observe().of("service/many")] == [0, 1]
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


@pytest.mark.parametrize("wrong", ["paused", "killed", "gone", "cut off"])
def test_drift_is_mended(subject: OnEngine, deployment: Deployment, wrong: str) -> None:
    release = only(subject)
    deployment.go(release)
    (instance,) = deployment.observe().of("service/web")
    if wrong == "paused":
        subject.engine._call("POST", f"/containers/{instance.id}/pause", "pausing")
    elif wrong == "cut off":
        disconnect = {"Container": instance.id, "Force": True}
        subject.engine._call("POST", f"/networks/{subject.app}/disconnect", "disconnecting", body=disconnect)
    elif wrong == "killed":
        subject.engine.stop(instance.id)
    else:
        subject.engine.remove(instance.id)
    (step,) = deployment.plan(settled(release, deployment.observe())).steps
    assert step.cause == {"gone": "not there", "cut off": "network changed"}.get(wrong, step.cause)
    deployment.go(settled(release, deployment.observe()))
    assert get(subject.port, "/healthz") == ""


def test_a_network_that_was_removed_is_made_again_with_everything_on_it(
    subject: OnEngine, deployment: Deployment
) -> None:
    release = sample(subject)
    deployment.go(release)
    for listed in subject.engine.containers():
        if listed["Labels"].get(ownership.APP) == subject.app:
            body = {"Container": listed["Id"], "Force": True}
            subject.engine._call("POST", f"/networks/{subject.app}/disconnect", "disconnecting", body=body)
    subject.engine.remove_network(subject.app)
    deployment.go(settled(release, deployment.observe()))
    assert get(subject.port, "/get/store/8000/id") == "10001:10001 store\n"
    assert deployment.plan(settled(release, deployment.observe())).steps == ()


# states


def test_an_unhealthy_service_says_why_and_is_left_alone(subject: OnEngine, deployment: Deployment) -> None:
    check = Healthcheck("/healthz", False, None, None, 0.5, 1.0, 1, 0.0)
    release = only(subject, environment=(("HEALTH", ("bad",)),), healthcheck=check)
    plan = deployment.plan(release)
    deployment.carry_out([step for step in plan.steps if not step.resource.startswith("record/")])
    while (instance := deployment.observe().of("service/web")[0]).state is State.STARTING:
        pass
    assert instance.state is State.UNHEALTHY
    assert "503" in instance.detail
    steps = deployment.plan(replace(settled(release, deployment.observe()), recorded=True)).steps
    assert steps == ()


def test_a_failing_job_is_failed_after_its_retries(subject: OnEngine, deployment: Deployment) -> None:
    seed = job("seed", "3", "tried", retries=1)
    release = replace(only(subject), jobs=(seed,), waves=(("web", "seed"),))
    plan = deployment.plan(release)
    deployment.carry_out([step for step in plan.steps if not step.resource.startswith("record/")])
    while (instance := deployment.observe().of("job/seed")[0]).state is not State.FAILED:
        pass
    assert (instance.exit_code, instance.restarts) == (3, 1)
    again = deployment.plan(release).steps
    assert ("run job/seed", "failed before") in [(step.id, step.cause) for step in again]


def test_workers_know_their_rank(subject: OnEngine, deployment: Deployment) -> None:
    jobs = (job("train", "0", max_workers=3, ranked=True), job("alone", "0", ranked=True), job("plain", "0"))
    deployment.go(replace(only(subject), jobs=jobs, waves=(("web", "train", "alone", "plain"),)))
    for name, ranks in (("train", ["0 of 3", "1 of 3", "2 of 3"]), ("alone", ["0 of 1"]), ("plain", ["- of -"])):
        told = sorted(line.text for line in logs(subject, name) if line.text.startswith("rank"))
        assert told == [f"rank {rank}" for rank in ranks]


def test_a_service_that_ends_is_started_again_by_the_engine(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(only(subject))
    with pytest.raises(OSError, match=r"closed connection|reset"):
        get(subject.port, "/exit/4")
    deployment.wait([Ready("service/web", "healthy")])
    assert deployment.observe().of("service/web")[0].restarts == 1


# what is not ours


def test_a_container_of_somebody_else_is_refused(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject)
    steps = deployment.plan(release).steps
    deployment.carry_out([step for step in steps if step.resource == "images" or step.action is Action.LOAD])
    labels = {"com.docker.compose.project": subject.app} if subject.target.name == "compose" else {}
    name = f"{subject.app}-web" if subject.target.name == "docker" else f"{subject.app}-else-1"
    subject.engine.create(name, {"Image": subject.image.reference, "Labels": labels})
    try:
        plan = subject.target.plan(release, deployment.observe())
        assert [name in str(note) for note in plan.refused] == [True]
    finally:
        subject.engine.remove(name)


def test_the_other_adapters_app_of_the_same_name_is_refused(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(only(subject))
    (other,) = (adapter for name, adapter in ADAPTERS.items() if name != subject.target.name)
    plan = other().plan(only(subject), other().observe(subject.app))
    assert plan.refused
    assert other().plan(None, other().observe(subject.app)).steps == ()


def test_a_foreign_thing_that_comes_later_is_not_taken_over(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject, volumes=(Mount("data", "/data"),))
    steps = deployment.plan(replace(release, volumes=(Volume("data", None),))).steps
    deployment.carry_out([step for step in steps if step.resource.split("/")[0] in ("images", "image", "network")])
    subject.plant(subject.app)
    try:
        (making,) = [step for step in steps if step.resource == "volume/data"]
        with pytest.raises(TargetError, match="does not belong"):
            subject.target.apply(making, subject.blobs, {}, lambda size: None)
        assert subject.planted(subject.app)
    finally:
        subject.uproot(subject.app)


# reading


def logs(subject: OnEngine, name: str) -> list[LogLine]:
    return list(subject.target.logs(subject.app, name, follow=False, since=None, tail=None))


def test_logs_begin_where_they_are_asked_to(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(replace(only(subject), jobs=(job("seed", "0", "a", "b"),), waves=(("web", "seed"),)))
    lines = sorted(logs(subject, "seed"), key=lambda line: line.time)
    first, second = lines[0], next(line for line in lines if line.time > lines[0].time)

    def since(text: str) -> list[LogLine]:
        found = subject.target.logs(subject.app, "seed", follow=False, since=text, tail=None)
        return sorted(found, key=lambda line: line.time)

    assert since(first.time) == lines
    assert since(second.time) == [line for line in lines if line.time >= second.time]
    assert since("2001-01-01T00:00:00Z") == lines
    assert since("2999-01-01T00:00:00+01:00") == []


def test_following_goes_on_over_a_restart_and_a_new_deploy(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject)
    deployment.go(release)
    seen: list[str] = []
    following = follow(
        subject.target, subject.app, "web", since=None, tail=None, clock=SystemClock(), look_s=0.2, gone_s=3.0
    )
    reader = threading.Thread(target=lambda: seen.extend(line.text for line in following), daemon=True)
    reader.start()

    def starts(number: int) -> None:
        ends_at = time.monotonic() + 20
        while len(seen) < number and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert len(seen) == number

    starts(1)
    (instance,) = deployment.observe().of("service/web")
    subject.engine.stop(instance.id)
    subject.engine.start(instance.id)
    starts(2)
    deployment.go(changed(release, deployment, environment=(("A", ("b",)),)))
    starts(3)
    deployment.remove(volumes=True)
    reader.join(20)
    assert not reader.is_alive()
    assert len(seen) == 3


def test_logs_are_followed(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(sample(subject))
    seen: list[LogLine] = []
    lines = subject.target.logs(subject.app, None, follow=True, since=None, tail=None)
    reader = threading.Thread(target=lambda: seen.extend(lines), daemon=True)
    reader.start()
    deployment.remove(volumes=False)
    reader.join(20)
    assert not reader.is_alive()
    assert {line.service for line in seen} == {"store", "seed", "web"}


def test_only_compose_deployments_are_compose_projects(subject: OnEngine, deployment: Deployment) -> None:
    deployment.go(sample(subject))
    listed = json.loads(compose("ls", "--all", "--format", "json"))
    assert (subject.app in [one["Name"] for one in listed]) == (subject.target.name == "compose")
    if subject.target.name == "compose":
        assert f"{subject.app}-web-1" in compose("--project-name", subject.app, "ps")
        assert "seeded" in compose("--project-name", subject.app, "logs", "seed")


def test_the_rendered_document_is_valid(subject: OnEngine, deployment: Deployment) -> None:
    if subject.target.name == "docker":
        script = subject.target.render(sample(subject), subject.blobs)["run.sh"]
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
        return
    written = subject.target.render(sample(subject), subject.blobs)["compose.yaml"]
    config = json.loads(compose("--file", "-", "--profile", "jobs", "config", "--format", "json", given=written))
    assert set(config["services"]) == {"store", "web", "seed"}
    assert config["services"]["web"]["environment"]["GREETING"] == "hello $$HOME $$$$x $${literal}"


def compose(*arguments: str, given: str | None = None) -> str:
    env = {**os.environ, "BUNDLE_SECRET_key": "", "BUNDLE_SECRET_key_URL": ""}
    argv = ["docker", "compose", *arguments]
    done = subprocess.run(argv, input=given, env=env, capture_output=True, text=True, check=True)
    return done.stdout
