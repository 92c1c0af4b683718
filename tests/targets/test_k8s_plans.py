"""What is planned for a cluster, and what is refused, without a cluster."""

from __future__ import annotations

import json
from dataclasses import replace

from engine_sample import Fixed, text
from images import AMD64
from k8s_sample import ALL, FEATURES, in_place, nothing, plan, released

from bundler.model.graph import Condition, Mount
from bundler.model.observed import Host, Instance, Observed, State, Thing
from bundler.model.plan import Ready
from bundler.model.release import FileMount, Need
from targets import ownership
from targets.k8s import cluster as facts
from targets.k8s import planning
from targets.k8s.cluster import Settings
from targets.k8s.files import LIMIT_BYTES
from targets.sample import job, settled


def test_needs_are_waited_for() -> None:
    changed = released(needs=(Need("store", Condition.HEALTHY),))
    (web,) = [step for step in plan(changed).steps if step.resource == "service/web"]
    assert web.waits == (Ready("service/store", "healthy"),)


def test_a_first_deploy_is_in_order() -> None:
    assert [step.id for step in plan(released()).steps] == [
        "create namespace",
        "load image/app",
        "create helper",
        "create volume/data",
        "store secrets",
        "create files/web",
        "create service/store",
        "run job/seed",
        "create service/web",
        "store record/1",
    ]


def test_a_due_job_that_has_done_its_work_in_a_volume_that_is_gone_runs_again() -> None:
    setup = job("seed", "0", volumes=(Mount("data", "/data"),))
    release = replace(released(), jobs=(setup,))
    (run,) = [step for step in plan(release).steps if step.resource == "job/seed"]
    spec = run.payload["objects"][-1]["object"]["metadata"]["annotations"][ownership.SPEC]  # type: ignore[index]
    done = Instance("job/seed", "id", "seed-x", 0, spec, State.COMPLETED)
    there = replace(in_place(release), instances=(done,))
    assert not any(step.resource == "job/seed" for step in plan(release, there).steps)
    lost = replace(there, things=tuple(one for one in there.things if one.resource != "volume/data"))
    (again,) = [step for step in plan(release, lost).steps if step.resource == "job/seed"]
    assert (again.cause, "create volume/data" in again.after) == ("its volume is new", True)


def test_what_is_in_place_gives_no_steps() -> None:
    release = settled(released(), in_place(released()))
    assert plan(replace(release, recorded=True), in_place(release)).steps == ()


def test_a_newer_cluster_restarts_nothing() -> None:
    release = replace(settled(released(), in_place(released())), recorded=True)
    observed = in_place(release)
    later = replace(observed, host=replace(observed.host, version="1.40", features=observed.host.features | ALL))
    assert plan(release, later).steps == ()


def test_what_a_plan_says_is_text_and_stable() -> None:
    assert text(plan(released())) == text(plan(released()))
    assert "pl$in" not in json.dumps([dict(step.payload) for step in plan(released()).steps])


def test_without_a_way_to_the_nodes_the_choices_are_named() -> None:
    (note,) = plan(released(), settings=Settings()).refused
    assert "--containerd" in note.reason
    assert "--registry" in note.reason


def test_an_unknown_word_of_placement_is_refused() -> None:
    release = replace(released(), placement=(("services.web", (("gpu_clas", "nvidia"),)),))
    (note,) = plan(release).refused
    assert "gpu_class" in note.reason


def test_a_foreign_object_of_a_needed_name_is_refused() -> None:
    observed = replace(nothing(), things=(Thing("service/web", "Service/web", "", foreign=True),))
    (note,) = plan(released(), observed).refused
    assert "Service/web" in note.reason
    other = replace(nothing(), things=(Thing("service/other", "Service/other", "", foreign=True),))
    assert plan(released(), other).refused == ()


def test_a_namespace_of_somebody_else_is_checked_and_left_alone() -> None:
    there = FEATURES | {facts.NAMESPACE}
    assert "create namespace" not in [step.id for step in plan(released(), nothing(there)).steps]
    (note,) = plan(released(), nothing(there | {facts.ENFORCES + "restricted"})).refused
    assert "job/seed needs baseline" in note.reason
    assert plan(released(), nothing(there | {facts.ENFORCES + "privileged"})).refused == ()


def test_a_namespace_is_only_removed_if_it_is_ours_and_nothing_else_is_in_it() -> None:
    ours = FEATURES | {facts.NAMESPACE, facts.OWN_NAMESPACE}
    (step,) = plan(None, nothing(ours)).steps
    assert (step.id, step.loses_data) == ("remove namespace", True)
    assert plan(None, nothing(FEATURES | {facts.NAMESPACE})).steps == ()
    assert plan(None, nothing(ours | {facts.FOREIGN})).steps == ()


def test_a_missing_default_storage_class_is_refused() -> None:
    (note,) = plan(released(), nothing(FEATURES - {facts.STORAGE})).refused
    assert "StorageClass" in note.reason


def test_a_file_that_no_configmap_holds_is_refused() -> None:
    large = replace(Fixed().config, size_bytes=LIMIT_BYTES + 1)
    (note,) = plan(released(files=(FileMount("/etc/x", large, secret=False),))).refused
    assert note.feature == "file /etc/x"


def test_records_are_packed_to_the_same_bytes_at_any_time() -> None:
    assert planning.packed("x")[4:8] == bytes(4), "the time in gzip's header (RFC 1952, 2.3)"


def test_images_of_another_platform_are_refused() -> None:
    observed = Observed("sample", Host(replace(AMD64, architecture="arm64"), "kubernetes", "1.36", FEATURES))
    assert [note.feature for note in plan(released(), observed).refused] == ["platform"]
