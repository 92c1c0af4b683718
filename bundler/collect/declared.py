"""VOLUMEs that an image declares and a graph does not mention.

Docker gives each container a volume of its own for them, and throws it away with the container: what a service keeps
there is lost at its next replacement, on every target. What a job leaves goes with its run, wherever it lies.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from bundler.layout.assembly import PackedImage
from bundler.model.graph import Graph, Service


def unmentioned_volumes(
    graph: Graph, images: Iterable[PackedImage], images_of: Mapping[str, str], variant: str = ""
) -> tuple[str, ...]:
    """A sentence for each service and directory; `images_of` names each workload's image."""
    services = {one.name: one for one in graph.services}
    found = []
    which = f" (in the variant {variant})" if variant else ""
    for image in images:
        declared = sorted({path for document in image.documents.values() for path in _volumes(document)})
        for name in (one for one, used in images_of.items() if used == image.name and one in services):
            mounted = _mounted(services[name])
            found += [
                f"{name}{which}: its image keeps data in {path}, where the graph mounts no volume: it is lost whenever "
                f"{name} is replaced (volumes: [NAME:{path}])"
                for path in declared
                if not any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in mounted)
            ]
    return tuple(sorted(found))


def _mounted(service: Service) -> set[str]:
    mounts = {mount.path for mount in (*service.volumes, *service.models)}
    return mounts | {tmpfs.path for tmpfs in service.tmpfs}


def _volumes(document: bytes) -> Iterator[str]:
    """Those of an image's config; other documents have none."""
    read = json.loads(document)
    config = read.get("config") if "rootfs" in read else None
    volumes = config.get("Volumes") if isinstance(config, dict) else None
    for path in volumes if isinstance(volumes, dict) else ():
        yield posixpath.normpath(path)
