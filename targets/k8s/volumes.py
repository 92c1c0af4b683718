"""A pod's volumes, and where its container mounts them. Pure."""

from __future__ import annotations

from bundler.model.release import Release, Workload
from targets.k8s import weights
from targets.k8s.cluster import Cluster
from targets.k8s.files import Files
from targets.k8s.names import Json
from targets.k8s.security import is_root

DATA = "data"  # the directory of a volume that is mounted; its root has lost+found, and is not ours to own
HELPER = "helper"  # where init containers find the helper program


def volumes(release: Release, workload: Workload, files: Files, cluster: Cluster, *, helped: bool) -> list[Json]:
    """`helped`: an init container needs the helper program."""
    made: list[Json] = []
    for bundle in files.bundles:
        if bundle.kind == "ConfigMap":
            made.append({"name": bundle.volume, "configMap": {"name": bundle.name, "defaultMode": 0o444}})
        elif any(placed.secret for placed in files.placed):
            mode = 0o400 if is_root(workload.user) else 0o440  # the group is fsGroup
            items = [{"key": placed.key, "path": placed.key} for placed in files.placed if placed.secret]
            made.append({"name": bundle.volume, "secret": _secret_volume(bundle.name, mode, items)})
    for name in dict.fromkeys(mount.name for mount in workload.volumes):
        made.append({"name": name_of(workload, name), "persistentVolumeClaim": {"claimName": name}})
    made += weights.volumes(release, workload, cluster)
    made += [
        {"name": f"tmpfs-{index}", "emptyDir": {"medium": "Memory", "sizeLimit": str(tmpfs.size_bytes)}}
        for index, tmpfs in enumerate(workload.tmpfs)
    ]
    if workload.resources.shm_bytes is not None:
        limit = str(workload.resources.shm_bytes)
        made.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": limit}})
    if helped:
        made.append({"name": HELPER, "emptyDir": {}})
    return made


def _secret_volume(name: str, mode: int, items: list[dict[str, str]]) -> Json:
    return {"secretName": name, "defaultMode": mode, "items": items}


def mounts(workload: Workload, files: Files, cluster: Cluster) -> list[Json]:
    made: list[Json] = [
        {"name": placed.volume, "mountPath": placed.path, "subPath": placed.key, "readOnly": True}
        for placed in files.placed
    ]
    for mount in workload.volumes:
        one: Json = {"name": name_of(workload, mount.name), "mountPath": mount.path, "subPath": DATA}
        made.append(one | ({"readOnly": True} if mount.read_only else {}))
    made += weights.mounts(workload, cluster)
    made += [{"name": f"tmpfs-{index}", "mountPath": tmpfs.path} for index, tmpfs in enumerate(workload.tmpfs)]
    if workload.resources.shm_bytes is not None:
        made.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - a path of the container
    return made


def name_of(workload: Workload, volume: str) -> str:
    """The pod's name for a volume; a volume's own may be too long."""
    index = list(dict.fromkeys(mount.name for mount in workload.volumes)).index(volume)
    return f"volume-{index}"
