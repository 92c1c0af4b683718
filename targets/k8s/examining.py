"""What a deploy needs of a cluster, whatever the app."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.edges.push import Registry
from bundler.errors import TargetError
from bundler.model.finding import Finding
from targets.k8s import cluster as facts
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.delivery import Node
from targets.k8s.ground import Ground

_WAY = "bringing images to the nodes"
_REGISTRY_S = 4.0


def of_cluster(api: Api, ground: Ground) -> Iterator[Finding]:
    seen = "its nodes are hidden from this user" if ground.hidden else f"nodes: {len(ground.nodes)}"
    yield Finding("cluster", f"Kubernetes {ground.version} at {api.address}; {seen}", "running pods")
    classes = ", ".join(facts.all_told(ground.features, facts.STORES))
    if facts.STORAGE in ground.features:
        yield Finding("StorageClass", classes or "its classes are hidden from this user", "volumes")
    else:
        hint = "site file: storage: {VOLUME: {class: …}}"
        told = f"none is the default of {classes}" if classes else "the cluster has none"
        yield Finding("StorageClass", told, "volumes", ok=False, needed=False, hint=hint)


def way_of_images(settings: Settings, nodes: tuple[Node, ...]) -> Finding:
    """Raises TargetError where a named containerd does not answer."""
    if settings.registry:
        return _registry(settings.registry)
    for node in nodes:
        node.identity()
    if nodes:
        return Finding("images", f"into {', '.join(node.socket for node in nodes)}", _WAY)
    hint = "--registry HOST/PATH, or --containerd SOCKET for each node (CONTAINERD_ADDRESS)"
    return Finding("images", "nobody has said how", _WAY, ok=False, needed=False, hint=hint)


def _registry(place: str) -> Finding:
    """Whether one may push is the plan's to ask, for the repositories it is about."""
    host, _, repository = place.partition("/")
    try:
        Registry(host, idle_s=_REGISTRY_S).greet(repository)
    except TargetError as error:
        return Finding("images", error.what, _WAY, ok=False, hint=error.hint)
    return Finding("images", f"by the registry {place}, which answers", _WAY)
