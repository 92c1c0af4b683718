"""Volumes that somebody removes behind a deploy's back, which stay as long as a pod mounts them."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from clusters import InCluster
from k8s_sample import in_place, plan, released

from bundler.model.graph import Mount, Volume
from bundler.model.observed import Observed
from bundler.model.plan import Verdict
from bundler.model.release import Release
from targets.k8s import access, names
from targets.k8s import cluster as facts
from targets.k8s.claims import is_held
from targets.k8s.names import Json
from targets.sample import Deployment, job, sample, service

DATA = (Mount("data", "/data"),)


def going(release: Release, *features: str) -> Observed:
    there = in_place(release)
    things = tuple(one for one in there.things if one.resource != "volume/data")
    told = there.host.features | {facts.GOING + "data", *features}
    return replace(there, things=things, host=replace(there.host, features=told))


def test_what_has_ended_lets_the_volume_go_before_it_is_made_anew() -> None:
    features = [f"{facts.ENDED}data load-1", f"{facts.ENDED}data-2 load-2"]
    planned = plan(released(), going(released(), *features))
    (step,) = (one for one in planned.steps if one.id == "create volume/data")
    assert step.cause == "is being removed, held by load-1, which ended and goes first"
    assert step.payload["gone"] == ["Pod/load-1", "PersistentVolumeClaim/data"]
    deleted = {right.shown for right in access.needs([step]) if right.verb == "delete"}
    assert deleted == {"pods", "persistentvolumeclaims", "secrets"}, "and the lease"


def test_what_runs_or_is_somebody_elses_is_named_with_the_command_that_ends_it() -> None:
    planned = plan(released(), going(released(), f"{facts.HOLDS}data theirs", f"{facts.HOLDS}data web-1"))
    assert planned.steps == ()
    (refused,) = planned.refused
    assert (refused.resource, refused.feature) == ("volume/data", "removal")
    assert "held by theirs, web-1" in refused.reason
    assert "kubectl delete pod theirs web-1 -n sample, then run the same command again" in refused.reason


def test_a_pod_without_a_node_or_that_ends_already_holds_nothing() -> None:
    volumes = [{"name": "tmp", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    pod: Json = {"metadata": {"name": "one"}, "spec": {"nodeName": "n1", "volumes": volumes}}
    assert is_held("data", pod)
    assert not is_held("data-2", pod)
    assert not is_held("data", {**pod, "spec": {"volumes": volumes}})
    assert not is_held("data", {**pod, "metadata": {"name": "one", "deletionTimestamp": "now"}})
    assert not is_held("data", {**pod, "spec": {"nodeName": "n1"}})


# on a cluster


@pytest.fixture
def subject(program: bytes) -> InCluster:
    return InCluster(program)


def kubectl(app: str, *argv: str) -> None:
    done = subprocess.run(["kubectl", "--namespace", app, *argv], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def loading(subject: InCluster, **web: object) -> Release:
    """A job that has something to do in a volume, and a service."""
    load = job("load", "0", "loaded", volumes=DATA, user="10001:10001")
    release = replace(sample(subject), services=(service("web", user="10001:10001", **web),), jobs=(load,), doors=())
    return replace(release, volumes=(Volume("data", 1 << 20),), waves=(("web",), ("load",)))


def claim(subject: InCluster) -> Json:
    found = subject.api.get("PersistentVolumeClaim", "data", subject.app)
    assert found is not None
    return found


@pytest.mark.cluster
@pytest.mark.timeout(180)
def test_a_volume_that_only_a_finished_job_holds_is_made_anew_and_the_job_runs_again(
    subject: InCluster, deployment: Deployment
) -> None:
    release = loading(subject)
    deployment.go(release)
    before = claim(subject)["metadata"]["uid"]
    kubectl(subject.app, "delete", "pvc", "data", "--wait=false")
    assert claim(subject)["metadata"]["deletionTimestamp"], "the pod of the finished job holds it"
    planned = deployment.plan(release)
    causes = {step.id: step.cause for step in planned.steps}
    (pod,) = subject.api.list("Pod", subject.app, labels=names.selector(subject.app, "load"))
    held = f"held by {pod['metadata']['name']}, which ended and goes first"
    assert causes["create volume/data"] == f"is being removed, {held}"
    assert causes["run job/load"] == "its volume is new"
    assert [note for note in subject.target.check(planned) if note.verdict is Verdict.REFUSED] == []
    deployment.go(release)
    after = claim(subject)["metadata"]["uid"]
    assert after != before
    deployment.carry_out([step for step in planned.steps if step.id == "create volume/data"])
    assert claim(subject)["metadata"]["uid"] == after, "a plan of before takes no volume that was made meanwhile"
    (again,) = subject.api.list("Pod", subject.app, labels=names.selector(subject.app, "load"))
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]


@pytest.mark.cluster
@pytest.mark.timeout(180)
def test_a_volume_that_something_running_holds_is_refused_until_that_has_been_ended(
    subject: InCluster, deployment: Deployment
) -> None:
    release = loading(subject, volumes=DATA)
    deployment.go(release)
    kubectl(subject.app, "delete", "pvc", "data", "--wait=false")
    refused = subject.target.plan(release, deployment.observe()).refused
    (pod,) = subject.api.list("Pod", subject.app, labels=names.selector(subject.app, "web"))
    told = f"kubectl delete pod {pod['metadata']['name']} -n {subject.app}"
    assert [note.resource for note in refused] == ["volume/data"]
    assert told in refused[0].reason
    kubectl(subject.app, *told.split()[1:4])
    deployment.go(release)
    assert "deletionTimestamp" not in claim(subject)["metadata"]
