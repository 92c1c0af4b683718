"""Names and annotations inside a bundle.

Images are named `bundle.local/BUNDLE/IMAGE:VERSION-<12 hex>` and nothing else, so that loading a bundle never
re-points a name that somebody else uses (reliability H32).
"""

from __future__ import annotations

import re
from enum import StrEnum

from bundler.model.oci import Digest

REGISTRY = "bundle.local"

PREFIX = "dev.graphbundle."
ROLE = PREFIX + "role"
NAME = PREFIX + "name"
SOURCE = PREFIX + "source"
FILES = PREFIX + "files"  # of a model's layer: JSON, the files in it with byte range and sha256
KEY = PREFIX + "key"  # of a simple signature: the fingerprint of its key

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
COSIGN_KIND = "kind"
COSIGN_INDEX = "dev.cosignproject.cosign/imageIndex"
COSIGN_IMAGE = "dev.cosignproject.cosign/image"
COSIGN_SIGNATURES = "dev.cosignproject.cosign/sigs"

_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_TAG_LIMIT = 128


class Role(StrEnum):
    """What a manifest in ROOT is."""

    GRAPH = "graph"
    VARIANT = "variant"
    IMAGE = "image"
    MODEL = "model"
    MODEL_IMAGE = "model-image"


def is_name(text: str) -> bool:
    """A DNS label: what bundles, images and models are named by."""
    return _NAME.match(text) is not None


def is_version(text: str) -> bool:
    """A version of which every tag here can be made: a tag itself, at most 100 characters long."""
    return _VERSION.match(text) is not None


def is_file_path(text: str) -> bool:
    """A relative path of a file that stays where it is put: no `..`, nothing absolute, nothing a terminal would act
    on, nothing that is another path on another system."""
    harmless = all(character.isprintable() for character in text) and "\\" not in text
    return harmless and not any(part in ("", ".", "..") for part in text.split("/"))


def bundle_repository(bundle: str) -> str:
    return f"{REGISTRY}/{bundle}"


def bundle_reference(bundle: str, version: str) -> str:
    return f"{bundle_repository(bundle)}:{version}"


def image_repository(bundle: str, image: str) -> str:
    return f"{REGISTRY}/{bundle}/{image}"


def image_reference(bundle: str, version: str, image: str, digest: Digest) -> str:
    return f"{image_repository(bundle, image)}:{version}-{digest.short}"


def image_tag(version: str, image: str) -> str:
    """The layout's `ref.name`: a legal tag, or `oras restore` cannot push it. Cut, it still differs between images."""
    tag = f"{image}-{version}"
    return tag if len(tag) <= _TAG_LIMIT else f"{tag[: _TAG_LIMIT - 13]}-{Digest.of(image.encode()).short}"
