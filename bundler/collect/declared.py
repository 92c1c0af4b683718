"""VOLUMEs that an image declares and a graph does not mention.

Docker gives each container a volume of its own for them, and throws it away with the container: what a service keeps
there is lost at its next replacement, on every target.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from bundler.layout.assembly import PackedImage
from bundler.model.graph import Graph, Workload


def unmentioned_volumes(
    graph: Graph, images: Iterable[PackedImage], images_of: Mapping[str, str], variant: str = ""
) -> tuple[str, ...]:
    """A sentence for each workload and directory; `images_of` names each workload's image."""
    workloads: dict[str, Workload] = {one.name: one for one in (*graph.services, *graph.jobs)}
    found = []
    which = f" (in the variant {variant})" if variant else ""
    for image in images:
        declared = sorted({path for document in image.documents.values() for path in _volumes(document)})
        for name in (workload for workload, used in images_of.items() if used == image.name):
            mounted = _mounted(workloads[name])
            found += [
                f"{name}{which}: its image keeps data in {path}, where the graph mounts no volume: it is lost whenever "
                f"{name} is replaced (volumes: [NAME:{path}])"
                for path in declared
                if not any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in mounted)
            ]
    return tuple(sorted(found))


def _mounted(workload: Workload) -> set[str]:
    mounts = {mount.path for mount in (*workload.volumes, *workload.models)}
    return mounts | {tmpfs.path for tmpfs in workload.tmpfs}


def _volumes(document: bytes) -> Iterator[str]:
    """Those of an image's config; other documents have none."""
    read = json.loads(document)
    config = read.get("config") if "rootfs" in read else None
    volumes = config.get("Volumes") if isinstance(config, dict) else None
    for path in volumes if isinstance(volumes, dict) else ():
        yield posixpath.normpath(path)
