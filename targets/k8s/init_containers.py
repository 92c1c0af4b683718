"""What is done before a pod's container starts, by the helper: volumes are seeded, weights copied, services waited for.
Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bundler.model.graph import Condition
from bundler.model.release import Release, ReleaseJob, ReleaseService, Workload
from targets.helper import MOUNT_PATH
from targets.k8s import containers, helper, names, volumes, weights
from targets.k8s.cluster import Cluster
from targets.k8s.names import Json
from targets.k8s.security import init_container_security
from targets.k8s.seeds import Seed

VOLUME_ROOT = "/.bundle-volume"
ROUTED_S = 60  # a node takes a moment to learn where a Service leads, once its pods are ready


def needed(release: Release, workload: Workload, cluster: Cluster) -> bool:
    """Whether the workload's pods bring the helper."""
    return _filled(workload, cluster) or bool(routed(release, workload, cluster))


def routed(release: Release, workload: Workload, cluster: Cluster) -> list[Json]:
    """A job begins when its node leads to what is ready for it: a service that comes too early is started again, a job
    has failed. What need only be started may take connections late or never, so that it is not waited for."""
    if not isinstance(workload, ReleaseJob):
        return []
    ready = tuple(need for need in workload.needs if need.condition is Condition.HEALTHY)
    return waiting(release, replace(workload, needs=ready), ROUTED_S, cluster)


def _filled(workload: Workload, cluster: Cluster) -> bool:
    return bool(workload.volumes) or weights.copied(workload, cluster)


def filling(release: Release, workload: Workload, mounted: Sequence[Seed], cluster: Cluster) -> list[Json]:
    """The helper is put where other images can run it, then each volume gets its first content, and weights are
    copied. Each may use what the workload may: a quota wants it said of every container, and it counts once."""
    filled = [_seed(release, workload, seed, cluster) for seed in mounted]
    if weights.copied(workload, cluster):
        filled += [_copy(release, workload, name, volume, cluster) for name, volume in weights.models(workload).items()]
    if not _filled(workload, cluster):
        return []
    return [_within(workload, one) for one in (_bring_helper(workload.user, cluster), *filled)]


def _within(workload: Workload, container: Json) -> Json:
    asked = containers.resources(workload)
    if "resources" in container:
        asked = asked | {"requests": asked.get("requests", {}) | container["resources"]["requests"]}
    return container | {"resources": asked} if asked else container


def _bring_helper(user: str | None, cluster: Cluster) -> Json:
    return {
        "name": "bundle-helper",
        "image": cluster.helper.reference,
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "copy", "--force", helper.DIRECTORY, VOLUME_ROOT],
        "securityContext": init_container_security(user),
        "volumeMounts": [{"name": volumes.HELPER, "mountPath": VOLUME_ROOT}],
    }


def waiting(release: Release, workload: Workload, timeout_s: int, cluster: Cluster) -> list[Json]:
    """For each service that the workload needs an init container that ends when it takes connections."""
    ports = {service.name: _open_port(service) for service in release.services if service.ports}
    return [
        _within(workload, _wait(workload, need.node, ports[need.node], timeout_s, cluster))
        for need in workload.needs
        if need.node in ports
    ]


def _open_port(service: ReleaseService) -> int:
    """The one that its health check asks, if it asks one of those that others reach: nothing may listen on the rest."""
    asked = service.healthcheck.port if service.healthcheck is not None else None
    reached = [port for _, port in service.ports]
    return asked if asked is not None and asked in reached else reached[0]


def _wait(workload: Workload, node: str, port: int, timeout_s: int, cluster: Cluster) -> Json:
    return {
        "name": names.fitting(f"wait-{node}"),
        "image": cluster.helper.reference,
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "wait", "tcp", node, str(port), str(timeout_s)],
        "securityContext": init_container_security(workload.user),
    }


def _copy(release: Release, workload: Workload, name: str, volume: str, cluster: Cluster) -> Json:
    """Room for all the weights of the pod is asked for, whichever container copies first: a pod that uses more of a
    node's disk than it has asked for is the first to go where it runs short."""
    model = release.model(name)
    entries = [entry.replace("$", "$$") for entry in weights.entries(model)]
    return {
        "name": f"bundle-{volume}",
        "image": cluster.reference(model.reference),
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "seed", "/", f"{VOLUME_ROOT}/{weights.CONTENT}", *entries],
        "securityContext": init_container_security(workload.user),
        "resources": {"requests": {"ephemeral-storage": str(weights.size_bytes(release, workload))}},
        "volumeMounts": [
            {"name": volumes.HELPER, "mountPath": helper.DIRECTORY, "readOnly": True},
            {"name": volume, "mountPath": VOLUME_ROOT},
        ],
    }


def _seed(release: Release, workload: Workload, seed: Seed, cluster: Cluster) -> Json:
    name = volumes.name_of(workload, seed.volume)
    return {
        "name": f"bundle-{name}",
        "image": cluster.reference(release.image(seed.image).reference),
        "imagePullPolicy": cluster.pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": [MOUNT_PATH, "seed", seed.path.replace("$", "$$"), f"{VOLUME_ROOT}/{volumes.DATA}"],
        "securityContext": init_container_security(seed.user),
        "volumeMounts": [
            {"name": volumes.HELPER, "mountPath": helper.DIRECTORY, "readOnly": True},
            {"name": name, "mountPath": VOLUME_ROOT},
        ],
    }
