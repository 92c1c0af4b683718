"""How volumes begin: the image and the user that each gets its first content from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.model.release import Release, ReleaseService, Workload
from targets.k8s import claims
from targets.k8s.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Seed:
    """How a volume begins: a copy of `path` in `image`, made by `user`; as the first mounter's image has it, and owned
    by the first writer, both by name of node. `shared`: several pods mount it; `anywhere`: on whatever node, because
    its claim is ReadWriteMany, or will be."""

    volume: str
    image: str
    path: str
    user: str | None
    shared: bool
    anywhere: bool


def seeds(release: Release, cluster: Cluster) -> dict[str, Seed]:
    """By volume, of those that are mounted."""
    made: dict[str, Seed] = {}
    for volume in release.volumes:
        mounts = [
            (workload, mount)
            for workload in sorted(release.workloads, key=lambda one: one.name)
            for mount in workload.volumes
            if mount.name == volume.name
        ]
        if mounts:
            first, at = mounts[0]
            writer = next((workload for workload, mount in mounts if not mount.read_only), first)
            shared = sum(_pods(workload) for workload in {one.name: one for one, _ in mounts}.values()) > 1
            anywhere = claims.settled(release, volume, cluster.claims, cluster.growing).mode == claims.ANY_NODE
            made[volume.name] = Seed(volume.name, first.image, at.path, writer.user, shared, anywhere)
    return made


def mounted(workload: Workload, seeded: Mapping[str, Seed]) -> list[Seed]:
    """Of the volumes that the workload mounts, each once, at however many paths."""
    return [seeded[name] for name in dict.fromkeys(mount.name for mount in workload.volumes) if name in seeded]


def _pods(workload: Workload) -> int:
    return workload.max_instances if isinstance(workload, ReleaseService) else workload.max_workers
