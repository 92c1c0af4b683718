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
LICENSE = PREFIX + "license"
KEY = PREFIX + "key"  # of a simple signature: the fingerprint of its key

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
COSIGN_KIND = "kind"
COSIGN_INDEX = "dev.cosignproject.cosign/imageIndex"
COSIGN_SIGNATURES = "dev.cosignproject.cosign/sigs"

_NOT_TAG = re.compile(r"[^A-Za-z0-9._-]")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_PATH = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_MAX_VERSION = 64  # so that NAME-VERSION of a 63-character name is a tag


class Role(StrEnum):
    """What a manifest in ROOT is."""

    GRAPH = "graph"
    IMAGE = "image"
    MODEL = "model"
    MODEL_IMAGE = "model-image"


def is_name(text: str) -> bool:
    """A DNS label: what bundles, images and models are named by."""
    return _PATH.match(text) is not None


def is_version(text: str) -> bool:
    """A version of which every tag here can be made: a tag itself once `+` is written `_`, at most 64 characters."""
    return len(text) <= _MAX_VERSION and _TAG.match(text.replace("+", "_")) is not None


def tag(version: str) -> str:
    """The version as a tag. A `+` has no place in a tag; `_` stands for it, as Helm has it."""
    return _NOT_TAG.sub("_", version)


def bundle_repository(bundle: str) -> str:
    return f"{REGISTRY}/{bundle}"


def bundle_reference(bundle: str, version: str) -> str:
    return f"{bundle_repository(bundle)}:{tag(version)}"


def image_repository(bundle: str, image: str) -> str:
    return f"{REGISTRY}/{bundle}/{image}"


def image_reference(bundle: str, version: str, image: str, digest: Digest) -> str:
    return f"{image_repository(bundle, image)}:{tag(version)}-{digest.short}"


def image_tag(version: str, image: str) -> str:
    """The layout's `ref.name`: a legal tag, or `oras restore` cannot push it."""
    return f"{image}-{tag(version)}"
