"""The runner: order, waiting, deadlines, what is raised when something goes wrong."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bundler.contract import BlobSource
from bundler.errors import StoppedError, TargetError, UnhealthyError
from bundler.model.observed import AppSummary, Host, Instance, LogLine, Observed, State, StoredSecret
from bundler.model.oci import Platform
from bundler.model.plan import Action, Plan, Ready, Step
from bundler.model.release import Release
from bundler.run import POLL_S, STEADY_S, STUCK_S, Runner


@dataclass
class Clockwork:
    """Time that passes only when somebody sleeps."""

    time_s: float = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


@dataclass
class Scripted:
    """A target on which a created service takes `slowness` observations to become healthy."""

    name: str = "scripted"
    slowness: int = 2
    ends: State = State.HEALTHY
    restarts: Iterator[int] = field(default_factory=lambda: itertools.repeat(0))
    fails_at: str | None = None
    done: list[str] = field(default_factory=list)
    ages: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(
        self,
        step: Step,
        blobs: BlobSource | None,
        secrets: Mapping[str, StoredSecret],
        progress: Callable[[int], None],
    ) -> None:
        if step.id == self.fails_at:
            raise TargetError("no room on the disk", hint="make room")
        progress(5)
        with self.lock:
            self.done.append(step.id)
            if step.resource.startswith(("service/", "job/")):
                self.ages[step.resource] = 0

    def observe(self, app: str) -> Observed:
        with self.lock:
            self.ages = {name: age + 1 for name, age in self.ages.items()}
            instances = tuple(
                Instance(name, name, name, 0, "", state, "not yet", restarts=next(self.restarts))
                for name, age in self.ages.items()
                for state in [self.ends if age > self.slowness else State.STARTING]
            )
        return Observed(app, Host(Platform("linux", "amd64"), "scripted", "1"), instances)

    def logs(
        self, app: str, service: str | None, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[LogLine]:
        yield LogLine("2026-01-01T00:00:00Z", service or "", 0, f"{service} says why")

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        return {}

    def plan(self, release: Release | None, observed: Observed) -> Plan:
        return Plan(())

    def secrets(self, app: str) -> Mapping[str, StoredSecret]:
        return {}

    def apps(self) -> tuple[AppSummary, ...]:
        return ()


class Quiet:
    def __init__(self) -> None:
        self.moved_bytes = 0

    def started(self, step: Step) -> None: ...

    def moved(self, step: Step, size_bytes: int) -> None:
        self.moved_bytes += size_bytes

    def finished(self, step: Step) -> None: ...

    def working(self) -> None: ...

    def waiting(self, resources: tuple[str, ...]) -> None: ...


def step(resource: str, *, after: tuple[str, ...] = (), waits: tuple[Ready, ...] = ()) -> Step:
    return Step(resource, Action.CREATE, "not there", {}, after, waits)


def runner(target: Scripted, timeout_s: float = 60.0) -> Runner:
    return Runner(target, "app", None, {}, Quiet(), Clockwork(), timeout_s)


def test_a_step_runs_after_the_steps_it_names_and_once_what_it_waits_for_is_healthy() -> None:
    target = Scripted()
    plan = Plan(
        (
            step("network"),
            step("service/db", after=("create network",)),
            step("service/api", after=("create service/db",), waits=(Ready("service/db", "healthy"),)),
        ),
        ready=(Ready("service/api", "healthy"),),
    )
    runner(target).run(plan)
    assert target.done == ["create network", "create service/db", "create service/api"]


def test_an_empty_plan_of_a_healthy_app_does_nothing() -> None:
    target = Scripted(slowness=0, ages={"service/api": 1})
    runner(target).run(Plan((), ready=(Ready("service/api", "healthy"),)))
    assert target.done == []


def test_a_service_that_never_gets_healthy_ends_at_the_deadline_with_its_last_lines() -> None:
    target = Scripted(slowness=10**6)
    with pytest.raises(UnhealthyError, match=r"not ready within 60 s: service/api is starting \(not yet\)") as caught:
        runner(target).run(Plan((step("service/api"),), ready=(Ready("service/api", "healthy"),)))
    assert "api says why" in (caught.value.hint or "")


def test_a_failed_job_ends_the_run_at_once() -> None:
    target = Scripted(ends=State.FAILED)
    plan = Plan((step("job/load"), step("service/api", waits=(Ready("job/load", "completed"),))))
    with pytest.raises(UnhealthyError, match="job/load failed"):
        runner(target, timeout_s=10**9).run(plan)
    assert target.done == ["create job/load"]


def test_a_job_that_runs_for_too_long_is_ended_and_has_failed() -> None:
    target = Scripted(slowness=10**6)
    stop = Step("job/load", Action.STOP, "its timeout is over", {})
    plan = Plan((step("job/load"),), ready=(Ready("job/load", "completed", within_s=30.0, overdue=stop),))
    with pytest.raises(UnhealthyError, match=r"job/load ran for longer than its timeout of 30 s and was ended"):
        runner(target, timeout_s=10**9).run(plan)
    assert target.done == ["create job/load", "stop job/load"]


def test_a_service_without_a_health_check_must_stay_up_for_a_moment() -> None:
    target = Scripted(slowness=0, ends=State.RUNNING, restarts=iter([0, 1, 1, 2, *[3] * 50]))
    running = runner(target)
    recording = Step(
        "record/1", Action.STORE, "", {}, waits=(steady := (Ready("service/api", "running", steady=True),))
    )
    running.run(Plan((step("service/api"), recording), ready=steady))
    assert next(target.restarts) == 3
    assert running.clock.now() >= STEADY_S + 3 * POLL_S


def test_a_service_that_ends_again_and_again_is_not_waited_for() -> None:
    target = Scripted(slowness=0, ends=State.RESTARTING, restarts=itertools.count())
    with pytest.raises(UnhealthyError, match=r"service/api ends again and again: not yet"):
        runner(target, timeout_s=10**9).run(Plan((step("service/api"),), ready=(Ready("service/api", "running"),)))


@dataclass
class Stuck(Scripted):
    """The job `load` cannot start for the first `looks` looks."""

    looks: int = 10**6

    def observe(self, app: str) -> Observed:
        observed = super().observe(app)
        held = tuple(replace(one, state=State.CREATED, stuck=True) for one in observed.instances)
        return observed if self.ages.get("job/load", 0) > self.looks else replace(observed, instances=held)


def test_what_cannot_start_is_given_a_moment_and_not_the_whole_time() -> None:
    plan = Plan((step("job/load"),), ready=(Ready("job/load", "completed"),))
    running = runner(Stuck(ends=State.COMPLETED), timeout_s=10**9)
    with pytest.raises(UnhealthyError, match=r"job/load cannot start: not yet"):
        running.run(plan)
    assert STUCK_S <= running.clock.now() < STUCK_S + 2
    runner(Stuck(ends=State.COMPLETED, looks=int(STUCK_S / POLL_S) - 8), timeout_s=10**9).run(plan)


@dataclass
class Uploading(Stuck):
    """A step takes longer than what is stuck is given."""

    clock: Clockwork = field(default_factory=Clockwork)

    def apply(self, step: Step, *given: Any) -> None:
        super().apply(step, *given)
        self.clock.sleep(2 * STUCK_S)


def test_what_cannot_start_has_its_moment_after_the_step_that_may_mend_it() -> None:
    target = Uploading(ends=State.COMPLETED, looks=20, ages={"job/load": 0})
    ready = Ready("job/load", "completed")
    plan = Plan((step("image/load"), step("service/api", waits=(ready,))), ready=(ready,))
    replace(runner(target, timeout_s=10**9), clock=target.clock).run(plan)
    assert target.done == ["create image/load", "create service/api"]


@dataclass
class Mending(Scripted):
    """The service `api` of an earlier release ends again and again until it is replaced."""

    def observe(self, app: str) -> Observed:
        observed = super().observe(app)
        if "create service/api" in self.done:
            return observed
        old = Instance("service/api", "old", "api", 0, "", State.RESTARTING, restarts=1000)
        return Observed(app, observed.host, (*observed.instances, old))


def test_a_service_that_ended_again_and_again_before_can_be_replaced_by_a_mended_one() -> None:
    target = Mending()
    mended = step("service/api", waits=(Ready("service/db", "healthy"),))
    runner(target).run(Plan((step("service/db"), mended), ready=(Ready("service/api", "healthy"),)))
    assert target.done == ["create service/db", "create service/api"]


def test_how_often_a_service_ended_in_its_earlier_life_does_not_count() -> None:
    restarting = itertools.chain([1000, 1001], itertools.repeat(1002))
    target = Scripted(slowness=0, ends=State.RESTARTING, restarts=restarting, ages={"service/api": 1})
    with pytest.raises(UnhealthyError, match="not ready within 60 s"):
        runner(target).run(Plan((), ready=(Ready("service/api", "running"),)))


def test_the_time_that_steps_take_is_no_waiting_for_health() -> None:
    clock = Clockwork()

    @dataclass
    class Slow(Scripted):
        def apply(self, step: Step, *rest: object) -> None:  # type: ignore[override]  # passed on as they are
            clock.sleep(3600.0 if step.resource == "image/big" else 0.0)
            Scripted.apply(self, step, *rest)  # type: ignore[arg-type]

    target = Slow(slowness=5)
    plan = Plan((step("image/big"), step("service/api", after=("create image/big",))))
    plan = Plan(plan.steps, ready=(Ready("service/api", "healthy"),))
    Runner(target, "app", None, {}, Quiet(), clock, 60.0).run(plan)
    assert target.done == ["create image/big", "create service/api"]


def test_a_run_that_must_not_go_on_begins_no_further_step() -> None:
    target = Scripted()

    def proceed() -> None:
        if target.done:
            raise TargetError("somebody else goes on", hint="see what is there")

    plan = Plan((step("network"), step("service/api", after=("create network",))))
    with pytest.raises(StoppedError, match="somebody else goes on"):
        Runner(target, "app", None, {}, Quiet(), Clockwork(), 60.0, proceed).run(plan)
    assert target.done == ["create network"]
    with pytest.raises(TargetError, match="somebody else goes on"):
        Runner(target, "app", None, {}, Quiet(), Clockwork(), 60.0, proceed).run(
            Plan((), ready=(Ready("service/api", "healthy"),))
        )


def test_an_error_before_anything_was_done_is_told_as_it_is() -> None:
    with pytest.raises(TargetError, match="no room on the disk"):
        runner(Scripted(fails_at="create network")).run(Plan((step("network"),)))


def test_an_error_after_something_was_done_says_that_the_same_command_goes_on() -> None:
    plan = Plan((step("network"), step("volume/data", after=("create network",))))
    with pytest.raises(StoppedError, match="stopped at 'create volume/data': no room on the disk") as caught:
        runner(Scripted(fails_at="create volume/data")).run(plan)
    assert "make room" in (caught.value.hint or "")
    assert "run the same command again" in (caught.value.hint or "")


def test_an_interruption_ends_what_is_being_sent() -> None:
    sent: list[int] = []

    class Loading(Scripted):
        def apply(self, step: Step, *rest: Any) -> None:
            for number in range(100 if step.resource == "image/big" else 0):
                time.sleep(0.05)
                rest[-1](1)
                sent.append(number)

    class Impatient(Quiet):
        def finished(self, step: Step) -> None:
            raise KeyboardInterrupt

    plan = Plan((step("image/big"), step("network")))
    with pytest.raises(KeyboardInterrupt):
        Runner(Loading(), "app", None, {}, Impatient(), Clockwork(), 60.0).run(plan)
    assert len(sent) < 50


@dataclass
class Restarting(Scripted):
    """It does not answer for a while once something was done."""

    silent: int = 10

    def observe(self, app: str) -> Observed:
        if self.done and self.silent:
            self.silent -= 1
            raise TargetError("no answer")
        return super().observe(app)


def test_a_target_that_restarts_is_asked_again() -> None:
    target = Restarting()
    runner(target).run(Plan((step("service/api"),), ready=(Ready("service/api", "healthy"),)))
    assert target.silent == 0


def test_a_target_that_has_gone_stops_the_run_which_can_go_on_later() -> None:
    plan = Plan((step("service/api"),), ready=(Ready("service/api", "healthy"),))
    with pytest.raises(StoppedError, match="no answer") as caught:
        runner(Restarting(silent=10**6)).run(plan)
    assert "run the same command again" in (caught.value.hint or "")


def test_independent_steps_all_run() -> None:
    target = Scripted()
    runner(target).run(Plan(tuple(step(f"volume/v{number}") for number in range(20))))
    assert sorted(target.done) == sorted(f"create volume/v{number}" for number in range(20))
