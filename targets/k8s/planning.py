"""What is, and what should be, to the steps between. Pure.

Order of a deploy: namespace · images, volumes, secrets, files · workloads in waves · record · removal of what is
obsolete. An object is applied only where it is not there, its annotation names another digest than the release does, or
somebody has edited it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bundler.model.graph import Condition
from bundler.model.observed import Instance, Observed, State
from bundler.model.plan import Action, Note, Plan, Ready, Step, Verdict
from bundler.model.release import Release, ReleaseJob, ReleaseService, Workload
from targets import ownership
from targets.k8s import cluster as facts
from targets.k8s import images, names, objects
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.draft import Draft
from targets.k8s.files import LIMIT_BYTES, secret_bytes
from targets.k8s.notes import notes, weakest
from targets.k8s.objects import Made, Object
from targets.parts import changes

RECORDS_KEPT = 10
UP = frozenset({State.CREATED, State.STARTING, State.RUNNING, State.HEALTHY, State.UNHEALTHY, State.RESTARTING})
DONE = frozenset({State.COMPLETED, State.FAILED})
NAMESPACE_STEP = f"{Action.CREATE} namespace"

_MAIN = tuple(f"{kind}/" for kind in objects.WORKLOADS)


def plan_deploy(settings: Settings, release: Release, observed: Observed) -> Plan:
    cluster = Cluster.of(release, observed, settings)
    made = objects.workloads(release, observed.host, cluster)
    claims = objects.volumes(release, cluster)
    pull_secret = objects.pull_secret(release, cluster)
    kept = [*claims, *pull_secret, *(one for each in made for one in (*each.files, *each.running))]
    draft = Draft(release, observed, cluster)
    missing = images.missing(draft, made)
    said = notes(release, observed, cluster, made, kept, given=settings.pull_config is not None)
    ready = _ready(release)
    said += tuple(images.undelivered(settings, cluster, missing))
    said += tuple(_too_large(release, made))
    if any(note.verdict is Verdict.REFUSED for note in said):
        return Plan((), said, ready)
    _namespace(draft, made)
    loads = images.loads(draft, missing)
    _volumes(draft, claims)
    _secrets(draft)
    _pull_secret(draft, settings, pull_secret)
    for each in made:
        _files(draft, each)
    _workloads(draft, made, loads)
    _record(draft, settings, ready)
    _cleanup(draft, kept, made)
    return Plan(tuple(draft.steps), said, ready)


def _ready(release: Release) -> tuple[Ready, ...]:
    services = tuple(_settled(service) for service in release.services)
    return services + tuple(Ready(job.resource, "completed") for job in release.jobs if job.due)


def _settled(service: ReleaseService) -> Ready:
    checked = service.healthcheck is not None or service.liveness is not None
    return Ready(service.resource, "healthy" if checked else "running", steady=not checked)


# the ground


def _namespace(draft: Draft, made: tuple[Made, ...]) -> None:
    """Ours gets the level that its workloads need; one that was there is left as it is."""
    cluster, level = draft.cluster, weakest(made)
    there = facts.NAMESPACE in cluster.features
    if there and (facts.OWN_NAMESPACE not in cluster.features or cluster.enforced is level):
        return
    body = objects.namespace(draft.release.app, cluster.namespace, level)
    cause = f"pod security {level}" if there else "not there"
    draft.add("namespace", Action.CREATE, cause, {"do": "namespace", "object": body, "there": there})


def _too_large(release: Release, made: tuple[Made, ...]) -> Iterable[Note]:
    """What no Secret holds: the record, all secrets that are kept, those of one workload."""
    sizes = {secret.name: secret.size_bytes for secret in release.secrets}
    found = [("record", "its record has", len(packed(release.record)))]
    found.append(("secrets", "together they have", sum(sizes.values())))
    for each in made:
        secret = [content for one in each.files if one.kind == "Secret" for content in one.content.values()]
        size = sum(secret_bytes(content, sizes) for content in secret)
        found.append((each.workload.resource, "its secrets, in files and variables, have", size))
    for resource, what, size in found:
        if size > LIMIT_BYTES:
            reason = f"{what} {size:,} bytes; a Secret holds {LIMIT_BYTES:,} at most"
            yield Note(resource, "size", Verdict.REFUSED, reason)


def _volumes(draft: Draft, claims: tuple[Object, ...]) -> None:
    """One that is being removed is made anew when it is gone; pods of ours that have ended and hold it go first."""
    for claim in claims:
        if draft.same(claim):
            continue
        name, features = claim.body["metadata"]["name"], draft.cluster.features
        going, ended = facts.GOING + name in features, facts.all_told(features, f"{facts.ENDED}{name} ")
        cause = "is being removed" if going else "not there" if draft.thing(claim) is None else "larger"
        cause += f", held by {', '.join(ended)}, which ended and goes first" if ended else ""
        gone = [*(f"Pod/{pod}" for pod in ended), claim.id] if going else []
        payload = {"do": "apply", "gone": gone, "objects": [_json(claim)]}
        draft.add(claim.resource, Action.CREATE, cause, payload, after=[NAMESPACE_STEP])


def _secrets(draft: Draft) -> None:
    there = draft.observed.thing("secrets") is not None
    new = [secret for secret in draft.release.secrets if not secret.stored]
    if new:
        told = [secret.name for secret in new]
        cause = f"new or changed: {', '.join(told)}" if there else "not there"
        payload = {"do": "secrets", "names": told, "before": {secret.name: secret.before for secret in new}}
        draft.add("secrets", Action.STORE, cause, payload, after=[NAMESPACE_STEP])


def _pull_secret(draft: Draft, settings: Settings, wanted: tuple[Object, ...]) -> None:
    """Where nobody gives credentials, what is there stays."""
    for one in wanted if settings.pull_config is not None else ():
        if not draft.same(one) or facts.CREDENTIALS_SAME not in draft.cluster.features:
            cause = "other credentials" if draft.thing(one) else "not there"
            payload = {"do": "apply", "objects": [_json(one)]}
            draft.add(one.resource, Action.STORE, cause, payload, after=[NAMESPACE_STEP])


def _files(draft: Draft, made: Made) -> None:
    changed = [one for one in made.files if not draft.same(one)]
    if not changed:
        return
    resource = changed[0].resource
    had = draft.observed.thing(resource) is not None
    payload = {"do": "apply", "objects": [_json(one) for one in changed]}
    draft.add(
        resource,
        Action.CREATE,
        "content changed" if had else "not there",
        payload,
        after=[NAMESPACE_STEP, f"{Action.STORE} secrets"],
    )


# workloads


def _workloads(draft: Draft, made: tuple[Made, ...], loads: Mapping[str, list[str]]) -> None:
    by_name = {each.workload.name: each for each in made}
    in_waves = [name for wave in draft.release.waves for name in wave]
    ids: dict[str, str] = {}
    for name in dict.fromkeys([*in_waves, *sorted(by_name)]):
        each = by_name.get(name)
        decided = None if each is None else _decide(draft, each)
        if each is None or decided is None:
            continue
        action, cause = decided
        needed = [ids[need.node] for need in each.workload.needs if need.node in ids]
        ids[name] = draft.add(
            each.workload.resource,
            action,
            cause,
            _payload(draft, each, action),
            after=[NAMESPACE_STEP, *_supplies(draft, each, loads), *needed],
            waits=_waits(draft.release, each.workload),
        )


def _payload(draft: Draft, made: Made, action: Action) -> dict[str, object]:
    if action is Action.START:
        return {"do": "start", "kind": made.main.kind, "name": made.main.name, "replicas": _replicas(made)}
    if action is Action.RUN:
        main = replace(made.main, body=objects.once(made.main.body)) if made.main.kind == "CronJob" else made.main
        return {"do": "run", "gone": _taken(draft, made), "objects": [_json(one) for one in (*made.around, main)]}
    gone = [*_displaced(draft, made), *_taken(draft, made)]
    return {"do": "apply", "gone": gone, "objects": [_json(one) for one in made.running]}


def _taken(draft: Draft, made: Made) -> list[str]:
    """Names that were another workload's: a job that becomes a service, or the other way. A Service cannot become
    headless, nor cease to be."""
    wanted, resource = {one.id for one in made.running}, made.workload.resource
    return sorted(
        one.name for one in draft.observed.things if one.name in wanted and one.resource != resource and not one.foreign
    )


def _displaced(draft: Draft, made: Made) -> list[str]:
    """What has to be gone before the service is applied: its owner of another kind, whose pods would run beside the new
    ones, and an autoscaler that would change the number of replicas back."""
    if not isinstance(made.workload, ReleaseService):
        return []
    others = {f"{kind}/{made.main.name}" for kind in objects.OWNERS if kind != made.main.kind}
    others |= set() if made.main.replicas is None else {f"{objects.AUTOSCALER}/{made.main.name}"}
    mine = {thing.name for thing in draft.observed.things if thing.resource == made.workload.resource}
    return sorted(others & mine)


def _replicas(made: Made) -> int:
    return made.workload.min_instances if isinstance(made.workload, ReleaseService) else 0


def _supplies(draft: Draft, made: Made, loads: Mapping[str, list[str]]) -> list[str]:
    found = [step for reference in images.references(draft, made) for step in loads.get(reference, ())]
    found += [f"{Action.CREATE} volume/{mount.name}" for mount in made.workload.volumes]
    return [*found, f"{Action.STORE} pull-secret", f"{Action.CREATE} files/{made.workload.name}"]


def _waits(release: Release, workload: Workload) -> list[Ready]:
    services = {service.name: service for service in release.services}
    due = {job.name: job for job in release.jobs if job.due}
    waits = []
    for need in workload.needs:
        if need.node in services:
            service = services[need.node]
            healthy = need.condition is Condition.HEALTHY
            waits.append(_settled(service) if healthy else Ready(service.resource, "running"))
        elif need.node in due and need.condition is Condition.COMPLETED:
            waits.append(Ready(due[need.node].resource, "completed"))
    return waits


def _decide(draft: Draft, made: Made) -> tuple[Action, str] | None:
    """What a workload needs, and why; None where nothing."""
    instances = draft.observed.of(made.workload.resource)
    if isinstance(made.workload, ReleaseJob):
        return _decide_job(draft, made, made.workload, instances)
    there, displaced = draft.thing(made.main), _displaced(draft, made)
    autoscaled = [name for name in displaced if name.startswith(objects.AUTOSCALER)]
    if there is None and displaced == autoscaled:
        return Action.CREATE, "not there"
    if displaced != autoscaled or not draft.same(made.main):
        cause = draft.edited(made.main) or changes(instances[0].parts if instances else "", made.main.parts)
        return (Action.CREATE if cause == f"{objects.SCALE} changed" else Action.REPLACE), cause
    if _renamed(draft, made):
        return Action.REPLACE, "files renamed"
    if autoscaled:
        return Action.CREATE, f"{autoscaled[0]} not wanted"
    other = [one for one in made.around if not draft.same(one)]
    if other:
        cause = draft.edited(other[0]) or ("changed" if draft.thing(other[0]) else "not there")
        return Action.CREATE, f"{other[0].id} {cause}"
    down = [one for one in instances if one.state not in UP]
    if down:
        return Action.START, str(down[0].state)
    return None


def _renamed(draft: Draft, made: Made) -> bool:
    """Whether its files are there under names that another version of this program gave them, and that go."""
    wanted = {one.id for one in made.files}
    there = {thing.name for thing in draft.observed.things if thing.resource == f"files/{made.workload.name}"}
    return bool(wanted - there) and bool(there - wanted)


def _decide_job(
    draft: Draft, made: Made, job: ReleaseJob, instances: tuple[Instance, ...]
) -> tuple[Action, str] | None:
    if job.due:
        same = [one for one in instances if one.spec == made.main.spec]
        if same and len(same) == len(instances) and all(one.state in UP | {State.COMPLETED} for one in same):
            new = draft.observed.lacks(mount.name for mount in job.volumes)
            return (Action.RUN, "its volume is new") if new else None
        if any(one.state is State.FAILED for one in same):
            return Action.RUN, "failed before"
        asked = {"manual": "asked for", "install": "first run", "upgrade": "this release's run"}
        return Action.RUN, asked.get(job.run, "asked for")
    if objects.is_cron(job):
        wrong = [one for one in made.running if not draft.same(one)]
        if wrong or _renamed(draft, made):
            action = Action.CREATE if draft.thing(made.main) is None else Action.REPLACE
            return action, draft.edited(made.main) or f"schedule {job.run}"
    return None


# record and removal


def packed(document: str) -> bytes:
    """A record's document as it is kept."""
    return gzip.compress(document.encode(), mtime=0)


def _record(draft: Draft, settings: Settings, ready: tuple[Ready, ...]) -> None:
    release, records = draft.release, draft.observed.records
    features, cluster = draft.cluster.features, draft.cluster
    way = (facts.told(features, facts.PULLS_FROM), facts.told(features, facts.PULLS_WITH))
    if release.recorded and way == (cluster.registry, cluster.pull_secret):
        return
    revision = records[-1].revision + 1 if records else 1
    payload = {
        "do": "record",
        "revision": revision,
        "document": release.record,
        "annotations": {
            ownership.BUNDLE: release.bundle,
            ownership.VERSION: release.version,
            ownership.ROOT: str(release.root),
            names.REGISTRY: draft.cluster.registry or "",
            names.PULL_SECRET: draft.cluster.pull_secret or "",
        },
    }
    after = tuple(step.id for step in draft.steps)
    draft.add(f"record/{revision}", Action.STORE, "this release", payload, after=after, waits=ready)


def _cleanup(draft: Draft, kept: list[Object], made: tuple[Made, ...]) -> None:
    """Adds the removal of what earlier releases left, after everything else."""
    wanted = {one.id for one in kept} | {name for each in made for name in _displaced(draft, each)}
    jobs = {each.workload.resource: each for each in made if isinstance(each.workload, ReleaseJob)}
    touched = {step.resource for step in draft.steps}
    busy = {resource for resource in jobs if _is_busy(draft.observed, resource)}
    after = [step.id for step in draft.steps]
    obsolete: dict[str, list[str]] = {}
    for thing in draft.observed.things:
        resource = thing.resource
        if thing.foreign or resource.startswith((*ownership.LOSES_DATA, "image/", names.LEASE)):
            continue
        job = jobs.get(resource)
        if thing.name.startswith("Job/") and job is not None:
            if thing.spec == job.main.spec or resource in touched or resource in busy:
                continue
        elif thing.name in wanted or f"job/{resource.partition('/')[2]}" in busy:
            continue
        obsolete.setdefault(resource, []).append(thing.name)
    for resource, ids in obsolete.items():
        still = any(one.resource == resource for one in kept)
        cause = "of an earlier release" if still else "not in this release"
        payload = {"do": "remove", "objects": ids}
        draft.add(resource, Action.REMOVE, cause, payload, after=after)
    old = draft.observed.records[: 1 - RECORDS_KEPT]
    if old and not draft.release.recorded:
        ids = [f"Secret/{names.record(draft.release.app, record.revision)}" for record in old]
        payload = {"do": "remove", "objects": ids}
        draft.add("records", Action.REMOVE, f"the last {RECORDS_KEPT} are kept", payload, after=after)
    if not busy:
        images.unload(draft, after)


def _is_busy(observed: Observed, resource: str) -> bool:
    return any(one.state in UP for one in observed.of(resource))


def plan_removal(settings: Settings, observed: Observed) -> Plan:
    """Everything goes; data volumes, secrets and records only with consent, and then the namespace if it is ours."""
    app, features = observed.app, observed.host.features
    told = {"app": app, "namespace": settings.namespace or app}
    mine = [thing for thing in observed.things if not thing.foreign]
    resources = dict.fromkeys(thing.resource for thing in mine if not thing.resource.startswith("image/"))
    steps: list[Step] = []
    order = sorted(resources, key=lambda one: (not one.startswith(("service/", "job/")), ownership.going(one)))
    gone: list[str] = []
    lost: list[str] = []
    for resource in order:
        ids = sorted((t.name for t in mine if t.resource == resource), key=lambda name: not name.startswith(_MAIN))
        loses = resource.startswith(ownership.LOSES_DATA)
        runs = resource.startswith(("service/", "job/"))
        payload = {**told, "do": "remove", "objects": ids}
        before = () if runs else (*gone, *lost) if ownership.going(resource)[0] else gone
        step = Step(resource, Action.REMOVE, "the app is removed", payload, tuple(before), loses_data=loses)
        steps.append(step)
        gone += [step.id] if runs else []
        lost += [step.id] if loses else []
    steps += images.removal(observed, told, tuple(gone))
    said = (*images.left(settings, observed), *_left(told["namespace"], features))
    if any(note.verdict is Verdict.REFUSED for note in said):
        return Plan((), said)
    return Plan((*steps, *_namespace_removal(told, features, steps)), said)


def _namespace_removal(told: Mapping[str, object], features: frozenset[str], steps: list[Step]) -> Iterable[Step]:
    if facts.OWN_NAMESPACE in features and not features & {facts.FOREIGN, facts.ENDING}:
        after = tuple(step.id for step in steps)
        payload = {**told, "do": "remove-namespace"}
        yield Step("namespace", Action.REMOVE, "made by a deploy of this app", payload, after, loses_data=True)


def _left(namespace: str, features: frozenset[str]) -> Iterable[Note]:
    if facts.OWN_NAMESPACE in features and facts.FOREIGN in features:
        reason = "it stays: something that is not this app's is in it"
        yield Note(f"namespace/{namespace}", "removal", Verdict.ADAPTED, reason)


def _json(wanted: Object) -> dict[str, object]:
    scaled = {} if wanted.replicas is None else {"replicas": wanted.replicas}
    return {"object": wanted.body, "content": dict(wanted.content), **scaled}
