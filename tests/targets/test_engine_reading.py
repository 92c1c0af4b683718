"""What can be read of docker and compose deployments: logs, Compose's own lists, and what is rendered."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from engines import OnEngine, changed, logs, only

from bundler.edges.clock import SystemClock
from bundler.follow import follow
from bundler.model.observed import LogLine
from targets.sample import Deployment, job, sample

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sample")]


# logs


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


# Compose


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
