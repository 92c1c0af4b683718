"""What a cluster says to a plan before its first step: its objects are written without effect, and a pod of each
workload. So quotas, limit ranges, Pod Security, classes, webhooks and other managers have their say.
https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bundler.errors import TargetError
from bundler.model.plan import Note, Step, Verdict
from targets.k8s import room
from targets.k8s.api import Api
from targets.k8s.names import Json
from targets.k8s.objects import OWNERS
from targets.k8s.refusals import Conflict, Forbidden, NotThere, Silent

AT_ONCE = 8
_UNKNOWN = (Forbidden, Conflict, NotThere, Silent)  # nobody can tell by this
_NO_REHEARSAL = "does not support dry run"  # of a webhook
_QUOTA = "exceeded quota"
_LIMITS = (_QUOTA, "failed quota", " per Container ", " per Pod ", "limit to request ratio")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one step: refusals, or a pod as the cluster would make it with what is to be known of it, and how
    many of it are to be where a service has none yet."""

    notes: tuple[Note, ...] = ()
    pod: Json | None = None
    count: int = 0


def check(api: Api, namespace: str, steps: Sequence[Step]) -> list[Note]:
    """Refusals, and limits that nobody asked for. Nothing is asked where the namespace is not there yet, or about to
    enforce something else."""
    if any(step.payload["do"] == "namespace" for step in steps):
        return []
    written = [step for step in steps if step.payload["do"] in ("apply", "run") and not step.payload.get("gone")]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        told = list(pool.map(lambda step: _told(api, namespace, step), written))
    notes = [note for one in told for note in one.notes]
    refused = any(note.verdict is Verdict.REFUSED for note in notes)
    return notes if refused else notes + _together(api, namespace, told)


def _told(api: Api, namespace: str, step: Step) -> Told:
    objects: Any = step.payload["objects"]
    notes: list[Note] = []
    count, more = 0, objects[-1]["object"]["kind"] == "Job"  # `more`: a pod is added, if only for a time
    for one in objects:
        body = one["object"]
        kind, name = body["kind"], body["metadata"]["name"]
        if one["content"] or kind == "Job":  # its data is not here; one that has ended is made anew
            continue
        try:
            there = api.get(kind, name, namespace)
            written = api.apply(body, namespace, dry_run=True)
        except TargetError as error:
            notes += _refused(step, f"{kind}/{name}", error, namespace)
            continue
        if kind in OWNERS and there is None:
            count, more = one.get("replicas", 1), True
        elif kind == "Deployment" and there is not None:  # the first successor starts beside its predecessor
            more = written["metadata"]["generation"] != there["metadata"]["generation"]
    pod = _pod(objects[-1]["object"])
    if pod is None or notes:
        return Told(tuple(notes))
    try:
        made = api.create(pod, namespace, dry_run=True)
    except TargetError as error:
        full = _QUOTA in error.what and not more
        return Told() if full else Told(tuple(_refused(step, "pods", error, namespace)))
    return Told(tuple(_given(step, pod, made)), made, count)


def _pod(main: Json) -> Json | None:
    """None for what makes no pods."""
    spec = main.get("spec") or {}
    template = (spec["jobTemplate"]["spec"] if main["kind"] == "CronJob" else spec).get("template")
    if template is None:
        return None
    metadata = {**template["metadata"], "name": main["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _refused(step: Step, feature: str, error: TargetError, namespace: str) -> list[Note]:
    if isinstance(error, _UNKNOWN) or _NO_REHEARSAL in error.what:
        return []
    limited = any(words in error.what for words in _LIMITS)
    hint = _mend(namespace) if limited else error.hint
    return [Note(step.resource, feature, Verdict.REFUSED, f"{error.what}; {hint}" if hint else error.what)]


def _given(step: Step, asked: Json, made: Json) -> Iterator[Note]:
    """Limits of the workload's own container that the namespace has for who gives none."""
    name = asked["spec"]["containers"][0]["name"]
    own = next(one for one in made["spec"]["containers"] if one["name"] == name)
    wanted = (asked["spec"]["containers"][0].get("resources") or {}).get("limits") or {}
    for kind, amount in sorted(((own.get("resources") or {}).get("limits") or {}).items()):
        if kind not in wanted:
            reason = f"the namespace limits it to {room.said(kind, room.quantity(amount))}, as the graph says nothing"
            yield Note(step.resource, kind, Verdict.ADAPTED, f"{reason} (LimitRange)")


def _mend(namespace: str) -> str:
    return (
        f"kubectl describe quota,limitranges --namespace {namespace} shows what it may have: let an administrator give "
        "it more, or let the graph ask for something else (`resources`)"
    )


# quotas


def _together(api: Api, namespace: str, told: Sequence[Told]) -> list[Note]:
    """Of new pods that fit one by one."""
    pods = [(one.pod["spec"], one.count) for one in told if one.pod is not None and one.count]
    try:
        quotas = api.list("ResourceQuota", namespace) if pods else []
    except Forbidden:
        return []
    return [
        Note(f"namespace/{namespace}", "quota", Verdict.REFUSED, f"{reason}; {_mend(namespace)}")
        for reason in exceeded(quotas, pods)
    ]


def exceeded(quotas: Sequence[Json], pods: Sequence[tuple[Json, int]]) -> list[str]:
    """What the pods, each so many times, ask for together beyond a quota; those of some pods alone (scopes) are not
    looked at. Pure."""
    asked: dict[str, int] = {}
    for spec, count in pods:
        for kind, amount in _counted(spec).items():
            asked[kind] = asked.get(kind, 0) + amount * count
    found = []
    for quota in quotas:
        if quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"):
            continue
        status: Mapping[str, Any] = quota.get("status") or {}
        for kind, hard in sorted((status.get("hard") or {}).items()):
            left = room.quantity(hard) - room.quantity((status.get("used") or {}).get(kind, 0))
            if kind in asked and asked[kind] > left:
                unit = kind.rpartition(".")[2]
                asks, has = room.said(unit, asked[kind]), room.said(unit, max(0, left))
                found.append(
                    f"new pods ask for {asks} together ({kind}); quota {quota['metadata']['name']} has {has} left"
                )
    return found


def _counted(spec: Json) -> dict[str, int]:
    """A pod's requests and limits by the names that quotas have for them."""
    found: dict[str, int] = {}
    for kind, amount in room.requests(spec).items():
        found |= {kind: amount, f"requests.{kind}": amount, f"count/{kind}": amount}
    for kind, amount in room.limits(spec).items():
        found[f"limits.{kind}"] = amount
    return found
