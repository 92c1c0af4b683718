"""A service's health check as the command that an engine runs in the container. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bundler.model.graph import Healthcheck
from bundler.model.release import ReleaseJob, ReleaseService, Workload
from targets.helper import MOUNT_PATH


@dataclass(frozen=True, slots=True)
class Probe:
    """A health check as the engine runs it."""

    test: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float


def probe(workload: Workload) -> Probe | None:
    """The health check; where a service has none and asks for liveness, that one."""
    if isinstance(workload, ReleaseJob):
        return None
    check = workload.healthcheck or workload.liveness
    if check is None:
        return None
    return Probe(
        ("CMD", *_test(check, workload)), check.interval_s, check.timeout_s, check.retries, check.start_period_s
    )


def _test(check: Healthcheck, service: ReleaseService) -> tuple[str, ...]:
    if check.test is not None:
        return check.test
    port = check.port if check.port is not None else service.ports[0][1]
    timeout = str(max(1, math.floor(check.timeout_s)))
    if check.http is not None:
        return (MOUNT_PATH, "probe", "http", str(port), check.http, timeout)
    return (MOUNT_PATH, "probe", "tcp", str(port), timeout)
