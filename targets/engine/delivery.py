"""Images and weights, streamed out of the bundle into the engine; nothing is unpacked on the way.

What is sent is a `docker load` archive of one image for one platform, at once in Docker's form (manifest.json,
read by the classic image store) and in OCI's (index.json, read by the containerd store). Blobs keep their bytes,
so the engine's identity of an image is known before: the config's digest in the classic store, the manifest's in
the containerd store.

Layers that the engine has from other images are left out. The classic store opens a layer only where it has no
chain of the same layers (moby, image/tarexport/load.go). The containerd store skips missing content without a word
(containerd, WithSkipMissing) and then says that the image is not available; then everything is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from bundler.contract import BlobSource
from bundler.errors import TargetError
from bundler.model.bundle import BundleImage, BundleModel, PlatformImage
from bundler.model.oci import IMAGE_CONFIG, INDEX, MANIFEST, Descriptor, Digest
from targets import ownership, tar
from targets.counting import again, counted
from targets.descriptors import descriptor, descriptor_json
from targets.engine import claims
from targets.engine.api import Engine

CONTAINERD_STORE = "containerd-store"  # a host feature
HELPER = "image/helper"  # the resource of the helper image


def load_payload(thing: BundleImage | BundleModel, image: PlatformImage, pin: str) -> dict[str, object]:
    """All that loading one image needs, as JSON."""
    return {
        "do": "load",
        "reference": thing.reference,
        "pin": pin,
        "manifest": descriptor_json(image.manifest),
        "config": descriptor_json(image.config),
        "layers": [descriptor_json(layer) for layer in image.layers],
    }


def is_there(engine: Engine, payload: Mapping[str, Any]) -> bool:
    found = engine.image(payload["reference"])
    return found is not None and found["Id"] == payload["pin"]


def load(engine: Engine, payload: Mapping[str, Any], blobs: BlobSource | None, progress: Callable[[int], None]) -> None:
    """Make `reference` name the image; send only what the engine does not have. What it has from another image may go
    with it meanwhile: then all is sent, once more."""
    reference, pin = payload["reference"], payload["pin"]
    if is_there(engine, payload):
        return
    claims.wait_for_letting_go(engine, pin, progress)
    if engine.image(pin) is not None:
        with suppress(TargetError):
            engine.tag(pin, reference)
        if is_there(engine, payload):
            return
    if blobs is None:
        raise TargetError(f"image {reference} is in the bundle, and no bundle was given")
    layers = [descriptor(layer) for layer in payload["layers"]]
    had = _layers_had(engine, payload, blobs)
    try:
        engine.load(tar.stream(_archive(payload, layers, had, blobs, progress)))
    except TargetError:
        if _layers_had(engine, payload, blobs) >= had:
            raise
    if not is_there(engine, payload):
        engine.load(tar.stream(_archive(payload, layers, 0, blobs, progress, counted_from=had)))
    loaded = engine.image(reference)
    if loaded is None or loaded["Id"] != pin:
        is_now = "nothing" if loaded is None else loaded["Id"]
        raise TargetError(f"the engine made {is_now} of image {reference}; expected {pin}")


def _archive(
    payload: Mapping[str, Any],
    layers: list[Descriptor],
    had: int,
    blobs: BlobSource,
    progress: Callable[[int], None],
    *,
    counted_from: int | None = None,
) -> Iterator[tar.Member]:
    """Without the first `had` layers. Those from `counted_from` on have been sent, and counted, before."""
    manifest, config = descriptor(payload["manifest"]), descriptor(payload["config"])
    sent: set[Digest] = {layer.digest for layer in layers[:had]}
    yield tar.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    for number, blob in enumerate((*layers, config, manifest)):
        if blob.digest not in sent:
            sent.add(blob.digest)
            tell = progress if counted_from is None or number < counted_from else again(progress)
            yield tar.Member(_path(blob), 0o644, counted(blobs.stream(blob), tell), blob.size_bytes)
    yield tar.file("manifest.json", json.dumps(_docker_manifest(payload, config, layers)).encode())
    yield tar.file("index.json", json.dumps(_index(payload, manifest)).encode())


def _docker_manifest(payload: Mapping[str, Any], config: Descriptor, layers: list[Descriptor]) -> list[object]:
    paths = [_path(layer) for layer in layers]
    return [{"Config": _path(config), "RepoTags": [payload["reference"]], "Layers": paths}]


def _index(payload: Mapping[str, Any], manifest: Descriptor) -> dict[str, object]:
    reference = payload["reference"]
    names = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    entry = {**descriptor_json(manifest), "annotations": names}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}


def _layers_had(engine: Engine, payload: Mapping[str, Any], blobs: BlobSource) -> int:
    """How many of the image's first layers the engine has from other images of bundles, going by their content
    (which, compressed, may be another blob)."""
    wanted = json.loads(blobs.read(descriptor(payload["config"])))["rootfs"]["diff_ids"]
    most = 0
    for listed in engine.images("bundle.local/*/*"):
        if (listed.get("Labels") or {}).get(ownership.RESOURCE) == HELPER:
            continue
        image = None
        with suppress(TargetError):  # it may be going
            image = engine.image(listed["Id"])
        found = (image or {}).get("RootFS", {}).get("Layers") or []
        same = 0
        for one, other in zip(wanted, found, strict=False):
            if one != other:
                break
            same += 1
        most = max(most, same)
    return most


def _path(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.hex}"


# The helper image: one file, for containers that are created and never started.


def local_image(
    repository: str, architecture: str, name: str, program: bytes, labels: Mapping[str, str]
) -> tuple[bytes, str]:
    """A deterministic archive of a one-file image, and the name that it has there: tagged by its content."""
    layer = tar.whole([tar.file(name, program, mode=0o555)])
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": [f"/{name}"], "Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
        },
        sort_keys=True,
    ).encode()
    layer_blob = Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(layer), len(layer))
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
    reference = f"{repository}:{config_blob.digest.short}"
    payload = {"reference": reference}
    archive = tar.whole(
        [
            tar.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            *(
                tar.file(_path(b), d)
                for b, d in ((layer_blob, layer), (config_blob, config), (manifest_blob, manifest))
            ),
            tar.file("manifest.json", json.dumps(_docker_manifest(payload, config_blob, [layer_blob])).encode()),
            tar.file("index.json", json.dumps(_index(payload, manifest_blob)).encode()),
        ]
    )
    return archive, reference
