"""How running services become those of another release, on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from clusters import InCluster
from test_k8s_life import get, only

from bundler.model.graph import Mount, Resources, Volume
from bundler.model.observed import State
from bundler.model.release import Release
from targets.k8s import cluster as facts
from targets.sample import Deployment, settled, with_service

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture
def subject(program: bytes) -> InCluster:
    return InCluster(program)


def owners(subject: InCluster) -> list[str]:
    return [kind for kind in ("Deployment", "StatefulSet") if subject.api.get(kind, "web", subject.app) is not None]


def test_a_service_begins_and_ceases_to_keep_data(subject: InCluster, deployment: Deployment) -> None:
    base = replace(only(subject), volumes=(Volume("data", 1 << 20),))
    deployment.go(base)
    assert owners(subject) == ["Deployment"]
    for mounts, owner in (((Mount("data", "/data"),), "StatefulSet"), ((), "Deployment")):
        release = with_service(settled(base, deployment.observe()), "web", volumes=mounts)
        deployment.go(release)
        assert owners(subject) == [owner]
        assert [one.state for one in deployment.observe().of("service/web")] == [State.HEALTHY]
        assert get(subject, "/id").startswith("10001:10001")
        assert deployment.plan(settled(release, deployment.observe())).steps == ()


def test_an_autoscaler_comes_and_goes_without_a_restart(subject: InCluster, deployment: Deployment) -> None:
    scaling = {"min_instances": 2, "max_instances": 4, "scale_cpu": 50, "resources": Resources(cpus=0.2)}
    release = replace(only(subject, doors=(), **scaling), doors=())
    deployed(subject, deployment, release, measuring=False)
    assert replicas(subject) == 2
    subject.api.scale("Deployment", subject.app, "web", 3)
    deployment.wait(deployment.plan(release).ready)
    pods = deployment.identities()
    assert len(pods) == 3

    release = settled(release, deployment.observe())
    assert deployed(subject, deployment, release, measuring=True) == ["create service/web"]
    assert (replicas(subject), deployment.identities()) == (3, pods), "there are as many as there were"
    assert subject.api.get("HorizontalPodAutoscaler", "web", subject.app) is not None

    assert deployed(subject, deployment, release, measuring=False) == ["create service/web"]
    assert subject.api.get("HorizontalPodAutoscaler", "web", subject.app) is None
    assert replicas(subject) == 2
    deployment.wait(deployment.plan(release).ready)
    assert set(pods.values()) >= set(deployment.identities().values())


def deployed(subject: InCluster, deployment: Deployment, release: Release, *, measuring: bool) -> list[str]:
    """The steps to the release on the cluster, as if it measured load or did not."""
    observed = deployment.observe()
    assert facts.METRICS in observed.host.features
    without = replace(observed.host, features=observed.host.features - {facts.METRICS})
    plan = subject.target.plan(release, observed if measuring else replace(observed, host=without))
    deployment.carry_out(plan.steps)
    deployment.wait(plan.ready)
    return [step.id for step in plan.steps]


def replicas(subject: InCluster) -> int:
    there = subject.api.get("Deployment", "web", subject.app)
    assert there is not None
    return int(there["spec"]["replicas"])


@pytest.fixture
def growing(subject: InCluster) -> Iterator[str]:
    """A StorageClass like the cluster's own, whose volumes may be made larger."""
    name = f"{subject.app}-grows"
    there = subject.api.list("StorageClass")[0]
    made = {key: there[key] for key in ("provisioner", "reclaimPolicy", "volumeBindingMode")}
    made |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    subject.api.apply(made | {"allowVolumeExpansion": True})
    yield name
    subject.api.delete("StorageClass", name)


def test_a_volume_grows_where_its_class_allows_it(growing: str, subject: InCluster, deployment: Deployment) -> None:
    release = replace(
        only(subject, volumes=(Mount("data", "/data"),)),
        volumes=(Volume("data", 16 << 20),),
        storage=(("data", growing),),
    )
    deployment.go(release)
    pods = deployment.identities()
    larger = replace(settled(release, deployment.observe()), volumes=(Volume("data", 32 << 20),))
    assert [(step.id, step.cause) for step in deployment.go(larger).steps] == [("create volume/data", "larger")]
    claim = subject.api.get("PersistentVolumeClaim", "data", subject.app)
    assert claim is not None
    assert claim["spec"]["resources"]["requests"]["storage"] in (str(32 << 20), "32Mi")
    assert deployment.plan(larger).steps == ()
    smaller = replace(settled(release, deployment.observe()), storage=())
    assert deployment.plan(smaller).steps == (), "it has at least the room asked for, and stays in its class"
    assert deployment.identities() == pods
