"""Front doors that cannot be opened where a site wants them: what runs goes on, on a real engine."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest
from engines import OnEngine, changed, free_port, get, only

from bundler.edges import ports
from bundler.errors import TargetError
from bundler.model.release import Release
from targets.sample import Deployment

ELSEWHERE = "203.0.113.9"  # nobody's: RFC 5737


def moved(release: Release, deployment: Deployment, **where: object) -> Release:
    door = replace(release.doors[0], **where)  # type: ignore[arg-type]  # fields of it
    return replace(changed(release, deployment, doors=(door,)), doors=(door,))


def test_addresses_are_those_of_this_machine() -> None:
    assert [one for one in ("127.0.0.1", "0.0.0.0", ELSEWHERE, "2001:db8::1") if ports.has_address(one)] == [
        "127.0.0.1",
        "0.0.0.0",
    ]


@pytest.mark.engine
@pytest.mark.xdist_group("sample")
def test_an_address_that_the_machine_has_not_is_refused_before_the_first_step(
    subject: OnEngine, deployment: Deployment
) -> None:
    release = only(subject)
    deployment.go(release)
    plan = deployment.plan(moved(release, deployment, bind=ELSEWHERE))
    (refused,) = subject.target.check(plan)
    assert (refused.resource, refused.feature, str(refused.verdict)) == ("service/web", "publish front", "refused")
    assert f"no address {ELSEWHERE}; choose one that it has: --set publish.front.bind=…" in refused.reason
    assert subject.target.check(deployment.plan(moved(release, deployment, bind="127.0.0.2"))) == ()


@pytest.mark.engine
@pytest.mark.xdist_group("sample")
def test_what_runs_goes_on_where_only_the_engine_knows_that_a_door_cannot_be_opened(
    subject: OnEngine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    release = only(subject)
    deployment.go(release)
    before = deployment.identities()
    places: list[dict[str, Any]] = [{"bind": ELSEWHERE}, {"host_port": free_port()}]
    for where in places:
        plan = deployment.plan(moved(release, deployment, **where))
        assert subject.target.check(plan) == ()
        said = pytest.raises(TargetError, match=r"front door front at .* cannot be opened: ")
        with socket.create_server(("127.0.0.1", where.get("host_port", 0))), said as caught:
            deployment.carry_out(plan.steps)
        assert "what runs goes on as it is" in (caught.value.hint or "")
        assert deployment.identities() == before
        assert get(subject.port, "/id")


@pytest.mark.engine
@pytest.mark.xdist_group("sample")
def test_a_door_that_can_be_opened_elsewhere_moves(subject: OnEngine, deployment: Deployment) -> None:
    release = only(subject)
    deployment.go(release)
    for where in ({"bind": "0.0.0.0"}, {"bind": "127.0.0.1", "host_port": free_port()}):
        release = moved(release, deployment, **where)
        deployment.go(release)
        assert get(release.doors[0].host_port, "/id")
    leftovers = [thing for thing in deployment.observe().things if thing.resource.startswith("leftover/")]
    assert leftovers == []


@pytest.mark.engine
@pytest.mark.xdist_group("sample")
def test_a_port_that_is_taken_between_plan_and_deploy_is_told_in_words(
    subject: OnEngine, deployment: Deployment
) -> None:
    steps = deployment.plan(only(subject)).steps
    with (
        socket.create_server(("127.0.0.1", subject.port)),
        pytest.raises(TargetError, match=f"at 127.0.0.1:{subject.port}: something else has taken the port") as caught,
    ):
        deployment.carry_out(steps)
    assert "run the same command again" in (caught.value.hint or "")
