"""What a cluster's nodes are, as far as pods of ours come to them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator

from bundler.model.oci import Platform
from targets.k8s import cluster as facts
from targets.k8s.names import Json

CLOSING = ("NoSchedule", "NoExecute")
# Taints that come and go with the node's state, and those of nodes with GPUs, which a cluster's admission tolerates.
PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "nvidia.com/gpu")


def taking_pods(nodes: list[Json]) -> list[Json]:
    """Those that the scheduler may choose, now or once they are well, for a pod that tolerates no taint."""
    return [node for node in nodes if not is_cordoned(node) and not any(not is_passing(key) for key in closing(node))]


def is_cordoned(node: Json) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def closing(node: Json) -> tuple[str, ...]:
    """The taints that keep pods away which do not tolerate them, by key."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return tuple(str(taint.get("key", "")) for taint in taints if taint.get("effect") in CLOSING)


def is_passing(taint: str) -> bool:
    return taint.startswith(PASSING)


def platform(nodes: list[Json], running: Container[str]) -> Platform:
    """Of the nodes with these names, where some are: what runs stays where it is. Else that of most nodes."""
    if not nodes:
        return Platform("linux", "amd64")
    there = [node for node in nodes if node["metadata"]["name"] in running]
    counted = Counter(_platform(node) for node in there or nodes)
    return min(counted, key=lambda one: (-counted[one], str(one)))


def _platform(node: Json) -> Platform:
    info = node["status"]["nodeInfo"]
    return Platform(info["operatingSystem"], info["architecture"])


def features(nodes: list[Json], chosen: Platform) -> Iterator[str]:
    """Of those that take pods; images are for the nodes of one platform."""
    ours = [node for node in nodes if _platform(node) == chosen]
    if ours and all((node["status"].get("features") or {}).get("supplementalGroupsPolicy") for node in ours):
        yield facts.STRICT_GROUPS
    if any("nvidia.com/gpu" in (node["status"].get("allocatable") or {}) for node in ours):
        yield facts.NVIDIA
    if ours:
        yield f"{facts.NODES}{len(ours)}"
    for other in {_platform(node) for node in nodes} - {chosen}:
        yield f"{facts.ALSO}{other}"
    for node in ours:
        runtime = str(node["status"]["nodeInfo"].get("containerRuntimeVersion", "")).partition("://")[0]
        if runtime not in ("", "containerd"):
            yield facts.RUNTIME + runtime
