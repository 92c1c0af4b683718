"""What a bundle holds, as read from its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundler.model.graph import Graph
from bundler.model.oci import Descriptor, Digest, Platform


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One platform's image: its manifest, config and layers, all in the bundle."""

    platform: Platform
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]


def for_platform(images: Iterable[PlatformImage], host: Platform) -> PlatformImage | None:
    """The image that runs on `host`: the same variant, else any of the same architecture."""
    fitting = [i for i in images if (i.platform.os, i.platform.architecture) == (host.os, host.architecture)]
    same = [i for i in fitting if i.platform.variant == host.variant]
    return next(iter(same or fitting), None)


@dataclass(frozen=True, slots=True)
class BundleImage:
    """`name` is the image's key in the graph's pins; `reference` the bundle-scoped full name
    `bundle.local/BUNDLE/NAME:VERSION-<12 hex>`; `source` what the graph said; `digest` of the index or
    manifest, byte-identical to upstream's where it came from a registry."""

    name: str
    reference: str
    source: str
    descriptor: Descriptor
    platforms: tuple[PlatformImage, ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: its bytes are `size_bytes` long from `offset_bytes` of the tar blob `layer`."""

    path: str
    size_bytes: int
    digest: Digest
    layer: Digest
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class BundleModel:
    """The same tar blobs under two manifests: ModelPack (`pack`) and a mountable image (`image`)."""

    name: str
    reference: str
    license: str | None
    pack: Descriptor
    image: Descriptor
    platforms: tuple[PlatformImage, ...]
    files: tuple[ModelFile, ...]

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        return self.platforms[0].layers


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A packed config file; `path` is relative to the mount point, "" for a single file."""

    path: str
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class BundleConfig:
    name: str
    files: tuple[ConfigFile, ...]
    template: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """A closed bundle: every digest it names is in it. `images_of` maps a workload to its image's name,
    `users` to the numeric "uid:gid" that it runs as. `variants` are the same bundle as each variant has it: another
    graph, and of the images and models those that it uses."""

    root: Descriptor
    graph: Graph
    graph_document: bytes
    images: tuple[BundleImage, ...]
    images_of: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...]
    models: tuple[BundleModel, ...]
    configs: tuple[BundleConfig, ...]
    variant: str = ""  # of a bundle as one customer gets it
    variants: tuple[Bundle, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signed ROOT; `fingerprint` is the hexadecimal sha256 of its SPKI DER."""

    fingerprint: str
    name: str | None
    trusted: bool


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle whose every byte was checked under a policy. Made only by `trust.verify`."""

    bundle: Bundle
    signers: tuple[Signer, ...]
    unsigned_allowed: bool

    def of(self, variant: str) -> VerifiedBundle | None:
        """As one variant has it, "" for the graph itself; None where the bundle holds none of that name."""
        found = (one for one in (self.bundle, *self.bundle.variants) if one.variant == variant)
        return next((VerifiedBundle(one, self.signers, self.unsigned_allowed) for one in found), None)


@dataclass(frozen=True, slots=True)
class VerifiedLibrary:
    """A library of which the same holds; `files` are its components', by name."""

    name: str
    version: str
    root: Digest
    files: Mapping[str, bytes]
    signers: tuple[Signer, ...]
