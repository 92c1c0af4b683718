"""Digests, descriptors, platforms and media types (OCI image specification 1.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})

# The product's own media types: chosen once, never changed.
BUNDLE = "application/vnd.graphbundle.bundle.v1+json"  # artifactType of ROOT
GRAPH_MANIFEST = "application/vnd.graphbundle.manifest.v1+json"  # artifactType of the graph manifest
GRAPH = "application/vnd.graphbundle.graph.v1+json"  # its config: graph and pins
CONFIG_FILE = "application/vnd.graphbundle.config.file.v1"  # its layers: one config file each
LIBRARY = "application/vnd.graphbundle.library.v1+json"  # artifactType of a library's ROOT, a manifest
COMPONENT = "application/vnd.graphbundle.component.v1+yaml"  # its layers: one component's file each

# Go's words for what an image runs on, which OCI takes, and what else they are called.
ARCHITECTURES = (
    "386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
)  # fmt: skip
OTHERWISE_CALLED = {
    "x86": "amd64", "x86_64": "amd64", "x86-64": "amd64", "x64": "amd64", "i386": "386", "i686": "386",
    "aarch64": "arm64", "arm64v8": "arm64", "armhf": "arm/v7", "armv7": "arm/v7", "armv7l": "arm/v7",
    "armel": "arm/v6", "armv6": "arm/v6",
}  # fmt: skip

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """`sha256:` and 64 lower-case hexadecimal digits; nothing else is a digest here."""

    text: str

    def __post_init__(self) -> None:
        if not _DIGEST.match(self.text):
            raise ValueError(f"not a sha256 digest: {self.text[:80]!r}")

    @classmethod
    def of(cls, data: bytes) -> Digest:
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @property
    def hex(self) -> str:
        return self.text.removeprefix("sha256:")

    @property
    def short(self) -> str:
        """The first 12 digits, for names and for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Platform:
    """An OCI platform, written `os/architecture[/variant]`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(p for p in (self.os, self.architecture, self.variant) if p)

    @classmethod
    def parse(cls, text: str) -> Platform:
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(re.fullmatch(r"[a-z0-9_.-]+", p) for p in parts):
            raise ValueError(f"not a platform: {text!r}")
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What refers to a blob: media type, digest, size in bytes; platform and annotations where given."""

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    platform: Platform | None = None
    artifact_type: str | None = None
