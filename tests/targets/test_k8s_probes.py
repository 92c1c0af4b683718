"""Health checks as probes, without a cluster."""

from __future__ import annotations

from dataclasses import replace

from k8s_sample import container, made, plan, released

from bundler.model.graph import Healthcheck
from bundler.model.plan import Verdict
from targets.k8s import containers
from targets.sample import job

CHECK = Healthcheck("/h", False, None, None, 10, 5, 3, 60)


def test_health_is_readiness_and_never_liveness_unasked() -> None:
    found = container(released(healthcheck=CHECK), "web")
    assert (found["readinessProbe"]["periodSeconds"], found["readinessProbe"]["timeoutSeconds"]) == (10, 5)
    assert "livenessProbe" not in found


def test_what_is_not_well_in_time_is_left_running() -> None:
    found = container(released(healthcheck=CHECK), "web")["startupProbe"]
    assert (found["periodSeconds"], found["failureThreshold"]) == (1, containers.NEVER)


def test_liveness_begins_when_the_time_to_start_is_over() -> None:
    live = replace(CHECK, http="/live", start_period_s=5)
    for liveness, budget in ((live, 90), (replace(live, start_period_s=100), 130)):
        found = container(released(healthcheck=CHECK, liveness=liveness), "web")
        assert found["livenessProbe"]["httpGet"]["path"] == "/live"
        assert found["startupProbe"]["httpGet"]["path"] == "/live"
        assert found["startupProbe"]["failureThreshold"] == budget


def test_times_that_are_no_whole_seconds_are_rounded_up_and_told() -> None:
    fast = replace(CHECK, interval_s=0.5, timeout_s=2.5)
    release = released(healthcheck=fast, liveness=CHECK)
    found = container(release, "web")["readinessProbe"]
    assert (found["periodSeconds"], found["timeoutSeconds"]) == (1, 3)
    told = {one.feature: one for one in plan(release).notes if "whole seconds" in one.reason}
    assert set(told) == {"healthcheck interval", "healthcheck timeout"}, "the others are whole"
    assert told["healthcheck timeout"].verdict is Verdict.ADAPTED
    assert told["healthcheck timeout"].reason.startswith("3 s, not 2.5 s")


def test_a_jobs_time_is_rounded_up_and_told() -> None:
    base = released()
    release = replace(base, jobs=(job("seed", "0", timeout_s=1.4, stop_grace_period_s=0.5),))
    assert made(release)["seed"].main.body["spec"]["activeDeadlineSeconds"] == 2
    told = {one.feature for one in plan(release).notes if "whole seconds" in one.reason}
    assert told == {"timeout", "stop_grace_period"}
