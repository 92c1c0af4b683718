"""Model weights in a pod: image volumes, or copies where a cluster has none. Pure.

A copy is an emptyDir of the pod, filled from the model's own image, once for all mounts. Which of the two it is, a
workload's digest does not say: a cluster that is upgraded restarts nothing.
"""

from __future__ import annotations

from bundler.model.bundle import BundleModel
from bundler.model.release import Release, Workload
from targets.k8s import cluster as facts
from targets.k8s.cluster import Cluster
from targets.k8s.names import Json

VOLUME = "model-"  # and a number
CONTAINER = f"bundle-{VOLUME}"  # and a number: the container that fills it
CONTENT = "weights"  # the directory of the emptyDir that is mounted; it gets this name when it is whole
NAMES_LIMIT_BYTES = 128 << 10  # of the names at the top of a model, which stand in the pod; etcd takes 1.5 MiB of it

# Names at the root of every container, where what an image has of them is hidden or mixed with what is not its own.
TAKEN = frozenset({".bundle", ".bundle-volume", "dev", "etc", "proc", "sys"})


def copied(workload: Workload, cluster: Cluster) -> bool:
    """Whether the workload's pods copy weights at their start."""
    return bool(workload.models) and facts.IMAGE_VOLUMES not in cluster.features


def models(workload: Workload) -> dict[str, str]:
    """The pod's volume for each model that the workload mounts, by the model's name."""
    return {
        name: f"{VOLUME}{index}" for index, name in enumerate(dict.fromkeys(mount.name for mount in workload.models))
    }


def entries(model: BundleModel) -> list[str]:
    """The names at the top of a model: in its image they lie at the root, among those of every container."""
    return sorted({file.path.partition("/")[0] for file in model.files})


def size_bytes(release: Release, workload: Workload) -> int:
    """Of all weights that one pod copies."""
    return sum(layer.size_bytes for name in models(workload) for layer in release.model(name).layers)


def volumes(release: Release, workload: Workload, cluster: Cluster) -> list[Json]:
    if copied(workload, cluster):
        return [{"name": volume, "emptyDir": {}} for volume in models(workload).values()]
    return [
        {
            "name": volume,
            "image": {
                "reference": cluster.reference(release.model(name).reference),
                "pullPolicy": cluster.pull_policy,
            },
        }
        for name, volume in models(workload).items()
    ]


def mounts(workload: Workload, cluster: Cluster) -> list[Json]:
    within = {"subPath": CONTENT} if copied(workload, cluster) else {}
    named = models(workload)
    return [
        {"name": named[mount.name], "mountPath": mount.path, **within, "readOnly": True} for mount in workload.models
    ]


def uncopyable(model: BundleModel) -> str | None:
    """Why a model cannot be copied out of a container of its image."""
    names = entries(model)
    taken = ", ".join(name for name in names if name in TAKEN)
    if taken:
        return f"{taken} of model {model.name} cannot be copied, as every container has its own"
    if sum(len(name.encode()) for name in names) > NAMES_LIMIT_BYTES:
        return (
            f"the {len(names):,} names at the top of model {model.name} are too many to copy; put them in a directory"
        )
    return None
