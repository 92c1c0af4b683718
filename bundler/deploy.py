"""The verbs of an app's life, written once for every target: plan, deploy, run, status, remove.

Reads    a VerifiedBundle, a Site, what a target shows
Writes   effects on the target, through `run.Runner`
Next     `cli` shows the outcome
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bundler import release as releasing
from bundler.contract import BlobSource, Checking, Leasing, Lending, Target
from bundler.edges.clock import Clock
from bundler.errors import TargetError, UsageError
from bundler.lease import leased
from bundler.model.bundle import VerifiedBundle
from bundler.model.observed import Observed, State, StoredSecret
from bundler.model.plan import Plan, Step
from bundler.model.release import Release, ReleaseJob
from bundler.model.site import Site
from bundler.release.secrets import check_texts, new_revision, users, within_limit
from bundler.run import Reporter, Runner, is_ready

DEFAULT_TIMEOUT_S = 600.0
_SETTLE_S = 120.0  # on top of the start periods along the waves


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan and what carrying it out needs. `patience_s`: how long to wait where nobody says."""

    target: Target
    app: str
    release: Release | None
    plan: Plan
    observed: Observed
    secrets: Mapping[str, StoredSecret]
    blobs: BlobSource | None
    patience_s: float


@dataclass(frozen=True, slots=True)
class ListedSecret:
    """`origin` as in `ReleaseSecret`; `revision` is that of the bytes which the target keeps, None where it keeps none;
    `users` are the services and jobs that it goes into; `deployed`: what runs has these bytes."""

    name: str
    origin: str
    revision: str | None
    users: tuple[str, ...]
    deployed: bool


def prepare(
    target: Target,
    verified: VerifiedBundle,
    blobs: BlobSource,
    site: Site,
    given: Mapping[str, bytes],
    app: str,
) -> Prepared:
    """What a deploy would do. Nothing is changed. `given` are the secrets that the site has at hand; those on the
    target are looked up there. Raises TargetError when the target refuses a feature."""
    given = {**given, **_lent(target, app, site)}
    stored = target.secrets(app)  # before the records, as a removal takes these first: none must look lost
    observed = releasing.assumed(target.observe(app), verified.bundle.images)
    _keep_variant(target, observed, site, app)
    inputs = releasing.Inputs(app, verified, blobs, site, observed, given, stored, target=target.name)
    released = releasing.release(inputs)
    plan = _checked(target, target.plan(released.release, observed))
    patience_s = default_timeout_s(released.release)
    return Prepared(target, app, released.release, plan, observed, released.secrets, blobs, patience_s)


def _keep_variant(target: Target, observed: Observed, site: Site, app: str) -> None:
    """An app that was deployed as a variant does not become another system because a word was forgotten."""
    variant = recorded_release(target, observed).variant if observed.record is not None else ""
    if variant and site.variant is None:
        raise UsageError(
            f"{app} is the variant {variant} of its bundle here",
            hint=f"--variant {variant} deploys that again, --variant '' the graph without a variant",
        )


def _checked(target: Target, plan: Plan) -> Plan:
    """The plan with what the target answers when it is asked about the steps; without them where it refuses."""
    if not plan.steps or plan.refused or not isinstance(target, Checking):
        return plan
    told = replace(plan, notes=(*plan.notes, *target.check(plan)))
    return replace(told, steps=()) if told.refused else told


def _lent(target: Target, app: str, site: Site) -> Mapping[str, bytes]:
    places = {name: source.kubernetes for name, source in site.secrets.items() if source.kubernetes is not None}
    if not places:
        return {}
    if not isinstance(target, Lending):
        told = ", ".join(places)
        raise UsageError(
            f"target {target.name} has no Kubernetes Secrets to take {told} from",
            hint=f"site file: secrets: {{{min(places)}: {{file: …}}}}, or {{env: …}}",
        )
    return {name: within_limit(value, name) for name, value in target.lent(app, places).items()}


def prepare_job(target: Target, app: str, job: str) -> Prepared:
    """What `bundle run APP JOB` would do: the recorded release's job, again, and nothing else. A run that is under way
    has no steps; it is waited for."""
    observed = target.observe(app)
    release = recorded_release(target, observed)
    observed = releasing.assumed(observed, release.images)
    if job not in {one.name for one in release.jobs}:
        known = ", ".join(one.name for one in release.jobs) or "none"
        raise UsageError(f"{app} has no job {job!r}", hint=f"its jobs: {known}")
    jobs = tuple(replace(one, due=one.name == job) for one in release.jobs)
    resource, stored = f"job/{job}", target.secrets(app)
    secrets = tuple(replace(one, stored=one.name in stored) for one in release.secrets)
    record = observed.record.document if observed.record else ""
    release = replace(release, jobs=jobs, secrets=secrets, record=record, recorded=True)
    _refuse_mixed_secrets(target, release, resource, stored)
    running = any(one.state in (State.RUNNING, State.STARTING, State.HEALTHY) for one in observed.of(resource))
    without = replace(observed, instances=tuple(one for one in observed.instances if one.resource != resource))
    planned = target.plan(release, without)
    first = {step.id for step in planned.steps if step.resource != resource}
    missing = [one for step in planned.steps if step.resource == resource for one in step.after if one in first]
    if missing and not running:
        raise TargetError(
            f"{job} cannot run: {app} is not whole here, a deploy would have to {', '.join(missing)}",
            hint=f"bundle deploy FILE --target {target.name} --app {app}",
        )
    steps = tuple(replace(step, after=(), waits=()) for step in planned.steps if step.resource == resource)
    steps = () if running else steps
    ready = tuple(one for one in planned.ready if one.resource == resource)
    plan = Plan(steps, tuple(note for note in planned.notes if note.resource == resource), ready)
    plan = _checked(target, plan)
    return Prepared(target, app, release, plan, observed, stored, None, math.inf)


def listed_secrets(target: Target, app: str) -> tuple[ListedSecret, ...]:
    """Those of the recorded release, and what the target keeps besides. Raises UsageError where no app is recorded."""
    release = recorded_release(target, target.observe(app))
    stored, using = target.secrets(app), users(release)
    known = {one.name: one for one in release.secrets}
    listed = []
    for name in sorted({*known, *stored}):
        revision = stored[name].revision if name in stored else None
        recorded, used = known.get(name), using.get(name, ())
        same = recorded is None or revision is None or recorded.revision == revision
        origin = "set" if not same else recorded.origin if recorded is not None else ""
        listed.append(ListedSecret(name, origin, revision, used, same))
    return tuple(listed)


def prepare_secret(target: Target, app: str, name: str, value: bytes) -> Prepared:
    """What `bundle secrets set` would do: keep other bytes for a secret of the recorded release, and nothing else. The
    next deploy finds them under a revision of their own, and starts anew what uses them."""
    observed = target.observe(app)
    release, stored = recorded_release(target, observed), target.secrets(app)
    if name not in {secret.name for secret in release.secrets}:
        known = ", ".join(secret.name for secret in release.secrets) or "none"
        raise UsageError(f"{app} has no secret {name!r}", hint=f"its secrets: {known}")
    kept = stored.get(name)
    new = kept if kept is not None and kept.value == value else StoredSecret(new_revision(), within_limit(value, name))
    check_texts(release, {name: new})
    before = kept.revision if kept is not None else None
    secrets = tuple(
        replace(one, revision=new.revision, stored=new == kept, before=before, size_bytes=len(value))
        if one.name == name
        else replace(one, size_bytes=len(stored[one.name].value) if one.name in stored else 0)
        for one in release.secrets
    )
    release = replace(release, secrets=secrets, record=observed.record.document if observed.record else "")
    planned = target.plan(release, observed) if new != kept else Plan(())
    steps = tuple(replace(step, after=(), waits=()) for step in planned.steps if step.resource == "secrets")
    notes = tuple(note for note in planned.notes if note.resource.partition("/")[0] in ("secret", "secrets"))
    plan = _checked(target, Plan(steps, notes))
    return Prepared(target, app, release, plan, observed, {**stored, name: new}, None, DEFAULT_TIMEOUT_S)


def prepare_removal(target: Target, app: str, *, volumes: bool) -> Prepared:
    """What `bundle remove` would do. Without `volumes` the steps that lose data are left out."""
    observed = target.observe(app)
    planned = target.plan(None, observed)
    steps = tuple(step for step in planned.steps if volumes or not step.loses_data)
    left = {step.id for step in steps}
    steps = tuple(replace(step, after=tuple(one for one in step.after if one in left)) for step in steps)
    plan = _checked(target, Plan(steps, planned.notes))
    return Prepared(target, app, None, plan, observed, {}, None, DEFAULT_TIMEOUT_S)


def _refuse_mixed_secrets(target: Target, release: Release, resource: str, stored: Mapping[str, StoredSecret]) -> None:
    """A job must not find a secret's old bytes in a file and the new ones in a variable."""
    using = users(release)
    other = [
        one.name
        for one in release.secrets
        if resource in using[one.name] and one.name in stored and stored[one.name].revision != one.revision
    ]
    if other:
        raise TargetError(
            f"{resource} uses {', '.join(other)}, which was changed after the last deploy",
            hint=f"bundle deploy FILE --target {target.name} --app {release.app}",
        )


def kept(prepared: Prepared) -> tuple[str, ...]:
    """What a removal leaves on purpose: data volumes, secrets, records."""
    removed = {step.resource for step in prepared.plan.steps}
    planned: tuple[Step, ...] = prepared.target.plan(None, prepared.observed).steps
    return tuple(step.resource for step in planned if step.loses_data and step.resource not in removed)


def carry_out(prepared: Prepared, reporter: Reporter, clock: Clock, timeout_s: float | None) -> Observed:
    """Do what was prepared; what the target shows afterwards. Raises as `Runner.run`, and TargetError
    before the first step where the target refuses a feature."""
    refuse(prepared)
    if not prepared.plan.steps and _is_settled(prepared):
        return prepared.observed
    limit = timeout_s or prepared.patience_s
    with _alone(prepared, reporter, clock) as proceed:
        runner = Runner(
            prepared.target, prepared.app, prepared.blobs, prepared.secrets, reporter, clock, limit, proceed
        )
        runner.run(prepared.plan)
    return prepared.target.observe(prepared.app)


@contextmanager
def _alone(prepared: Prepared, reporter: Reporter, clock: Clock) -> Iterator[Callable[[], None]]:
    """The only deploy of the app, of what was observed. No other command asks for the lease, nor who only waits."""
    target, app = prepared.target, prepared.app
    if prepared.blobs is None or not prepared.plan.steps:
        yield lambda: None
        return
    with leased(target, app, clock, lambda: reporter.waiting((f"another deploy of {app}",))) as proceed:
        if isinstance(target, Leasing) and target.observe(app).records != prepared.observed.records:
            raise TargetError(
                f"another command has changed {app} since this plan was made",
                hint="see what it did (bundle status), then run the same command again",
            )
        yield proceed


def _is_settled(prepared: Prepared) -> bool:
    """Whether one look is enough: everything is ready, and nothing has ended that only its running speaks for."""
    observed, ready = prepared.observed, prepared.plan.ready
    shaky = any(one.restarts for wanted in ready if wanted.steady for one in observed.of(wanted.resource))
    return not shaky and all(is_ready(observed, wanted) for wanted in ready)


def refuse(prepared: Prepared) -> None:
    """Raise TargetError naming everything the target refuses."""
    if prepared.plan.refused:
        told = "\n".join(f"  {note.resource} {note.feature}: {note.reason}" for note in prepared.plan.refused)
        what = "this release" if prepared.release is not None else f"to remove {prepared.app}"
        raise TargetError(f"target {prepared.target.name} refuses {what}; nothing was changed\n{told}")


def default_timeout_s(release: Release) -> float:
    """10 minutes, or as long as the start periods along the waves and the jobs' own timeouts may take."""
    services = {service.name: service for service in release.services}
    jobs: dict[str, ReleaseJob] = {job.name: job for job in release.jobs}
    total = 0.0
    for wave in release.waves or (tuple(services),):
        longest = 0.0
        for name in wave:
            check = services[name].healthcheck if name in services else None
            if check is not None:
                longest = max(longest, check.start_period_s + check.interval_s * check.retries)
            elif name in jobs:
                longest = max(longest, jobs[name].timeout_s or 0.0)
        total += longest
    return max(DEFAULT_TIMEOUT_S, total + _SETTLE_S)


def recorded_release(target: Target, observed: Observed) -> Release:
    """The release that the target's newest record describes. Raises UsageError where there is none, and TargetError
    where it may not be read."""
    if observed.hidden:
        raise TargetError(f"what is recorded of {observed.app} may not be read", hint=observed.hidden)
    if observed.record is None:
        if observed.instances or any(not thing.foreign for thing in observed.things):
            raise UsageError(
                f"{observed.app} is not recorded yet: its first deploy did not come to its end",
                hint="run that deploy again; it goes on from what is there",
            )
        raise UsageError(
            f"no app {observed.app!r} is recorded here",
            hint=f"to see those that are: bundle list --target {target.name}",
        )
    return releasing.read_record(observed.record).release
