"""What becomes of docker and compose deployments over time, alike on both, on a real engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engines import ADAPTERS, OnEngine, changed, get, only
from images import image

from bundler.errors import TargetError
from bundler.model.graph import Condition, Healthcheck, Mount, Volume
from bundler.model.observed import State
from bundler.model.plan import Action, Ready
from bundler.model.release import FileMount, Need
from targets import ownership, tar
from targets.sample import Deployment, job, sample, service, settled

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


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
