"""Images and weights of the tests, made in memory, and the blobs they are made of."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bundler.errors import TrustError
from bundler.model.bundle import BundleImage, BundleModel, ModelFile, PlatformImage
from bundler.model.oci import IMAGE_CONFIG, LAYER_TAR, MANIFEST, Descriptor, Digest, Platform
from targets import tar

AMD64 = Platform("linux", "amd64")


class Blobs:
    """A BlobSource out of a dictionary; counts what is read."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self.streamed: list[Digest] = []

    def add(self, media_type: str, data: bytes) -> Descriptor:
        self._blobs[Digest.of(data)] = data
        return Descriptor(media_type, Digest.of(data), len(data))

    def read(self, blob: Descriptor) -> bytes:
        if blob.digest not in self._blobs:
            raise TrustError(f"no blob {blob.digest}")
        return self._blobs[blob.digest]

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        self.streamed.append(blob.digest)
        data = self.read(blob)
        for start in range(0, len(data), 65536):
            yield data[start : start + 65536]


def image(
    blobs: Blobs, name: str, layers: list[list[tar.Member]], config: Mapping[str, object], *, zipped: bool = False
) -> BundleImage:
    platform = _image(blobs, [tar.whole(layer) for layer in layers], config, zipped=zipped)
    reference = f"bundle.local/tgt-sample/{name}:1.0.0-{platform.manifest.digest.short}"
    return BundleImage(name, reference, f"sample/{name}", platform.manifest, (platform,))


def model(blobs: Blobs, name: str, files: Mapping[str, bytes]) -> BundleModel:
    """One layer, each directory before what is in it."""
    members: dict[str, tar.Member] = {}
    offset, offsets = 0, {}
    for path, data in sorted(files.items()):
        for parent in [str(one) for one in reversed(PurePosixPath(path).parents) if str(one) not in (".", *members)]:
            members[parent] = tar.directory(parent)
            offset += tar.BLOCK
        members[path] = tar.file(path, data)
        offsets[path] = offset + tar.BLOCK
        offset = offsets[path] + len(data) + -len(data) % tar.BLOCK
    platform = _image(blobs, [tar.whole(members.values())], {})
    reference = f"bundle.local/tgt-sample/{name}:1.0.0-{platform.manifest.digest.short}"
    layer = platform.layers[0].digest
    listed = tuple(ModelFile(path, len(files[path]), Digest.of(files[path]), layer, offsets[path]) for path in offsets)
    return BundleModel(name, reference, None, platform.manifest, platform.manifest, (platform,), listed)


def _image(blobs: Blobs, layers: list[bytes], config: Mapping[str, object], *, zipped: bool = False) -> PlatformImage:
    document = {
        "architecture": AMD64.architecture,
        "os": AMD64.os,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]},
    }
    config_blob = blobs.add(IMAGE_CONFIG, json.dumps(document, sort_keys=True).encode())
    if zipped:
        stored = [blobs.add(LAYER_TAR + "+gzip", gzip.compress(layer, mtime=0)) for layer in layers]
    else:
        stored = [blobs.add(LAYER_TAR, layer) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _json(config_blob),
        "layers": [_json(layer) for layer in stored],
    }
    manifest_blob = blobs.add(MANIFEST, json.dumps(manifest, sort_keys=True).encode())
    return PlatformImage(AMD64, manifest_blob, config_blob, tuple(stored))


def _json(blob: Descriptor) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": str(blob.digest), "size": blob.size_bytes}
