"""What the engine adapters plan, adapt and refuse, without an engine."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from engine_sample import FEATURES, HOST, _containers, deployed, nothing, released, text

from bundler.model.graph import Gpus, Healthcheck, Mount, Resources, Volume
from bundler.model.observed import Instance, Observed, Record, State, Thing
from bundler.model.oci import Platform
from bundler.model.plan import Action
from bundler.model.release import Release, ReleaseSecret
from targets.compose.target import ComposeTarget
from targets.docker.target import DockerTarget
from targets.engine import workloads
from targets.engine.target import EngineTarget
from targets.parts import changes
from targets.sample import job, service, settled, with_service

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(params=[DockerTarget, ComposeTarget], ids=["docker", "compose"])
def target(request: pytest.FixtureRequest) -> EngineTarget:
    made: EngineTarget = request.param()
    return made


# plans


def test_the_plan_of_a_first_deploy_reads_as_it_always_did(target: EngineTarget) -> None:
    assert text(target.plan(released(), nothing())) == (GOLDEN / "first-deploy.txt").read_text()


def test_the_plan_of_a_removal_reads_as_it_always_did(target: EngineTarget) -> None:
    assert text(target.plan(None, deployed(target, released()))) == (GOLDEN / "removal.txt").read_text()


def test_what_uses_an_image_that_is_there_waits_until_it_is_claimed(target: EngineTarget) -> None:
    images = tuple(one for one in deployed(target, released()).things if one.resource.startswith("image/"))
    plan = target.plan(released(), replace(nothing(), things=images))
    using = [step for step in plan.steps if step.resource.startswith(("service/", "job/", "volume/", "files/"))]
    assert not [step for step in plan.steps if step.action is Action.LOAD]
    assert [step.id for step in using if "store images" not in step.after] == []


def test_a_removal_says_which_images_stay_and_why(target: EngineTarget) -> None:
    there = deployed(target, released())
    things = tuple(replace(one, shared=one.resource.startswith("image/")) for one in there.things)
    plan = target.plan(None, replace(there, things=things))
    (note,) = (str(one) for one in plan.notes)
    assert note.startswith("adapted: image/tgt-sample/app:1.0.0-")
    assert "takes it along, or: docker image rm bundle.local/tgt-sample/app:" in note
    assert not [step for step in plan.steps if step.resource.startswith("image/")]


def test_what_is_deployed_needs_nothing(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    assert target.plan(settled(release, observed), observed).steps == ()


def test_an_engines_upgrade_restarts_nothing(target: EngineTarget) -> None:
    release = replace(released())
    observed = deployed(target, release)
    newer = replace(HOST, version="29", features=FEATURES | {workloads.LOG_ROTATION, workloads.NVIDIA})
    assert target.plan(settled(release, observed), replace(observed, host=newer)).steps == ()


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"environment": ()}, "environment changed"),
        ({"command": (("serve",), ("8000",))}, "command changed"),
        ({"user": "1:1"}, "settings changed"),
        ({"resources": Resources(cpus=1.0)}, "resources changed"),
        ({"healthcheck": None}, "health check changed"),
        ({"files": ()}, "file /etc/web/settings.yaml, file /run/secrets/key changed"),
        ({"doors": ()}, "front door changed"),
        ({"volumes": (Mount("data", "/data"),)}, "volumes changed"),
    ],
)
def test_the_cause_of_a_replacement_names_what_changed(changed: dict[str, object], cause: str) -> None:
    before, after = released(), with_service(released(), "web", **changed)
    parts = {
        release.record: dict(next(c for c in _containers(release) if c.workload.name == "web").parts)
        for release in (before, after)
    }
    assert changes(json.dumps(parts[before.record]), parts[after.record]) == cause


def test_a_label_that_cannot_be_read_is_a_change() -> None:
    assert changes("", {"image": "a"}) == "specification changed"
    assert changes("[]", {}) == "specification changed"


def test_old_records_go_and_ten_stay(target: EngineTarget) -> None:
    release = released()
    observed = replace(deployed(target, release), records=tuple(Record(n, "{}") for n in range(5, 16)))
    steps = target.plan(replace(settled(release, observed), recorded=False), observed).steps
    assert [step.id for step in steps] == ["store record/16", "remove records"]
    assert steps[1].payload["names"] == ["sample_r5", "sample_r6"]


def test_a_stored_secret_is_not_sent_again(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    secrets = (ReleaseSecret("key", "revision-1", stored=True), ReleaseSecret("new", "r", stored=False))
    steps = target.plan(replace(settled(release, observed), secrets=secrets), observed).steps
    assert [(step.id, step.cause, step.payload["names"]) for step in steps] == [
        ("store secrets", "new or changed: new", ["new"])
    ]


def test_a_renamed_container_is_removed_before_its_successor_is_made(target: EngineTarget) -> None:
    release = released()
    observed = deployed(target, release)
    instances = tuple(replace(one, name="else") if one.resource == "service/web" else one for one in observed.instances)
    steps = target.plan(settled(release, observed), replace(observed, instances=instances)).steps
    assert [step.id for step in steps] == ["remove service/web", "create service/web"]
    assert steps[1].after == ("remove service/web",)


def _several(target: EngineTarget, name: str, release: Release, states: tuple[State, ...]) -> Observed:
    """Nothing but instances of one workload, in these states."""
    (container,) = (one for one in _containers(release) if one.workload.name == name)
    names = target.form.names(release, container)
    resource = container.workload.resource
    instances = tuple(Instance(resource, f"{n}", names[n], n, container.spec, s) for n, s in enumerate(states))
    return replace(nothing(), instances=instances)


def test_an_instance_too_many_goes_before_anything_waits_for_it(target: EngineTarget) -> None:
    two = replace(released(), services=(service("api", min_instances=2),), jobs=(), doors=(), waves=(("api",),))
    observed = _several(target, "api", two, (State.HEALTHY, State.STOPPED))
    steps = target.plan(replace(two, services=(service("api"),)), observed).steps
    (record,) = [step for step in steps if step.resource == "record/1"]
    assert [step.id for step in steps if step.resource == "service/api"] == ["remove service/api"]
    assert "remove service/api" in record.after


@pytest.mark.parametrize(("workers", "ranked"), [(2, True), (1, True), (1, False)])
def test_failed_workers_of_an_earlier_release_go_before_the_job_is_waited_for(
    target: EngineTarget, workers: int, *, ranked: bool
) -> None:
    three = replace(released(), services=(), jobs=(job("train", "0", max_workers=3, ranked=True),), waves=(("train",),))
    observed = _several(target, "train", three, (State.FAILED,) * 3)
    fewer = replace(three, jobs=(job("train", "0", max_workers=workers, ranked=ranked),))
    names = set(target.form.names(fewer, _containers(fewer)[0]))
    steps = {step.id: step for step in target.plan(fewer, observed).steps}
    assert steps["remove job/train"].payload["names"] == [i.name for i in observed.instances if i.name not in names]
    assert "remove job/train" in steps["run job/train"].after


def test_a_due_job_that_has_done_its_work_in_a_volume_that_is_gone_runs_again(target: EngineTarget) -> None:
    setup = job("setup", "0", volumes=(Mount("data", "/data"),))
    release = replace(released(), services=(), jobs=(setup,), volumes=(Volume("data", None),), waves=(("setup",),))
    there = deployed(target, release)
    assert not any(step.resource == "job/setup" for step in target.plan(release, there).steps)
    lost = replace(there, things=tuple(one for one in there.things if one.resource != "volume/data"))
    steps = {step.id: step for step in target.plan(release, lost).steps}
    assert steps["run job/setup"].cause == "its volume is new"
    assert "create volume/data" in steps["run job/setup"].after


def test_no_two_containers_share_a_name(target: EngineTarget) -> None:
    services = (service("api", min_instances=3), service("api-2"))
    jobs = (job("api-3", "0"), job("train", "0", max_workers=2, ranked=True))
    release = replace(released(), services=services, jobs=jobs)
    names = [name for container in _containers(release) for name in target.form.names(release, container)]
    assert len(names) == len(set(names)) == 3 + 1 + 1 + 2


def test_services_of_several_instances_are_named_by_number() -> None:
    release = replace(released(), services=(service("api", min_instances=2),), jobs=(), doors=(), waves=(("api",),))
    (step,) = [s for s in DockerTarget().plan(release, nothing()).steps if s.resource == "service/api"]
    assert [one["name"] for one in step.payload["instances"]] == ["sample-api", "sample-api.2"]  # type: ignore[attr-defined]


# answers


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resources": Resources(gpus=Gpus(2))}, "refused: service/web gpus: needs 2"),
        ({"resources": Resources(gpus=Gpus(2, required=False))}, "adapted: service/web gpus: runs without"),
        ({"max_instances": 4}, "adapted: service/web scale: one instance"),
        ({"max_instances": 4, "min_instances": 2, "doors": ()}, "adapted: service/web scale: fixed at 2"),
        ({"liveness": Healthcheck(None, True, None, None)}, "adapted: service/web liveness"),
    ],
)
def test_what_an_engine_cannot_do_is_said(target: EngineTarget, changed: dict[str, object], said: str) -> None:
    notes = [str(note) for note in target.plan(with_service(released(), "web", **changed), nothing()).notes]
    assert [note for note in notes if note.startswith(said)]


def test_limits_that_an_engine_cannot_keep_are_said_and_not_asked_for(target: EngineTarget) -> None:
    features = FEATURES | {workloads.NO_MEMORY_LIMIT, workloads.NO_CPU_LIMIT}
    release = with_service(released(), "web", resources=Resources(cpus=1.0, memory_bytes=1 << 30))
    plan = target.plan(release, nothing(replace(HOST, features=features)))
    assert [(note.resource, note.feature) for note in plan.notes] == [
        ("service/web", "cpus"),
        ("service/web", "memory"),
    ]
    assert plan.refused == ()
    (web,) = [step for step in plan.steps if step.resource == "service/web"]
    assert not re.search(r'"NanoCpus"|"cpus"', json.dumps(web.payload))


def test_a_schedule_is_refused_and_nothing_is_planned(target: EngineTarget) -> None:
    plan = target.plan(replace(released(), jobs=(job("nightly", "0", run="0 3 * * *"),)), nothing())
    assert plan.steps == ()
    assert "bundle run" in str(plan.refused[0])


def test_an_image_for_another_platform_is_refused(target: EngineTarget) -> None:
    host = replace(HOST, platform=Platform("linux", "riscv64"))
    (note,) = target.plan(released(), nothing(host)).refused
    assert str(note) == "refused: image/app platform: no linux/riscv64 in it, only linux/amd64"


@pytest.mark.parametrize("name", ["secrets", "helper", "r1"])
def test_a_volume_with_a_name_that_the_target_uses_is_refused(target: EngineTarget, name: str) -> None:
    plan = target.plan(replace(released(), volumes=(Volume(name, None),)), nothing())
    assert [note.resource for note in plan.refused] == [f"volume/{name}"]


def test_foreign_things_under_other_names_do_not_matter(target: EngineTarget) -> None:
    things = (Thing("volume/else", "sample_else", "", foreign=True),)
    assert target.plan(released(), replace(nothing(), things=things)).steps


def test_a_taken_port_is_refused_before_anything_is_done(target: EngineTarget) -> None:
    plan = target.plan(released(), nothing(replace(HOST, taken_ports=frozenset({8080}))))
    assert plan.steps == ()
    assert "port 8080 is taken by something else" in str(plan.refused[0])


def test_what_belongs_to_another_app_of_ours_is_named(target: EngineTarget) -> None:
    thing = Thing("volume/data", "sample_data", "", foreign=True, owner="app sample on memory")
    (note,) = target.plan(released(), replace(nothing(), things=(thing,))).refused
    assert "belongs to app sample on memory" in str(note)


def test_what_a_site_says_for_clusters_is_noted(target: EngineTarget) -> None:
    said = replace(released(), storage=(("data", "nfs"),), placement=(("services.web", (("gpu_class", "nvidia"),)),))
    notes = {f"{note.resource} {note.feature}": note for note in target.plan(said, Observed("sample", HOST)).notes}
    assert {"volume/data storage", "service/web placement gpu_class"} <= notes.keys()
    assert not any(note.verdict == "refused" for note in notes.values())
