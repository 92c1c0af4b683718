"""Pods and their owners, as instances of services and jobs. Pure.

A pod of an earlier template is not ready in the sense of a deploy, however healthy: its successor is to come. Pods that
are missing count as created, so that nothing is taken for ready before its pods are there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from bundler.model.observed import Instance, State
from targets import ownership
from targets.k8s import names, weights
from targets.k8s.delivery import PREFIX
from targets.k8s.names import Json

Events = Mapping[str, str]  # uid of a pod, or of what makes pods -> the last warning about it
_NEVER = (  # https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
    "where {node} lacks the image, deploying again brings it; where not, its kubelet has pulled the same image from a "
    "registry, and lets nobody use it under another name: deploy with --registry HOST/PATH, or on the node, as root, "
    "let it forget that and restart the kubelet: rm $(grep -l $(ctr -n k8s.io images list -q "
    "target.digest=={digest} | grep ^sha256:) /var/lib/kubelet/image_manager/pulled/*)"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FORBIDDEN = re.compile(r"authoriz|authentic|denied|forbidden|no basic auth|\b40[13]\b", re.IGNORECASE)
_CREDENTIALS = (
    "the nodes need credentials for the registry: --pull-secret-from FILE gives them, or --pull-secret NAME where they "
    "are there"
)
_FULL = "make room there, add a node, or let the graph ask for less (`resources`)"


def instances(objects: Mapping[str, list[Json]], pods: list[Json], events: Events, app: str) -> tuple[Instance, ...]:
    mine = [pod for pod in pods if names.ours(pod, app) and not pod["metadata"].get("deletionTimestamp")]
    found: list[Instance] = []
    for kind in ("Deployment", "StatefulSet"):
        for owner in objects.get(kind, ()):
            if names.ours(owner, app) and not owner["metadata"].get("deletionTimestamp"):
                found += _service(owner, [pod for pod in mine if _node(pod) == _node(owner)], events)
    for job in _newest_jobs(objects.get("Job", []), app):
        found += _job(job, [pod for pod in mine if _owner(pod) == job["metadata"]["uid"]], events)
    return tuple(sorted(found, key=lambda one: (one.resource, one.index, one.name)))


def _node(found: Json) -> str:
    return str((found["metadata"].get("labels") or {}).get(names.NODE, ""))


def _owner(found: Json) -> str:
    return next(
        (str(one["uid"]) for one in found["metadata"].get("ownerReferences") or () if one.get("controller")), ""
    )


def lacking(objects: Mapping[str, list[Json]], pods: list[Json], app: str) -> bool:
    """Whether something of the app makes fewer pods than it shall."""
    made = Counter(_owner(pod) for pod in pods)
    sets = [one for one in objects.get("StatefulSet", ()) if names.ours(one, app)]
    jobs = [one for one in objects.get("Job", ()) if names.ours(one, app) and not _has_ended(one)]
    return any(made[one["metadata"]["uid"]] < one["spec"].get("replicas", 1) for one in sets) or any(
        made[one["metadata"]["uid"]] < one["spec"].get("parallelism", 1) for one in jobs
    )


def _has_ended(job: Json) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


# services


def _service(owner: Json, pods: list[Json], events: Events) -> Iterator[Instance]:
    resource, spec = names.annotation(owner, ownership.RESOURCE), names.annotation(owner, ownership.SPEC)
    parts, template = names.annotation(owner, ownership.PARTS), names.annotation(_template(owner), ownership.SPEC)
    wanted = owner["spec"].get("replicas", 1)
    uid, name = owner["metadata"]["uid"], owner["metadata"]["name"]
    if wanted == 0:
        yield Instance(resource, uid, name, 0, spec, State.STOPPED, "scaled to 0", parts=parts)
        return
    alive = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")]
    alive.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
    current = [pod for pod in alive if names.annotation(pod, ownership.SPEC) == template]
    former = [pod for pod in alive if pod not in current]
    index = 0
    for pod in current:
        state, detail = _state(pod, events)
        yield _instance(pod, resource, index, spec, parts, state, detail)
        index += 1
    for pod in former:
        yield _instance(pod, resource, index, spec, parts, State.STARTING, "its successor is not ready yet")
        index += 1
    for missing in range(len(current), wanted):
        detail = _why_missing(owner) or events.get(uid, "")
        yield Instance(resource, f"{uid}-{missing}", name, index, spec, State.CREATED, detail, parts=parts)
        index += 1


def _template(owner: Json) -> Json:
    found: Json = owner["spec"]["template"]
    return found


def _why_missing(owner: Json) -> str:
    """What keeps a Deployment's controller from making pods: quota, Pod Security, an admission webhook. Of other kinds
    only events tell."""
    for condition in (owner.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return " ".join(str(condition.get("message", "")).split())
    return ""


def _instance(pod: Json, resource: str, index: int, spec: str, parts: str, state: State, detail: str) -> Instance:
    status = main(pod)
    running = (status.get("state") or {}).get("running") or {}
    ended = (status.get("state") or {}).get("terminated") or {}
    last = ended or (status.get("lastState") or {}).get("terminated") or {}
    shows_exit = state in (State.COMPLETED, State.FAILED, State.RESTARTING)
    return Instance(
        resource=resource,
        id=pod["metadata"]["uid"],
        name=pod["metadata"]["name"],
        index=index,
        spec=spec,
        state=state,
        detail=detail,
        exit_code=last.get("exitCode") if shows_exit else None,
        started_at=running.get("startedAt") or ended.get("startedAt") or "",
        restarts=status.get("restartCount", 0),
        parts=parts,
        stuck=state is State.CREATED and (_waiting(pod) or ("",))[0] == "ErrImageNeverPull",
    )


def main(pod: Json) -> Json:
    """The status of the workload's own container, which has its name: a service mesh may put others before it."""
    return _own((pod.get("status") or {}).get("containerStatuses") or (), pod)


def _own(containers: Iterable[Json], pod: Json) -> Json:
    return next((one for one in containers if one["name"] == _node(pod)), {})


def _state(pod: Json, events: Events) -> tuple[State, str]:
    warning = events.get(pod["metadata"]["uid"], "")
    status = main(pod)
    state = status.get("state") or {}
    broken = _broken(pod)
    if broken:
        return State.RESTARTING, broken
    if "running" in state:
        has_check = "readinessProbe" in _own(pod["spec"]["containers"], pod)
        if is_ready(pod):
            return (State.HEALTHY if has_check else State.RUNNING), ""
        detail = _unready(pod) if status.get("ready") else ""
        return (State.UNHEALTHY if status.get("started") else State.STARTING), detail or warning
    last: Json = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if last:
        return State.RESTARTING, _ending(last)
    waiting = _waiting(pod)
    return State.CREATED, _with_hint(pod, *waiting) if waiting else _unscheduled(pod) or _copying(pod) or warning


def _broken(pod: Json) -> str:
    """What an init container said that failed."""
    for init in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (init.get("state") or {}).get("terminated") or (init.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"{init['name']}: {ended.get('message') or 'exit status ' + str(ended['exitCode'])}"
    return ""


def is_ready(pod: Json) -> bool:
    """Whether Services lead to it. The containers of a pod whose node is gone stay ready, as nobody says otherwise."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return all(one.get("ready") for one in statuses) and _ready_condition(pod).get("status", "True") == "True"


def _ready_condition(pod: Json) -> Json:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            found: Json = condition
            return found
    return {}


def _unready(pod: Json) -> str:
    """Why a pod is not, whose container is."""
    told = " ".join(str(_ready_condition(pod).get("message") or "").split())
    return told or f"nothing is heard of its node {pod['spec'].get('nodeName', '')}"


def _waiting(pod: Json) -> tuple[str, str] | None:
    """Reason and message of the first container that cannot start, those before the workload's own too."""
    told = pod.get("status") or {}
    for status in (*(told.get("initContainerStatuses") or ()), main(pod)):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return waiting["reason"], " ".join(str(waiting.get("message", "")).split())
    return None


def _copying(pod: Json) -> str:
    for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
        if status["name"].startswith(weights.CONTAINER) and "running" in (status.get("state") or {}):
            return "its weights are being copied"
    return ""


def _with_hint(pod: Json, reason: str, message: str) -> str:
    hint = ""
    if reason == "ErrImageNeverPull" and PREFIX in message:  # else somebody has given it another image
        digest = _DIGEST.search(message)
        told = _NEVER.format(node=pod["spec"].get("nodeName", "the node"), digest=digest[0] if digest else "…")
        hint = f"; {told}"
    elif reason in ("ErrImagePull", "ImagePullBackOff") and _FORBIDDEN.search(message):
        hint = f"; {_CREDENTIALS}"
    return f"{reason}: {message}".rstrip(": ") + hint


def _unscheduled(pod: Json) -> str:
    """Why no node takes it, without what the scheduler thought of besides."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            told = " ".join(str(condition.get("message", "")).split())
            told = told.partition(" preemption:")[0].partition(" no new claims")[0].rstrip(" .,")
            return told + (f"; {_FULL}" if "Insufficient" in told or "Too many pods" in told else "")
    return ""


def _ending(terminated: Json) -> str:
    if terminated.get("reason") == "OOMKilled":
        return "ended for want of memory"
    message = " ".join(str(terminated.get("message") or "").split())
    return f"exit status {terminated.get('exitCode')}" + (f": {message[-300:]}" if message else "")


# jobs


def _newest_jobs(jobs: list[Json], app: str) -> Iterator[Json]:
    """One of each node: the last run, whether a schedule or a person started it."""
    newest: dict[str, Json] = {}
    for job in sorted(jobs, key=_made):
        if names.ours(job, app) and not job["metadata"].get("deletionTimestamp"):
            newest[_node(job)] = job
    return iter(newest.values())


def _made(found: Json) -> str:
    return str(found["metadata"]["creationTimestamp"])


def _job(job: Json, pods: list[Json], events: Events) -> Iterator[Instance]:
    resource, spec = names.annotation(job, ownership.RESOURCE), names.annotation(job, ownership.SPEC)
    parts = names.annotation(job, ownership.PARTS)
    conditions: dict[str, Json] = {
        one["type"]: one for one in (job.get("status") or {}).get("conditions") or () if one.get("status") == "True"
    }
    latest: dict[int, Json] = {}
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])):
        latest[int(names.annotation(pod, names.RANK) or 0)] = pod
    failed: Json | None = conditions.get("Failed")
    for rank in range(job["spec"].get("completions") or 1):
        last = latest.get(rank)
        if last is None:
            state = State.COMPLETED if "Complete" in conditions else State.FAILED if failed else State.CREATED
            detail = str(failed.get("message", "")) if failed else events.get(job["metadata"]["uid"], "")
            yield Instance(
                resource,
                f"{job['metadata']['uid']}-{rank}",
                job["metadata"]["name"],
                rank,
                spec,
                state,
                detail,
                parts=parts,
            )
            continue
        state, detail = _worker(last, events, complete="Complete" in conditions, failed=failed)
        yield _instance(last, resource, rank, spec, parts, state, detail)


def _worker(pod: Json, events: Events, *, complete: bool, failed: Json | None) -> tuple[State, str]:
    """A try that failed is not the end while the job may try again, and one that ended well is not before the job has
    taken note."""
    phase = (pod.get("status") or {}).get("phase")
    terminated: Json = (main(pod).get("state") or {}).get("terminated") or {}
    if complete:
        return State.COMPLETED, ""
    if failed is not None:
        detail = _ending(terminated) if terminated else _broken(pod) or str(failed.get("message", ""))
        return (State.COMPLETED if phase == "Succeeded" else State.FAILED), detail
    if phase == "Succeeded":
        return State.RUNNING, "ended"
    if phase == "Failed":
        return State.RESTARTING, _ending(terminated) if terminated else _broken(pod)
    return _state(pod, events)
