"""Whether a namespace may go: nothing in it is missed without it. Pure."""

from __future__ import annotations

from bundler.errors import TargetError
from targets.k8s import names
from targets.k8s.api import Content
from targets.k8s.names import Json

# Kinds of which nothing is missed once the namespace is gone: the cluster's own notes, and rights and limits within it.
COMING_ALONG = frozenset(
    {
        "Event",
        "EndpointSlice",
        "Endpoints",
        "PodMetrics",
        "ControllerRevision",
        "CSIStorageCapacity",
        "PodTemplate",
        "Role",
        "RoleBinding",
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
    }
)
# What every namespace has: of Kubernetes, and on clusters with Istio or of OpenShift.
EVERYWHERE = frozenset(
    {
        ("ServiceAccount", "default"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "builder"),
        ("ServiceAccount", "deployer"),
    }
)


def check(namespace: str, app: str, content: Content) -> None:
    """Raises TargetError where something in it is, or may be, somebody else's."""
    foreign = sorted(
        f"{kind} {found['metadata']['name']}"
        for kind, found in content.objects
        if not names.ours(found, app) and not comes_along(kind, found)
    )
    if foreign:
        raise TargetError(
            f"namespace {namespace} holds what is not this app's: {', '.join(foreign[:5])}; left alone",
            hint=f"remove these, then: kubectl delete namespace {namespace}",
        )
    if hidden := sorted({*content.hidden} - COMING_ALONG):
        raise TargetError(
            f"namespace {namespace} may hold what is not shown to this user: {', '.join(hidden)}; left alone",
            hint=f"who sees that there is nothing runs: kubectl delete namespace {namespace}",
        )


def comes_along(kind: str, found: Json) -> bool:
    """What the cluster itself puts into a namespace, or what goes with something else."""
    return is_of_the_cluster(kind, found) or bool(found["metadata"].get("deletionTimestamp")) or kind in COMING_ALONG


def is_of_the_cluster(kind: str, found: Json) -> bool:
    """What every namespace has, and what a controller made of something else."""
    return bool(found["metadata"].get("ownerReferences")) or (kind, found["metadata"]["name"]) in EVERYWHERE
