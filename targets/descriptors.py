"""Blobs of a bundle as the steps of a plan name them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bundler.model.oci import Descriptor, Digest


def descriptor_json(blob: Descriptor) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": str(blob.digest), "size": blob.size_bytes}


def descriptor(value: Mapping[str, Any]) -> Descriptor:
    return Descriptor(value["mediaType"], Digest(value["digest"]), value["size"])
