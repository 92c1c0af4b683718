"""Blobs and images of a bundle as the steps of a plan name them, and which image of several runs on a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bundler.model.bundle import PlatformImage
from bundler.model.oci import Descriptor, Digest, Platform


def descriptor_json(blob: Descriptor) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": str(blob.digest), "size": blob.size_bytes}


def descriptor(value: Mapping[str, Any]) -> Descriptor:
    return Descriptor(value["mediaType"], Digest(value["digest"]), value["size"])


def for_platform(images: Iterable[PlatformImage], host: Platform) -> PlatformImage | None:
    """The image that runs on `host`: the same variant, else any of the same architecture."""
    fitting = [i for i in images if (i.platform.os, i.platform.architecture) == (host.os, host.architecture)]
    same = [i for i in fitting if i.platform.variant == host.variant]
    return next(iter(same or fitting), None)
