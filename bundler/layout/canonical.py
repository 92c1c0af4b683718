"""The canonical form: three index files and an order of members, all functions of ROOT and its referrers.

Nothing in `index.json` and `manifest.json` is signed, so nothing in them may be free: the reader makes them again
and compares bytes. Each field is there because a tool asked for it:

* ROOT's entry has `kind=…/imageIndex` (a library's `…/image`), or `cosign verify --local-image` looks for an image.
* The entry of the simple signatures has no `ref.name`: `ctr images import` would try to unpack it.
* Graph and ModelPack manifests are repeated without a name, or `oras … --oci-layout FILE@DIGEST` takes them for
  plain bytes; other tools pass over entries without a name.
* `ref.name` of an image is a legal tag, as `oras restore` pushes it as one; the full name, bundle-scoped, stands in
  `io.containerd.image.name`. The second entry, NAME@DIGEST, is what a kubelet asks containerd for.
* `manifest.json` is for `docker load` (classic store), which knows one platform per image: linux/amd64 where every
  image has it, else the first that all have. Weights are in it as well: whoever loads the whole file by hand gets
  everything the system mounts, under bundle-scoped names. (`bundle deploy` streams what the target lacks.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundler.layout import names, strictjson, tar
from bundler.layout.closure import Closure, Part
from bundler.layout.documents import METADATA_LIMIT_BYTES, DocumentError, Manifest, descriptor_json, parse_manifest
from bundler.layout.names import Role
from bundler.model.bundle import PlatformImage
from bundler.model.oci import EMPTY, IMAGE_CONFIG, INDEX, MANIFEST, Descriptor, Digest

SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_CONTENT = "dev.sigstore.bundle.content"
BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"
MAX_REFERRERS = 16

OCI_LAYOUT_BYTES = strictjson.canonical({"imageLayoutVersion": "1.0.0"})
_BUNDLE_ANNOTATIONS = (BUNDLE_CONTENT, BUNDLE_PREDICATE)
_AMD64 = ("linux", "amd64")
_LAYER_NAME_BYTES = len("blobs/sha256/") + 64


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that speaks of ROOT (a signature), and the blobs it names."""

    manifest: bytes
    blobs: Mapping[Digest, bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """The three files that are not blobs, and every blob in its order: `data` as in the closure, then `metadata`
    (the referrers' too) by digest."""

    index: bytes
    docker_index: bytes
    data: tuple[Descriptor, ...]
    metadata: tuple[tuple[Digest, int], ...]

    def members(self) -> tuple[tuple[str, int], ...]:
        """Names and sizes of the tar's members, in order."""
        return (
            (tar.OCI_LAYOUT, len(OCI_LAYOUT_BYTES)),
            *((tar.blob_name(blob.digest), blob.size_bytes) for blob in self.data),
            *((tar.blob_name(digest), size_bytes) for digest, size_bytes in self.metadata),
            (tar.DOCKER_INDEX, len(self.docker_index)),
            (tar.INDEX, len(self.index)),
        )


def lay_out(closure: Closure, referrers: Sequence[bytes]) -> Layout:
    """The layout of ROOT and the manifests that speak of it, given in any order. DocumentError where a referrer is
    none of ROOT's, or of no kind known here."""
    if len(referrers) > MAX_REFERRERS:
        raise DocumentError(f"{len(referrers)} signatures and attestations, at most {MAX_REFERRERS} are read")
    by_digest = {Digest.of(data): data for data in referrers}
    if len(by_digest) != len(referrers):
        raise DocumentError("the same signature twice")
    metadata = dict(closure.metadata)
    entries: list[dict[str, object]] = []
    for digest, data in sorted(by_digest.items()):
        manifest, entry = read_referrer(data, closure.root)
        entries.append(entry)
        for blob in (manifest.config, *manifest.layers):
            _note(metadata, blob.digest, blob.size_bytes)
        _note(metadata, digest, len(data))
    held = {blob.digest for blob in closure.data}
    index = strictjson.canonical({"manifests": [*_index_head(closure), *entries, *_index_tail(closure)]} | _INDEX_HEAD)
    docker_index = strictjson.canonical(_docker_entries(closure))
    if max(len(index), len(docker_index)) > METADATA_LIMIT_BYTES:
        raise DocumentError(f"more entries than {METADATA_LIMIT_BYTES} bytes of index hold")
    return Layout(
        index=index,
        docker_index=docker_index,
        data=closure.data,
        metadata=tuple(sorted((digest, size) for digest, size in metadata.items() if digest not in held)),
    )


_INDEX_HEAD: dict[str, object] = {"schemaVersion": 2, "mediaType": INDEX}


def read_referrer(data: bytes, root: Descriptor) -> tuple[Manifest, dict[str, object]]:
    """A referrer's manifest and its entry in index.json."""
    where = f"referrer {Digest.of(data)}"
    manifest = parse_manifest(data, MANIFEST, where)
    # No other annotation of a manifest that nobody signed: a name among them would be taken for an image's.
    shown = {key: manifest.annotations[key] for key in _BUNDLE_ANNOTATIONS if key in manifest.annotations}
    described = Descriptor(MANIFEST, Digest.of(data), len(data), shown, None, manifest.artifact_type)
    for blob in (manifest.config, *manifest.layers):
        if blob.size_bytes > METADATA_LIMIT_BYTES:
            raise DocumentError(f"{where}: {blob.digest} has {blob.size_bytes} bytes")
    if manifest.artifact_type == SIGSTORE_BUNDLE:
        subject = manifest.subject
        if subject is None or (subject.digest, subject.size_bytes) != (root.digest, root.size_bytes):
            raise DocumentError(f"{where}: its subject is not this bundle's ROOT")
        if manifest.config.media_type != EMPTY or [layer.media_type for layer in manifest.layers] != [SIGSTORE_BUNDLE]:
            raise DocumentError(f"{where}: not one Sigstore bundle")
        return manifest, descriptor_json(described)
    kinds = {layer.media_type for layer in manifest.layers}
    if manifest.config.media_type == IMAGE_CONFIG and kinds == {SIMPLE_SIGNING} and manifest.artifact_type is None:
        if len(manifest.layers) > MAX_REFERRERS:
            raise DocumentError(f"{where}: {len(manifest.layers)} signatures, at most {MAX_REFERRERS} are read")
        bare = Descriptor(MANIFEST, described.digest, len(data), {names.COSIGN_KIND: names.COSIGN_SIGNATURES})
        return manifest, descriptor_json(bare)
    raise DocumentError(f"{where}: neither a Sigstore bundle nor a simple signature")


def is_referrer_entry(entry: Descriptor) -> bool:
    """Whether an entry of index.json is one of those `read_referrer` makes."""
    simple = entry.annotations.get(names.COSIGN_KIND) == names.COSIGN_SIGNATURES
    return entry.artifact_type == SIGSTORE_BUNDLE or simple


def _index_head(closure: Closure) -> list[dict[str, object]]:
    root = closure.root
    annotations = {names.REF_NAME: closure.version, names.COSIGN_KIND: names.COSIGN_IMAGE}
    if root.media_type == INDEX:  # a library is nothing that containerd would unpack
        annotations[names.CONTAINERD_NAME] = names.bundle_reference(closure.name, closure.version)
        annotations[names.COSIGN_KIND] = names.COSIGN_INDEX
    named = Descriptor(root.media_type, root.digest, root.size_bytes, annotations, None, root.artifact_type)
    return [descriptor_json(named)]


def _index_tail(closure: Closure) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for part in closure.parts:
        if part.manifest is not None:
            entries.append(_entry(part, {}))
    for part in closure.parts:
        if part.manifest is None:
            repository = names.image_repository(closure.name, part.name)
            entries.append(
                _entry(
                    part,
                    {
                        names.CONTAINERD_NAME: reference(closure, part),
                        names.REF_NAME: names.image_tag(closure.version, part.name),
                    },
                )
            )
            entries.append(_entry(part, {names.CONTAINERD_NAME: f"{repository}@{part.descriptor.digest}"}))
    return entries


def reference(closure: Closure, part: Part) -> str:
    """The bundle-scoped full name of an image."""
    return names.image_reference(closure.name, closure.version, part.name, part.descriptor.digest)


def _entry(part: Part, annotations: Mapping[str, str]) -> dict[str, object]:
    found = part.descriptor
    return descriptor_json(
        Descriptor(found.media_type, found.digest, found.size_bytes, annotations, found.platform, found.artifact_type)
    )


def _docker_entries(closure: Closure) -> list[dict[str, object]]:
    wanted = _docker_platform(closure)
    entries: list[dict[str, object]] = []
    named_bytes = 0
    for part in closure.parts:
        if part.role not in (Role.IMAGE, Role.MODEL_IMAGE) or wanted is None:
            continue
        # Weights are the same for every platform, so a model has one to show even where it lacks `wanted`.
        image = next((image for image in part.platforms if _kind(image) == wanted), part.platforms[0])
        # Found before they are made: many images of the same many layers would be gigabytes.
        named_bytes += _LAYER_NAME_BYTES * len(image.layers)
        if named_bytes > METADATA_LIMIT_BYTES:
            raise DocumentError(f"more entries than {METADATA_LIMIT_BYTES} bytes of index hold")
        entries.append(
            {
                "Config": tar.blob_name(image.config.digest),
                "RepoTags": [reference(closure, part)],
                "Layers": [tar.blob_name(layer.digest) for layer in image.layers],
            }
        )
    return entries


def _docker_platform(closure: Closure) -> tuple[str, str] | None:
    """The one platform of manifest.json; None where the images have none in common, and manifest.json is empty."""
    common: set[tuple[str, str]] | None = None
    for part in closure.of_role(Role.IMAGE):
        kinds = {_kind(image) for image in part.platforms}
        common = kinds if common is None else common & kinds
    if common is None or _AMD64 in common:
        return _AMD64
    return min(common, default=None)


def _kind(image: PlatformImage) -> tuple[str, str]:
    return image.platform.os, image.platform.architecture


def _note(metadata: dict[Digest, int], digest: Digest, size_bytes: int) -> None:
    if metadata.setdefault(digest, size_bytes) != size_bytes:
        raise DocumentError(f"{digest} with two sizes")
