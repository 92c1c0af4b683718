"""OCI manifests and indexes as values, read strictly from the bytes that were hashed.

Each check that fails raises DocumentError; callers say which bundle or source it was and raise their own error.
Reference: OCI image specification 1.1. Not checked: `urls` and `data` of descriptors, which nothing here uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.layout import strictjson
from bundler.model.oci import INDEX, INDEXES, MANIFEST, MANIFESTS, Descriptor, Digest, Platform

METADATA_LIMIT_BYTES = 4 << 20
_SIZE_LIMIT = 1 << 62


class DocumentError(ValueError):
    """A document is not what its descriptor or the specification says; says where and why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest: an image, or an artifact with `artifact_type`."""

    artifact_type: str | None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Index:
    artifact_type: str | None
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str]


def parse_manifest(data: bytes, media_type: str, where: str) -> Manifest:
    document = _document(data, media_type, MANIFESTS, where)
    if "manifests" in document:
        raise DocumentError(f"{where}: a manifest with `manifests`")
    subject = document.get("subject")
    return Manifest(
        artifact_type=_optional_text(document, "artifactType", where),
        config=descriptor(document.get("config"), f"{where} config"),
        layers=_descriptors(document, "layers", where),
        subject=None if subject is None else descriptor(subject, f"{where} subject"),
        annotations=_annotations(document, where),
    )


def parse_index(data: bytes, media_type: str, where: str) -> Index:
    document = _document(data, media_type, INDEXES, where)
    if "layers" in document or "config" in document:
        raise DocumentError(f"{where}: an index with `layers` or `config`")
    return Index(
        artifact_type=_optional_text(document, "artifactType", where),
        manifests=_descriptors(document, "manifests", where),
        annotations=_annotations(document, where),
    )


def parse_object(data: bytes, where: str) -> dict[str, object]:
    try:
        return strictjson.parse_object(data)
    except strictjson.JsonError as error:
        raise DocumentError(f"{where}: {error}") from error


def platform_of_config(data: bytes, where: str) -> Platform:
    """The platform an image config says."""
    return _platform(parse_object(data, where), where)


def descriptor(value: object, where: str) -> Descriptor:
    found = as_object(value, where)
    size_bytes = found.get("size")
    if type(size_bytes) is not int or not 0 <= size_bytes < _SIZE_LIMIT:
        raise DocumentError(f"{where}: not a size: {size_bytes!r}"[:300])
    platform = found.get("platform")
    return Descriptor(
        media_type=text(found, "mediaType", where),
        digest=digest(found.get("digest"), where),
        size_bytes=size_bytes,
        annotations=_annotations(found, where),
        platform=None if platform is None else _platform(as_object(platform, where), where),
        artifact_type=_optional_text(found, "artifactType", where),
    )


def descriptor_json(value: Descriptor) -> dict[str, object]:
    """A descriptor as JSON data; absent fields are left out."""
    found: dict[str, object] = {
        "mediaType": value.media_type,
        "digest": value.digest.text,
        "size": value.size_bytes,
    }
    if value.annotations:
        found["annotations"] = dict(value.annotations)
    if value.artifact_type is not None:
        found["artifactType"] = value.artifact_type
    if value.platform is not None:
        platform = {"os": value.platform.os, "architecture": value.platform.architecture}
        found["platform"] = platform | ({"variant": value.platform.variant} if value.platform.variant else {})
    return found


def describe(media_type: str, data: bytes, **fields: str) -> dict[str, object]:
    """The bare descriptor of `data` as JSON data."""
    return {"mediaType": media_type, "digest": Digest.of(data).text, "size": len(data), **fields}


def as_object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DocumentError(f"{where}: not an object")
    return value


def as_list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise DocumentError(f"{where}: not a list")
    return value


def text(document: Mapping[str, object], key: str, where: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise DocumentError(f"{where}: `{key}` is not a text")
    return value


def digest(value: object, where: str) -> Digest:
    if not isinstance(value, str):
        raise DocumentError(f"{where}: no digest")
    try:
        return Digest(value)
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from error


def _document(data: bytes, media_type: str, allowed: frozenset[str], where: str) -> dict[str, object]:
    if media_type not in allowed:
        raise DocumentError(f"{where}: of media type {media_type[:120]!r}")
    document = parse_object(data, where)
    if document.get("schemaVersion") != 2 or type(document.get("schemaVersion")) is not int:
        raise DocumentError(f"{where}: `schemaVersion` is not 2")
    # OCI leaves `mediaType` optional; Docker's types do not.
    stated = document.get("mediaType")
    if stated != media_type and not (stated is None and media_type in (MANIFEST, INDEX)):
        raise DocumentError(f"{where}: its media type is {media_type!r} to the one who names it and another inside")
    return document


def _descriptors(document: Mapping[str, object], key: str, where: str) -> tuple[Descriptor, ...]:
    items = as_list(document.get(key), f"{where} `{key}`")
    return tuple(descriptor(item, f"{where} {key}[{place}]") for place, item in enumerate(items))


def _annotations(document: Mapping[str, object], where: str) -> dict[str, str]:
    value = document.get("annotations")
    if value is None:
        return {}
    found: dict[str, str] = {}
    for key, item in as_object(value, f"{where} annotations").items():
        if not isinstance(item, str):
            raise DocumentError(f"{where}: the annotation {key[:120]!r} is not a text")
        found[key] = item
    return found


def _platform(document: Mapping[str, object], where: str) -> Platform:
    parts = [document.get(key) for key in ("os", "architecture", "variant")]
    if parts[2] in (None, ""):
        parts.pop()
    if not all(isinstance(part, str) and "/" not in part for part in parts):
        raise DocumentError(f"{where}: no platform")
    try:
        return Platform.parse("/".join(str(part) for part in parts))
    except ValueError as error:
        raise DocumentError(f"{where}: {error}"[:300]) from error


def _optional_text(document: Mapping[str, object], key: str, where: str) -> str | None:
    return None if document.get(key) is None else text(document, key, where)
