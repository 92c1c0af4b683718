"""What ROOT names, directly and through manifests: the blobs a bundle or a library consists of, and their order.

One walk, used by the writer on what it made itself and by the reader on what nobody has checked yet. `fetch` hands
out verified bytes of metadata; data blobs are never fetched. Every failed check is a DocumentError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from bundler.graphfile import forms, library
from bundler.layout import names
from bundler.layout.documents import (
    METADATA_LIMIT_BYTES,
    DocumentError,
    Manifest,
    parse_index,
    parse_manifest,
    platform_of_config,
)
from bundler.layout.names import Role
from bundler.model.bundle import PlatformImage
from bundler.model.oci import (
    BUNDLE,
    COMPONENT,
    EMPTY,
    GRAPH_MANIFEST,
    IMAGE_CONFIG,
    INDEX,
    INDEXES,
    LIBRARY,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    Digest,
)

MODEL_MANIFEST = "application/vnd.cncf.model.manifest.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

# No engine runs an image of more layers, and no image is made for more platforms. Without these, a document of 4 MiB
# that names another one again and again stands for gigabytes.
MAX_LAYERS = 1_000
MAX_PLATFORMS = 250
MAX_LIBRARY_BYTES = 16 << 20  # of all its components

Fetch = Callable[[Descriptor], bytes]

_ORDER = {Role.GRAPH: 0, Role.VARIANT: 1, Role.IMAGE: 2, Role.MODEL: 3, Role.MODEL_IMAGE: 3}
_ARTIFACT_TYPES = {Role.GRAPH: GRAPH_MANIFEST, Role.VARIANT: GRAPH_MANIFEST, Role.MODEL: MODEL_MANIFEST}


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of ROOT. `manifest` is that of a graph, a variant's graph or a model, `platforms` those of an image."""

    role: Role
    name: str
    source: str
    descriptor: Descriptor
    manifest: Manifest | None
    platforms: tuple[PlatformImage, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """`data` holds layers of models in order of first reference, then layers of images by digest; `metadata` all
    else, with sizes, ROOT too. A library has `components`, by the names of their files, and none of the others."""

    root: Descriptor
    name: str
    version: str
    parts: tuple[Part, ...]
    data: tuple[Descriptor, ...]
    metadata: Mapping[Digest, int]
    components: Mapping[str, Descriptor] = field(default_factory=dict)

    def of_role(self, role: Role) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.role is role)


def walk(root: Descriptor, fetch: Fetch) -> Closure:
    """The closure of ROOT; `root` is its bare descriptor (media type, digest, size). An index is a bundle's, a
    manifest a library's."""
    return _library(root, fetch) if root.media_type == MANIFEST else _Walk(fetch).run(root)


def _library(root: Descriptor, fetch: Fetch) -> Closure:
    """One manifest, and a layer for each component's file in the order of their names."""
    if root.size_bytes > METADATA_LIMIT_BYTES:
        raise DocumentError(f"ROOT: {root.size_bytes} bytes, more than {METADATA_LIMIT_BYTES} for metadata")
    manifest = parse_manifest(fetch(root), root.media_type, "ROOT")
    if manifest.artifact_type != LIBRARY or manifest.config.media_type != EMPTY or manifest.subject is not None:
        raise DocumentError(f"ROOT: not a library: its artifact type is {manifest.artifact_type!r}"[:300])
    name, version = manifest.annotations.get(names.TITLE, ""), manifest.annotations.get(names.VERSION, "")
    if not re.fullmatch(forms.LABEL, name):
        raise DocumentError(f"ROOT: not a name for a library: {name[:80]!r}")
    if not names.is_version(version):
        raise DocumentError(f"ROOT: not a version: {version[:80]!r}")
    if not 0 < len(manifest.layers) <= MAX_LAYERS:
        raise DocumentError(f"ROOT: {len(manifest.layers)} components, at most {MAX_LAYERS} are read")
    files = [(layer.annotations.get(names.TITLE, ""), layer) for layer in manifest.layers]
    sizes = {root.digest: root.size_bytes}
    for title, layer in files:
        if not library.is_file_name(title):
            raise DocumentError(f"ROOT: not the name of a component's file: {title[:120]!r}")
        if layer.media_type != COMPONENT:
            raise DocumentError(f"{title}: of media type {layer.media_type[:120]!r}")
    if any(first >= second for (first, _), (second, _) in pairwise(files)):
        raise DocumentError("ROOT: its components are not in order, or one is there twice")
    for blob in (manifest.config, *manifest.layers):
        if blob.size_bytes > METADATA_LIMIT_BYTES:
            raise DocumentError(
                f"ROOT: {blob.digest} has {blob.size_bytes} bytes, at most {METADATA_LIMIT_BYTES} are read"
            )
        if sizes.setdefault(blob.digest, blob.size_bytes) != blob.size_bytes:
            raise DocumentError(f"ROOT: {blob.digest} with two sizes")
    if sum(sizes.values()) > MAX_LIBRARY_BYTES:
        raise DocumentError(f"ROOT: a library of {sum(sizes.values())} bytes, at most {MAX_LIBRARY_BYTES} are read")
    described = Descriptor(root.media_type, root.digest, root.size_bytes, artifact_type=LIBRARY)
    return Closure(described, name, version, (), (), sizes, {title: _bare(layer) for title, layer in files})


class _Walk:
    def __init__(self, fetch: Fetch) -> None:
        self._fetch_bytes = fetch
        self._sizes: dict[Digest, int] = {}
        self._model_layers: dict[Digest, Descriptor] = {}
        self._image_layers: dict[Digest, Descriptor] = {}
        self._manifests: dict[tuple[Digest, str], Manifest] = {}
        self._images: dict[tuple[Digest, str], tuple[PlatformImage, ...]] = {}
        self._layers: dict[tuple[Digest, str], tuple[Descriptor, ...]] = {}

    def run(self, root: Descriptor) -> Closure:
        index = parse_index(self._fetch(root), root.media_type, "ROOT")
        if root.media_type != INDEX or index.artifact_type != BUNDLE:
            raise DocumentError(f"ROOT: not a bundle: its artifact type is {index.artifact_type!r}")
        bundle = index.annotations.get(names.TITLE, "")
        version = index.annotations.get(names.VERSION, "")
        if not names.is_name(bundle):
            raise DocumentError(f"ROOT: not a name for a bundle: {bundle[:80]!r}")
        if not names.is_version(version):
            raise DocumentError(f"ROOT: not a version: {version[:80]!r}")
        parts = tuple(self._part(entry) for entry in index.manifests)
        _check_order(parts)
        data = {**self._model_layers}
        for digest in sorted(self._image_layers):
            data.setdefault(digest, self._image_layers[digest])
        return Closure(
            root=Descriptor(root.media_type, root.digest, root.size_bytes, artifact_type=BUNDLE),
            name=bundle,
            version=version,
            parts=parts,
            data=tuple(data.values()),
            metadata={digest: size for digest, size in self._sizes.items() if digest not in data},
        )

    def _part(self, entry: Descriptor) -> Part:
        name = entry.annotations.get(names.NAME, "")
        if not names.is_name(name):
            raise DocumentError(f"ROOT: not a name: {name[:80]!r}")
        try:
            role = Role(entry.annotations.get(names.ROLE, ""))
        except ValueError as error:
            raise DocumentError(f"ROOT: {name}: {error}"[:200]) from error
        manifest = None
        platforms: tuple[PlatformImage, ...] = ()
        if role in _ARTIFACT_TYPES:
            manifest = self._artifact(entry, role, f"{role} {name}")
        else:
            platforms = self._image(entry, f"{role} {name}")
        source = entry.annotations.get(names.SOURCE, "")
        return Part(role, name, source, entry, manifest, platforms)

    def _artifact(self, entry: Descriptor, role: Role, where: str) -> Manifest:
        manifest = self._manifest(entry, where)
        expected = _ARTIFACT_TYPES[role]
        if entry.media_type != MANIFEST or manifest.artifact_type != expected or entry.artifact_type != expected:
            raise DocumentError(f"{where}: its artifact type is {manifest.artifact_type!r}, not {expected}")
        self._note(manifest.config, where)
        for layer in manifest.layers:
            if role is Role.MODEL:
                self._note_data(layer, self._model_layers, where)
            else:
                self._note(layer, where)
        return manifest

    def _image(self, entry: Descriptor, where: str) -> tuple[PlatformImage, ...]:
        known = self._images.get((entry.digest, entry.media_type))
        if known is not None and self._sizes[entry.digest] == entry.size_bytes:
            return known
        found: list[PlatformImage] = []
        if entry.media_type in INDEXES:
            children = parse_index(self._fetch(entry), entry.media_type, where).manifests
            if len(children) > MAX_PLATFORMS:
                raise DocumentError(f"{where}: an index of {len(children)} images, at most {MAX_PLATFORMS} are read")
            for child in children:
                if child.media_type not in MANIFESTS:
                    raise DocumentError(f"{where}: an index with a {child.media_type[:120]!r} in it")
                found += self._platform(child, where)
        else:
            found += self._platform(_bare(entry), where)  # without one given, the config's
            if found and entry.platform != found[0].platform:
                raise DocumentError(f"{where}: ROOT says {entry.platform}, its config {found[0].platform}")
        if not found:
            raise DocumentError(f"{where}: no image for any platform in it")
        self._images[entry.digest, entry.media_type] = tuple(found)
        return tuple(found)

    def _platform(self, entry: Descriptor, where: str) -> tuple[PlatformImage, ...]:
        """The image of one manifest; none where it is something else (an attestation beside the images)."""
        manifest = self._manifest(entry, where)
        self._note(manifest.config, where)
        layers = self._layers_of(entry, manifest, where)
        platform = entry.platform
        if manifest.config.media_type not in (IMAGE_CONFIG, DOCKER_CONFIG):
            return ()
        if platform is None:
            platform = platform_of_config(self._fetch(manifest.config), f"{where} config")
        if "unknown" in (platform.os, platform.architecture):
            return ()
        return (PlatformImage(platform, _bare(entry), _bare(manifest.config), layers),)

    def _layers_of(self, entry: Descriptor, manifest: Manifest, where: str) -> tuple[Descriptor, ...]:
        """Once for each manifest, however often it is named."""
        known = self._layers.get((entry.digest, entry.media_type))
        if known is not None:
            return known
        if len(manifest.layers) > MAX_LAYERS:
            raise DocumentError(f"{where}: an image of {len(manifest.layers)} layers, at most {MAX_LAYERS} are read")
        for layer in manifest.layers:
            self._note_data(layer, self._image_layers, where)
        found = tuple(map(_bare, manifest.layers))
        self._layers[entry.digest, entry.media_type] = found
        return found

    def _manifest(self, entry: Descriptor, where: str) -> Manifest:
        known = self._manifests.get((entry.digest, entry.media_type))
        if known is None or self._sizes[entry.digest] != entry.size_bytes:
            known = parse_manifest(self._fetch(entry), entry.media_type, where)
            self._manifests[entry.digest, entry.media_type] = known
        return known

    def _fetch(self, blob: Descriptor) -> bytes:
        self._note(blob, blob.digest.text)
        return self._fetch_bytes(blob)

    def _note(self, blob: Descriptor, where: str) -> None:
        if blob.size_bytes > METADATA_LIMIT_BYTES:
            raise DocumentError(
                f"{where}: {blob.digest} has {blob.size_bytes} bytes, more than {METADATA_LIMIT_BYTES} for metadata"
            )
        self._note_size(blob, where)

    def _note_data(self, blob: Descriptor, layers: dict[Digest, Descriptor], where: str) -> None:
        self._note_size(blob, where)
        layers.setdefault(blob.digest, _bare(blob))

    def _note_size(self, blob: Descriptor, where: str) -> None:
        if self._sizes.setdefault(blob.digest, blob.size_bytes) != blob.size_bytes:
            raise DocumentError(f"{where}: {blob.digest} with two sizes")


def _bare(blob: Descriptor) -> Descriptor:
    return Descriptor(blob.media_type, blob.digest, blob.size_bytes)


def _check_order(parts: tuple[Part, ...]) -> None:
    """One graph, then those of variants by name, then images by name, then models by name, each as ModelPack and as
    image; no name twice."""
    keys = [(_ORDER[part.role], part.name, part.role is Role.MODEL_IMAGE) for part in parts]
    if any(first >= second for first, second in pairwise(keys)):
        raise DocumentError("ROOT: its entries are not in order, or one is there twice")
    by_role = {role: [part.name for part in parts if part.role is role] for role in Role}
    if len(by_role[Role.GRAPH]) != 1:
        raise DocumentError("ROOT: not exactly one graph")
    if by_role[Role.MODEL] != by_role[Role.MODEL_IMAGE]:
        raise DocumentError("ROOT: a model without its image, or an image of a model without the model")
    both = set(by_role[Role.IMAGE]) & set(by_role[Role.MODEL])
    if both:
        raise DocumentError(f"ROOT: {min(both)} is the name of an image and of a model")
