"""What is asked of a cluster and of a registry before the first step of a plan: rights, what it says to the objects,
room, and a way for images.

Nothing of it has an effect, and nothing is asked but for what the steps need.
"""

from __future__ import annotations

from collections.abc import Sequence

from bundler.errors import TargetError
from bundler.model.plan import Note, Step, Verdict
from targets.k8s import access, pushing, rehearsal, room
from targets.k8s.api import Api
from targets.k8s.refusals import Forbidden

MANY_NODES = 50  # a cluster of so many has room somewhere, and too many pods to look at
_SCALERS = ("karpenter.sh/v1", "karpenter.sh/v1beta1")
_AUTOSCALER = ("cluster-autoscaler-status", "kube-system")  # a ConfigMap of the Kubernetes autoscaler's


def check(api: Api, steps: Sequence[Step]) -> tuple[Note, ...]:
    """Sorted by resource."""
    told = steps[0].payload
    namespace = str(told["namespace"])
    denied = access.check(api, namespace, steps)
    found = [
        *(denied or rehearsal.check(api, namespace, steps)),
        *_policies(api, namespace, steps),
        *_room(api, str(told["app"]), steps),
        *pushing.check([step.payload for step in steps if step.payload["do"] == "push"]),
    ]
    return tuple(sorted(found, key=lambda note: (note.resource, note.feature, note.reason)))


def _policies(api: Api, namespace: str, steps: Sequence[Step]) -> list[Note]:
    """Those that are for every pod of the namespace: where one denies what it does not name, services find nothing."""
    try:
        there = api.list("NetworkPolicy", namespace) if room.places_pods(steps) else []
    except Forbidden:
        return []
    for_all = sorted(one["metadata"]["name"] for one in there if not one["spec"].get("podSelector"))
    if not for_all:
        return []
    reason = f"its NetworkPolicies say what its pods reach (each other, DNS, what is outside): {', '.join(for_all)}"
    return [Note(f"namespace/{namespace}", "network", Verdict.ADAPTED, reason)]


def _room(api: Api, app: str, steps: Sequence[Step]) -> list[Note]:
    """Who may not see the nodes, or the pods of others, is told as much less."""
    if not room.places_pods(steps):
        return []
    try:
        nodes = api.list("Node")
    except Forbidden:
        return []
    try:
        pods = api.list("Pod", fields="spec.nodeName!=") if len(nodes) <= MANY_NODES else None
    except Forbidden:
        pods = None
    found = room.lacking(steps, nodes, pods, app)
    if found and _grows(api):
        return [
            Note(one.resource, one.feature, Verdict.ADAPTED, f"{one.reason}; it waits for the cluster to add a node")
            for one in found
        ]
    return [Note(one.resource, one.feature, Verdict.REFUSED, f"{one.reason}; {one.mend}") for one in found]


def _grows(api: Api) -> bool:
    """Whether the cluster adds nodes by itself, as far as the user may see."""
    try:
        return any(api.serves(group) for group in _SCALERS) or api.get("ConfigMap", *_AUTOSCALER) is not None
    except TargetError:
        return False
