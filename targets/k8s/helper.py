"""The helper program as an image of its own: init containers copy it to where a workload's own image can run it. Pure.

Images FROM scratch have neither cp nor sh, and an image volume with the program would tie a pod's form to the
cluster's version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from bundler.model.bundle import PlatformImage
from bundler.model.oci import IMAGE_CONFIG, LAYER_TAR, MANIFEST, Descriptor, Digest, Platform
from targets import tar
from targets.descriptors import descriptor_json
from targets.helper import ARCHITECTURES, MOUNT_PATH, binary

REPOSITORY = "bundle.local/graphbundle/helper"
PLACE = "dev.graphbundle.registry"
DIRECTORY = MOUNT_PATH.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Helper:
    """`blobs` are the image's own, few and small."""

    tagged: str
    reference: str
    part: PlatformImage
    blobs: tuple[tuple[Descriptor, bytes], ...]


@cache
def helper(architecture: str, registry: str | None) -> Helper:
    """The image for nodes of that architecture; of amd64 for one that there is no program for.

    Each way to the nodes has an image of its own: what a kubelet (1.35) has once pulled it lets nobody use under
    another repository's name, and it knows images by their config's digest.
    """
    known = architecture if architecture in ARCHITECTURES else ARCHITECTURES[0]
    layer = tar.whole(
        [
            tar.directory(DIRECTORY.strip("/")),
            tar.file(MOUNT_PATH.strip("/"), binary(known), mode=0o555),
        ]
    )
    config = json.dumps(
        {
            "architecture": known,
            "os": "linux",
            "config": {"Entrypoint": [MOUNT_PATH], "Labels": {PLACE: registry or ""}},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
        },
        sort_keys=True,
    ).encode()
    layer_blob = Descriptor(LAYER_TAR, Digest.of(layer), len(layer))
    config_blob = Descriptor(IMAGE_CONFIG, Digest.of(config), len(config))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor_json(config_blob),
            "layers": [descriptor_json(layer_blob)],
        },
        sort_keys=True,
    ).encode()
    manifest_blob = Descriptor(MANIFEST, Digest.of(manifest), len(manifest))
    part = PlatformImage(Platform("linux", known), manifest_blob, config_blob, (layer_blob,))
    repository = f"{registry}/{REPOSITORY.removeprefix('bundle.local/')}" if registry else REPOSITORY
    return Helper(
        tagged=f"{REPOSITORY}:{manifest_blob.digest.short}",
        reference=f"{repository}@{manifest_blob.digest}",
        part=part,
        blobs=((layer_blob, layer), (config_blob, config), (manifest_blob, manifest)),
    )
