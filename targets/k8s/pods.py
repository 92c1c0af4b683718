"""A workload as a pod: its container and what is around it, and where it may run. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bundler.model.release import Release, Workload
from targets.k8s import cluster as facts
from targets.k8s import containers, init_containers, names, seeds, volumes
from targets.k8s.cluster import Cluster
from targets.k8s.files import Files
from targets.k8s.names import Json
from targets.k8s.security import pod_security
from targets.k8s.seeds import Seed

GPU_CLASS = "gpu_class"  # a site's words: the RuntimeClass of pods with GPUs, and the PriorityClass
PRIORITY = "priority"


def template(
    release: Release, workload: Workload, files: Files, seeded: Mapping[str, Seed], cluster: Cluster
) -> tuple[dict[str, str], Json]:
    """The labels that the pod needs beside ours, and its `spec`."""
    mounted = seeds.mounted(workload, seeded)
    labels = {names.together(seed.volume): "shared" for seed in mounted if seed.shared and not seed.anywhere}
    spec: Json = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": containers.grace_s(workload, cluster),
        "securityContext": pod_security(workload.user, cluster),
        "containers": [containers.container(release, workload, files, cluster)],
    }
    image = cluster.images.get(release.image(workload.image).reference)
    if image is not None:  # it is for one platform, and a cluster may have nodes of others, now or later
        platform = image.part.platform
        spec["nodeSelector"] = {"kubernetes.io/arch": platform.architecture, "kubernetes.io/os": platform.os}
    if cluster.pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": cluster.pull_secret}]
    filling = init_containers.filling(release, workload, mounted, cluster)
    before = [*init_containers.routed(release, workload, cluster), *filling]
    if before:
        spec["initContainers"] = before
    there = volumes.volumes(release, workload, files, cluster, helped=bool(filling))
    if there:
        spec["volumes"] = there
    if labels:
        spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _together(labels)}}
    if workload.init:
        spec["shareProcessNamespace"] = True  # the pause program reaps what nobody waits for
    words = release.placed(workload)
    if containers.gpu_count(workload, cluster) and (GPU_CLASS in words or facts.NVIDIA_CLASS in cluster.features):
        spec["runtimeClassName"] = words.get(GPU_CLASS, "nvidia")
    if PRIORITY in words:
        spec["priorityClassName"] = words[PRIORITY]
    return labels, spec


def _together(labels: Mapping[str, str]) -> list[Json]:
    return [
        {"labelSelector": {"matchLabels": {key: value}}, "topologyKey": "kubernetes.io/hostname"}
        for key, value in sorted(labels.items())
    ]
