"""How running services become those of another release, on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from clusters import InCluster
from test_k8s_life import get, only

from bundler.model.graph import Mount, Volume
from bundler.model.observed import State
from targets.sample import Deployment, settled, with_service

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture
def subject(program: bytes) -> InCluster:
    return InCluster(program)


@pytest.fixture
def deployment(subject: InCluster) -> Iterator[Deployment]:
    deployment = Deployment(subject, subject.app)
    yield deployment
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []


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
