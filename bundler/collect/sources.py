"""What the workloads of a graph run, each source once, and what an image is once its source was looked at.

Nothing here reads anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bundler.collect import manifests
from bundler.errors import SourceError
from bundler.layout.assembly import PackedImage
from bundler.model.graph import Graph, PythonBuild, Workload
from bundler.model.oci import INDEX, INDEXES, MANIFEST, Descriptor, Digest, Platform

Opener = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Exactly one of `image` and `build`, as the graph says it. `name` is that of the first workload that runs it;
    `workloads` are the graph's own, `varied` those of its variants, as (variant, workload). `silent`: one of them says
    neither command nor entrypoint."""

    name: str
    workloads: tuple[str, ...]
    image: str | None
    build: str | PythonBuild | None
    varied: tuple[tuple[str, str], ...] = ()
    silent: bool = False

    @property
    def first(self) -> str:
        """The workload that messages name."""
        return self.workloads[0] if self.workloads else f"{self.varied[0][1]} (in the variant {self.varied[0][0]})"

    @property
    def what(self) -> str:
        return f"{self.first}: {self.text}"

    @property
    def text(self) -> str:
        return f"build {_folder(self.build)}" if self.image is None else f"image {self.image}"

    @property
    def base(self) -> ImageSource:
        """The image that a Python project is put on; any other is its own."""
        return replace(self, image=self.build.base, build=None) if isinstance(self.build, PythonBuild) else self


class Image(Protocol):
    """An image that was found and not yet read. `layers`, lowest first, and `user` are of its first platform."""

    @property
    def source(self) -> ImageSource: ...

    @property
    def user(self) -> str: ...

    @property
    def layers(self) -> tuple[Digest, ...]: ...

    @property
    def all_layers(self) -> frozenset[Digest]: ...

    def packed(self, sizes: Mapping[Digest, int]) -> PackedImage:
        """For the bundle, once all layers are stored with these sizes."""


@dataclass(slots=True)
class OwnPart:
    """One platform of an image without a manifest of its own; `config` is filled in when it arrives."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    user: str
    config: bytes | None
    id: Digest | None = None  # the engine's


@dataclass(frozen=True, slots=True)
class OwnImage:
    """From an engine or a docker archive: config as it is, uncompressed layers, a manifest that we write."""

    source: ImageSource
    parts: tuple[OwnPart, ...]

    @property
    def user(self) -> str:
        return self.parts[0].user

    @property
    def layers(self) -> tuple[Digest, ...]:
        return self.parts[0].diff_ids

    @property
    def all_layers(self) -> frozenset[Digest]:
        return frozenset(digest for part in self.parts for digest in part.diff_ids)

    def packed(self, sizes: Mapping[Digest, int]) -> PackedImage:
        documents: dict[Digest, bytes] = {}
        entries = []
        for part in self.parts:
            if part.config is None:
                raise ValueError(f"{self.source.what}: no config came for {part.platform}")
            data = manifests.own_manifest(part.config, [manifests.layer(d, sizes[d]) for d in part.diff_ids])
            documents |= {Digest.of(part.config): part.config, Digest.of(data): data}
            entries.append(Descriptor(MANIFEST, Digest.of(data), len(data), platform=part.platform))
        top = entries[0]
        if len(entries) > 1:
            index = manifests.own_index(entries)
            documents[Digest.of(index)] = index
            top = Descriptor(INDEX, Digest.of(index), len(index))
        layers = tuple(manifests.layer(digest, sizes[digest]) for digest in sorted(self.all_layers))
        return packed_of(self.source, top, documents, layers)


class Blobs(Protocol):
    """Where an upstream image's blobs are: a registry's repository, or an OCI layout."""

    def document(self, wanted: Descriptor) -> bytes:
        """A manifest or config, size and digest checked."""

    def layer(self, wanted: Descriptor) -> Iterator[bytes]:
        """A layer, exactly `size_bytes`; whoever stores it checks the digest."""


@dataclass(frozen=True, slots=True)
class UpstreamImage:
    """Byte-identical to where it comes from: index, manifests, configs and layers."""

    source: ImageSource
    descriptor: Descriptor
    documents: Mapping[Digest, bytes]
    descriptors: tuple[Descriptor, ...]  # of every layer, once
    layers: tuple[Digest, ...]
    user: str
    blobs: Blobs

    @property
    def all_layers(self) -> frozenset[Digest]:
        return frozenset(layer.digest for layer in self.descriptors)

    def openers(self) -> dict[Digest, Opener]:
        """How to read each layer."""

        def opener(layer: Descriptor) -> Opener:
            return lambda: self.blobs.layer(layer)

        return {layer.digest: opener(layer) for layer in self.descriptors}

    def packed(self, sizes: Mapping[Digest, int]) -> PackedImage:
        return packed_of(self.source, self.descriptor, self.documents, self.descriptors)


def image_sources(graph: Graph) -> tuple[ImageSource, ...]:
    """Every image of the graph once, by name."""
    users: dict[tuple[str | None, str | PythonBuild | None], list[Workload]] = {}
    for workload in sorted((*graph.services, *graph.jobs), key=lambda w: w.name):
        users.setdefault((workload.image, workload.build), []).append(workload)
    return tuple(
        ImageSource(
            workloads[0].name,
            tuple(workload.name for workload in workloads),
            image,
            build,
            silent=any(workload.command is None and workload.entrypoint is None for workload in workloads),
        )
        for (image, build), workloads in users.items()
    )


def upstream(
    source: ImageSource, top: Descriptor, data: bytes, blobs: Blobs, platforms: Sequence[Platform]
) -> UpstreamImage:
    """The wanted platforms of an image.

    One platform: its manifest is the image. Several: upstream's index where it lists exactly these, else a
    small one over the manifests as they are. An index that is kept is kept whole: every bundle is closed.
    """
    what = source.what
    documents: dict[Digest, bytes] = {}
    if top.media_type in INDEXES:
        entries = manifests.index(data, top.media_type, what).manifests
        chosen = [_entry(entries, platform, what) for platform in platforms]
        unique = list({entry.digest: entry for entry in chosen}.values())
        if len(unique) == 1:
            top = _bare(unique[0])
        elif {entry.digest for entry in entries} == {entry.digest for entry in unique}:
            documents[top.digest] = data
        else:
            index = manifests.own_index(unique)
            top = Descriptor(INDEX, Digest.of(index), len(index))
            documents[top.digest] = index
        parts = [(_bare(entry), blobs.document(_bare(entry))) for entry in unique]
    else:
        parts = [(top, data)]
    layers: dict[Digest, Descriptor] = {}
    first: tuple[tuple[Digest, ...], str] | None = None
    for place, (entry, raw) in enumerate(parts):
        manifest = manifests.manifest(raw, entry.media_type, what)
        config_data = blobs.document(manifest.config)
        config = manifests.image_config(config_data, what)
        wanted = platforms[place] if len(parts) == len(platforms) else platforms[0]
        if (len(parts) == 1 and len(platforms) > 1) or not manifests.serves(config.platform, wanted):
            raise SourceError(f"{what}: there is one for {config.platform} only, not for {_listed(platforms)}")
        if len(config.diff_ids) != len(manifest.layers):
            raise SourceError(
                f"{what}: {len(manifest.layers)} layers, and {len(config.diff_ids)} of them in the config"
            )
        documents |= {entry.digest: raw, manifest.config.digest: config_data}
        layers |= {layer.digest: layer for layer in manifest.layers}
        first = first or (tuple(layer.digest for layer in manifest.layers), config.user)
    digests, user = first or ((), "")
    return UpstreamImage(source, top, documents, tuple(layers.values()), digests, user, blobs)


def _entry(entries: Sequence[Descriptor], platform: Platform, what: str) -> Descriptor:
    found = manifests.choose(entries, platform)
    if found is None:
        there = sorted({str(e.platform) for e in entries if e.platform and e.platform.os != "unknown"})
        raise SourceError(f"{what}: not there for {platform}", hint=f"it is there for: {', '.join(there) or 'nothing'}")
    return found


def _bare(entry: Descriptor) -> Descriptor:
    return Descriptor(entry.media_type, entry.digest, entry.size_bytes)


def _listed(platforms: Sequence[Platform]) -> str:
    return ", ".join(str(platform) for platform in platforms)


def packed_of(
    source: ImageSource, top: Descriptor, documents: Mapping[Digest, bytes], layers: tuple[Descriptor, ...]
) -> PackedImage:
    said = source.image if source.image is not None else f"build:{_folder(source.build)}"
    return PackedImage(source.name, said, source.workloads, top, documents, layers)


def _folder(build: str | PythonBuild | None) -> str:
    return build.project if isinstance(build, PythonBuild) else build or ""
