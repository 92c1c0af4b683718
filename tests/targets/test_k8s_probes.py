"""Health checks as probes, without a cluster."""

from __future__ import annotations

from dataclasses import replace

from test_k8s_parts import container, released

from bundler.model.graph import Healthcheck
from targets.k8s import containers

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
