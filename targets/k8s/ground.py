"""What a cluster is, whatever app is looked at: its version, nodes, classes and metrics. Looked at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from targets.k8s import cluster as facts
from targets.k8s import names
from targets.k8s.api import Api
from targets.k8s.names import Json
from targets.k8s.refusals import Forbidden, Silent

IMAGE_VOLUMES_SINCE = (1, 35)  # without a feature gate
CONTAINERD_SINCE = (2, 1)  # mounts images
SLEEP_SINCE = (1, 30)
PER_INDEX_SINCE = (1, 29)


@dataclass(frozen=True, slots=True)
class Ground:
    """`nodes` as the cluster gives them; `hidden`: the user may not list them."""

    version: str
    nodes: tuple[Json, ...]
    features: frozenset[str]
    hidden: bool


def ground(api: Api) -> Ground:
    """Its first request tells whether there is a cluster."""
    major, minor = api.version
    hidden, nodes = False, []
    try:
        nodes = api.list("Node")
    except Forbidden:
        hidden = True
    return Ground(f"{major}.{minor}", tuple(nodes), frozenset(_features(api, nodes)), hidden)


def _features(api: Api, nodes: list[Json]) -> Iterator[str]:
    if image_volumes(api.version, nodes):
        yield facts.IMAGE_VOLUMES
    if api.version >= SLEEP_SINCE:
        yield facts.SLEEP
    if api.version >= PER_INDEX_SINCE:
        yield facts.PER_INDEX
    yield from _metrics(api)
    yield from _classes(api)


def image_volumes(version: tuple[int, int], nodes: Iterable[Json]) -> bool:
    """Whether every pod can have them: a kubelet may be older than the API server, and a containerd older than both.
    Other runtimes had them before Kubernetes did."""
    for node in nodes:
        info = node["status"]["nodeInfo"]
        runtime, _, runs = info.get("containerRuntimeVersion", "").partition("://")
        if _release(info.get("kubeletVersion", ""), IMAGE_VOLUMES_SINCE) < IMAGE_VOLUMES_SINCE:
            return False
        if runtime == "containerd" and _release(runs, CONTAINERD_SINCE) < CONTAINERD_SINCE:
            return False
    return version >= IMAGE_VOLUMES_SINCE


def _release(text: str, unknown: tuple[int, int]) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else unknown


def _metrics(api: Api) -> Iterator[str]:
    """A metrics server that is down for a moment is one: else a deploy would take the number of instances from the
    autoscaler."""
    try:
        if api.serves("metrics.k8s.io/v1beta1"):
            yield facts.METRICS
    except Silent:
        yield from (facts.METRICS, facts.SILENT_METRICS)


def _classes(api: Api) -> Iterator[str]:
    """Kinds without a namespace, which not every user may see."""
    try:
        storage = api.list("StorageClass")
    except Forbidden:
        yield facts.STORAGE
    else:
        yield from (facts.STORES + one["metadata"]["name"] for one in storage)
        yield from (facts.GROWS + one["metadata"]["name"] for one in storage if one.get("allowVolumeExpansion"))
        if any(names.annotation(one, "storageclass.kubernetes.io/is-default-class") == "true" for one in storage):
            yield facts.STORAGE
    try:
        ingress = api.list("IngressClass")
    except Forbidden:
        yield facts.HIDDEN_INGRESS
    else:
        yield from (facts.SERVES + one["metadata"]["name"] for one in ingress)
        if any(names.annotation(one, "ingressclass.kubernetes.io/is-default-class") == "true" for one in ingress):
            yield facts.INGRESS
    try:
        if any(one["metadata"]["name"] == "nvidia" for one in api.list("RuntimeClass")):
            yield facts.NVIDIA_CLASS
    except Forbidden:
        return
