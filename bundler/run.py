"""Runs a plan: independent steps side by side, each when what it waits for is ready.

Reads    a Plan and, through `Target.observe`, what is ready
Writes   effects, only through `Target.apply`
Next     `Target.observe` -> status
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from bundler.contract import BlobSource, Target
from bundler.edges.clock import Clock
from bundler.errors import BundleError, StoppedError, TargetError, UnhealthyError
from bundler.model.observed import Observed, State, StoredSecret
from bundler.model.plan import Plan, Ready, Step

POLL_S = 0.25
STEADY_S = 1.5  # what has no health check must run for so long without ending
CRASHES = 8  # what has ended so often during a run and is down again is not waited for any longer
STUCK_S = 30.0  # what could not start for so long is not waited for; a kubelet tries again every 15 s
ANSWERS_WITHIN_S = 15.0  # a target that does not answer for so long, between steps, is gone
AT_ONCE = 4
LOG_LINES = 15

_FULFILS: Mapping[str, frozenset[State]] = {
    "running": frozenset({State.RUNNING, State.STARTING, State.HEALTHY, State.UNHEALTHY}),
    "healthy": frozenset({State.HEALTHY, State.RUNNING}),
    "completed": frozenset({State.COMPLETED}),
}


class Reporter(Protocol):
    """Told what happens, and now and then that steps are still at it; draws it or not."""

    def started(self, step: Step) -> None: ...

    def moved(self, step: Step, size_bytes: int) -> None: ...

    def finished(self, step: Step) -> None: ...

    def working(self) -> None: ...

    def waiting(self, resources: tuple[str, ...]) -> None: ...


@dataclass
class _Progress:
    done: set[str] = field(default_factory=set)
    running: dict[Future[None], Step] = field(default_factory=dict)


@dataclass
class _Life:
    """Of one instance: how often it had ended when it was first seen, how often by now, and since when not again; since
    when it is stuck."""

    before: int
    ends: int
    since: float
    stuck_since: float | None = None


def _always() -> None:
    """Goes on."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One run of one plan. `timeout_s` bounds the waiting for readiness; what steps take to be done does not count.
    `proceed` raises TargetError where this run must not go on."""

    target: Target
    app: str
    blobs: BlobSource | None
    secrets: Mapping[str, StoredSecret]
    reporter: Reporter
    clock: Clock
    timeout_s: float
    proceed: Callable[[], None] = _always
    _running_since: dict[str, float] = field(default_factory=dict)
    _lives: dict[str, _Life] = field(default_factory=dict)
    _interrupted: threading.Event = field(default_factory=threading.Event)

    def run(self, plan: Plan) -> None:
        """Do every step, then wait until `plan.ready` holds.

        Raises what `apply` raised if nothing was done before it, StoppedError if something was,
        UnhealthyError when a job failed or the time ran out before everything was ready.
        """
        deadline = self.clock.now() + self.timeout_s
        progress = _Progress()
        left = list(plan.steps)
        observed: Observed | None = None
        pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="step")
        try:
            while left or progress.running:
                began = self.clock.now()
                self.proceed()
                if any(step.waits for step in left if set(step.after) <= progress.done):
                    observed = self._observe()
                for step in [one for one in left if self._may_start(one, progress.done, observed)]:
                    left.remove(step)
                    self.reporter.started(step)
                    progress.running[pool.submit(self._apply, step)] = step
                stepping = bool(progress.running)
                self._collect(progress, left)
                deadline += self.clock.now() - began if stepping else 0.0
                idle = not progress.running and not any(self._may_start(one, progress.done, observed) for one in left)
                if left and idle:
                    self._wait_for(left, progress.done, observed, deadline)
            self._until_ready(plan.ready, deadline)
        except KeyboardInterrupt:
            self._interrupted.set()
            raise
        except TargetError as error:
            if not progress.done:
                raise
            raise _stopped(error.what, error, progress) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _observe(self) -> Observed:
        observed = self._look()
        for instance in observed.instances:
            now = self.clock.now()
            if instance.state in _FULFILS["running"]:
                self._running_since.setdefault(instance.resource, now)
            life = self._lives.setdefault(instance.id, _Life(instance.restarts, instance.restarts, now))
            if instance.restarts != life.ends or instance.state is State.RESTARTING:
                life.ends, life.since = instance.restarts, now
            if not instance.stuck:
                life.stuck_since = None
            elif life.stuck_since is None:
                life.stuck_since = now
        return observed

    def _look(self) -> Observed:
        """Looking has no effect and is tried again, as the target may be restarting."""
        until = self.clock.now() + ANSWERS_WITHIN_S
        while True:
            try:
                return self.target.observe(self.app)
            except TargetError:
                if self.clock.now() >= until:
                    raise
            self.clock.sleep(POLL_S)

    def _is_steady(self, observed: Observed, ready: Ready) -> bool:
        lives = [self._lives[one.id] for one in observed.of(ready.resource) if one.state is State.RUNNING]
        return not ready.steady or all(self.clock.now() - life.since >= STEADY_S for life in lives)

    def _holds(self, observed: Observed | None, ready: Ready) -> bool:
        return observed is not None and is_ready(observed, ready) and self._is_steady(observed, ready)

    def _apply(self, step: Step) -> None:
        self.target.apply(step, self.blobs, self.secrets, lambda size: self._moved(step, size))

    def _moved(self, step: Step, size_bytes: int) -> None:
        """Ends what is still being sent when somebody has interrupted the run."""
        if self._interrupted.is_set():
            raise StoppedError(f"interrupted at {step.id!r}")
        self.reporter.moved(step, size_bytes)

    def _may_start(self, step: Step, done: set[str], observed: Observed | None) -> bool:
        if not set(step.after) <= done:
            return False
        return all(self._holds(observed, ready) for ready in step.waits)

    def _collect(self, progress: _Progress, left: list[Step]) -> None:
        """Take in the steps that have ended; wait a moment for one where some are running."""
        if not progress.running:
            return
        ended, _ = wait(progress.running, timeout=POLL_S, return_when=FIRST_COMPLETED)
        self.reporter.working()
        for future in ended:
            step = progress.running.pop(future)
            try:
                future.result()
            except BundleError as error:
                if not progress.done:
                    raise
                raise _stopped(f"stopped at {step.id!r}: {error.what}", error, progress) from error
            progress.done.add(step.id)
            self.reporter.finished(step)
            for life in self._lives.values():
                life.stuck_since = None  # the step may have brought what was lacking

    def _wait_for(self, left: list[Step], done: set[str], observed: Observed | None, deadline: float) -> None:
        """Nothing runs and everything left waits: fail on what cannot become ready, else sleep a moment."""
        waits = [ready for step in left if set(step.after) <= done for ready in step.waits]
        missing = [ready for ready in waits if not self._holds(observed, ready)]
        if not waits:
            stuck = ", ".join(step.id for step in left)
            raise StoppedError(f"the plan cannot go on: {stuck} come after steps that are not in it")
        self._check(missing, observed, deadline)

    def _until_ready(self, ready: tuple[Ready, ...], deadline: float) -> None:
        while True:
            self.proceed()
            observed = self._observe() if ready else None
            missing = [one for one in ready if not self._holds(observed, one)]
            if not missing:
                return
            self._check(missing, observed, deadline)

    def _check(self, missing: list[Ready], observed: Observed | None, deadline: float) -> None:
        names = tuple(dict.fromkeys(ready.resource for ready in missing))
        for ready in missing:
            failed = [one for one in (observed.of(ready.resource) if observed else ()) if one.state is State.FAILED]
            if failed and ready.state == "completed":
                raise self._unhealthy(f"{ready.resource} failed: {failed[0].detail}", (ready.resource,))
            self._end_if_overdue(ready)
        self._give_up(missing, observed)
        if self.clock.now() >= deadline:
            states = "; ".join(_describe(observed, name) for name in names) if observed else ", ".join(names)
            raise self._unhealthy(f"not ready within {self.timeout_s:g} s: {states}", names)
        self.reporter.waiting(tuple(_shown(observed, name) for name in names))
        self.clock.sleep(POLL_S)

    def _give_up(self, missing: list[Ready], observed: Observed | None) -> None:
        """Only on what is waited for, as a later step may replace another; how often it ended before does not count,
        and a job tries as often as it may."""
        waited = {ready.resource for ready in missing}
        for instance in observed.instances if observed else ():
            if instance.resource not in waited:
                continue
            life, service = self._lives[instance.id], instance.resource.startswith("service/")
            told = f": {instance.detail}" if instance.detail else ""
            if service and instance.state is State.RESTARTING and instance.restarts - life.before >= CRASHES:
                raise self._unhealthy(f"{instance.resource} ends again and again{told}", (instance.resource,))
            if life.stuck_since is not None and self.clock.now() - life.stuck_since >= STUCK_S:
                raise self._unhealthy(f"{instance.resource} cannot start{told}", (instance.resource,))

    def _end_if_overdue(self, ready: Ready) -> None:
        since = self._running_since.get(ready.resource)
        if ready.within_s is None or since is None or self.clock.now() - since < ready.within_s:
            return
        if ready.overdue is not None:
            self._apply(ready.overdue)
        what = f"{ready.resource} ran for longer than its timeout of {ready.within_s:g} s and was ended"
        raise self._unhealthy(what, (ready.resource,))

    def _unhealthy(self, what: str, resources: tuple[str, ...]) -> UnhealthyError:
        parts: list[str] = []
        for resource in resources[:3]:
            name = resource.partition("/")[2]
            try:
                lines = list(self.target.logs(self.app, name, follow=False, since=None, tail=LOG_LINES))
            except BundleError as error:
                parts.append(f"no logs of {name}: {error.what}")
                continue
            parts += (
                [f"last lines of {name}:", *(f"  {line.text}" for line in lines)]
                if lines
                else [f"{name} logged nothing"]
            )
        parts.append("mend the cause and run the same command again; what is healthy stays as it is")
        return UnhealthyError(what, hint="\n".join(parts))


def _stopped(what: str, error: BundleError, progress: _Progress) -> StoppedError:
    told = f"{error.hint}\n" if error.hint else ""
    return StoppedError(
        what, hint=f"{told}{len(progress.done)} steps are done; run the same command again to go on from here"
    )


def is_ready(observed: Observed, ready: Ready) -> bool:
    """Whether every instance of the resource is in at least the wanted state."""
    instances = observed.of(ready.resource)
    return bool(instances) and all(instance.state in _FULFILS[ready.state] for instance in instances)


def _shown(observed: Observed | None, resource: str) -> str:
    """`resource (state, detail)` of its first instance."""
    instances = observed.of(resource) if observed is not None else ()
    told = [part for part in (instances[0].state, instances[0].detail) if part] if instances else []
    return f"{resource} ({', '.join(told)})" if told else resource


def _describe(observed: Observed, resource: str) -> str:
    instances = observed.of(resource)
    if not instances:
        return f"{resource} is not there"
    worst = instances[0]
    ended = {0: "", 1: "ended once"}.get(worst.restarts, f"ended {worst.restarts} times")
    told = [part for part in (worst.detail, ended) if part]
    return f"{resource} is {worst.state}" + (f" ({', '.join(told)})" if told else "")
