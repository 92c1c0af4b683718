"""The workers of a job, on a real cluster: they find each other, whoever or whatever starts them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from clusters import InCluster
from test_k8s_life import get, only

from bundler.model.observed import State
from bundler.model.plan import Ready
from targets.k8s import names
from targets.sample import Deployment, job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture
def subject(program: bytes) -> InCluster:
    return InCluster(program)


def test_workers_find_their_master(subject: InCluster, deployment: Deployment) -> None:
    train = job("train", "0", user="10001:10001", run="manual", min_workers=3, max_workers=3, ranked=True)
    deployment.go(replace(only(subject), jobs=(replace(train, due=True),)))
    lines = [line.text for line in subject.target.logs(subject.app, "train", follow=False, since=None, tail=None)]
    assert sorted(line for line in lines if line.startswith("rank")) == [f"rank {rank} of 3" for rank in range(3)]
    observed = deployment.observe()
    assert [(one.index, one.state) for one in observed.of("job/train")] == [(r, State.COMPLETED) for r in range(3)]
    serving = replace(train, entrypoint=(("/server",), ("serve",), ("29500",)), command=None, due=True)
    plan = deployment.plan(replace(only(subject), jobs=(serving,)))
    deployment.carry_out([step for step in plan.steps if step.resource == "job/train"])
    deployment.wait([Ready("job/train", "running")])
    assert "train-0" in until(subject, "/get/train-0.train/29500/id")


def test_workers_that_a_schedule_starts_find_their_master(subject: InCluster, deployment: Deployment) -> None:
    """Started as the cluster's controller does it, under a name of the run's own; a variable of the graph's is left."""
    train = job("train", user="10001:10001", run="0 3 * * *", due=False, min_workers=2, max_workers=2, ranked=True)
    train = replace(
        train, environment=(("MASTER_PORT", ("29501",)),), entrypoint=(("/server",), ("serve",), ("29500",))
    )
    deployment.go(replace(only(subject), jobs=(replace(train, command=None),)))
    cron = subject.api.get("CronJob", "train", subject.app)
    assert cron is not None
    template = cron["spec"]["jobTemplate"]
    metadata = {**template["metadata"], "name": "train-29384756"}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    subject.api.create(body, subject.app)
    deployment.wait([Ready("job/train", "running")])
    told = dict(line.split("=", 1) for line in until(subject, "/env", "train", 29500).splitlines())
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == ("train-29384756-0.train", "29501")
    assert "train-29384756-0" in until(subject, f"/get/{told['MASTER_ADDR']}/29500/id")


def test_each_worker_is_tried_again_whatever_the_others_do(subject: InCluster, deployment: Deployment) -> None:
    broken = job("broken", "3", "no good", user="10001:10001", min_workers=2, max_workers=2, ranked=True, retries=1)
    steps = deployment.plan(replace(only(subject), jobs=(broken,), waves=(("web",), ("broken",)))).steps
    deployment.carry_out([step for step in steps if step.resource != "record/1"])
    deadline = time.monotonic() + 90
    while State.FAILED not in {one.state for one in deployment.observe().of("job/broken")}:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    tries = subject.api.list("Pod", subject.app, labels=names.selector(subject.app, "broken"))
    assert len(tries) > 2


def until(subject: InCluster, path: str, name: str = "web", port: int = 8000) -> str:
    """What it answers once it does: names are known a moment after the pods are."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return get(subject, path, name, port)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)
