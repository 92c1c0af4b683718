"""What a source's image documents say, which of its platforms are taken, and the documents written here.

Parsing is `layout.documents`': what would not be read back from a bundle is refused before it gets into one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bundler.errors import SourceError
from bundler.layout import documents, strictjson
from bundler.layout.documents import DocumentError, Index, Manifest
from bundler.model.oci import IMAGE_CONFIG, INDEX, LAYER_TAR, MANIFEST, Descriptor, Digest, Platform

MAX_DOCUMENT_BYTES = documents.METADATA_LIMIT_BYTES
_NORMAL_VARIANT = {("arm64", "v8"): "", ("amd64", "v1"): ""}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What matters here of an image's config."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    user: str


@contextmanager
def refusing() -> Iterator[None]:
    """DocumentError as SourceError."""
    try:
        yield
    except DocumentError as error:
        raise SourceError(str(error)) from error


def manifest(data: bytes, media_type: str, where: str) -> Manifest:
    with refusing():
        return documents.parse_manifest(data, media_type, where)


def index(data: bytes, media_type: str, where: str) -> Index:
    with refusing():
        return documents.parse_index(data, media_type, where)


def json_object(data: bytes, where: str) -> dict[str, object]:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise SourceError(f"{where}: {len(data):,} bytes of JSON; the limit is {MAX_DOCUMENT_BYTES:,}")
    with refusing():
        return documents.parse_object(data, where)


def image_config(data: bytes, where: str) -> ImageConfig:
    document = json_object(data, where)
    inner = document.get("config")
    user = inner.get("User") if isinstance(inner, dict) else None
    with refusing():
        platform = documents.platform_of_config(data, where)
        rootfs = documents.as_object(document.get("rootfs"), f"{where} rootfs")
        diff_ids = [] if rootfs.get("diff_ids") is None else documents.as_list(rootfs["diff_ids"], f"{where} diff_ids")
        digests = tuple(documents.digest(item, f"{where} diff_ids") for item in diff_ids)
    return ImageConfig(normal(platform), digests, user if isinstance(user, str) else "")


def normal(platform: Platform) -> Platform:
    """`linux/arm64/v8` is `linux/arm64`, `linux/amd64/v1` is `linux/amd64`."""
    variant = _NORMAL_VARIANT.get((platform.architecture, platform.variant), platform.variant)
    return Platform(platform.os, platform.architecture, variant)


def serves(have: Platform, wanted: Platform) -> bool:
    """Whether an image for `have` is one for `wanted`; a wanted platform without variant takes any."""
    have, wanted = normal(have), normal(wanted)
    same = (have.os, have.architecture) == (wanted.os, wanted.architecture)
    return same and (have.variant == wanted.variant or not wanted.variant)


def choose(candidates: Sequence[Descriptor], wanted: Platform) -> Descriptor | None:
    """The index entry for a platform: the exact one, else the highest variant that serves."""
    fitting = [
        (normal(entry.platform) == normal(wanted), entry.platform.variant, entry)
        for entry in candidates
        if entry.platform is not None and serves(entry.platform, wanted)
    ]
    return max(fitting, key=lambda item: item[:2])[2] if fitting else None


def own_manifest(config: bytes, layers: Sequence[Descriptor]) -> bytes:
    """The manifest of an image that has none of its own: its config as it is, uncompressed layers."""
    return strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": documents.describe(IMAGE_CONFIG, config),
            "layers": [documents.descriptor_json(layer) for layer in layers],
        }
    )


def own_index(entries: Sequence[Descriptor]) -> bytes:
    """An index over manifests, each with its platform, where no upstream's has exactly these."""
    plain = [replace(entry, annotations={}) for entry in entries]
    ordered = sorted(plain, key=lambda entry: (str(entry.platform), entry.digest))
    return strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [documents.descriptor_json(entry) for entry in ordered],
        }
    )


def layer(digest: Digest, size_bytes: int) -> Descriptor:
    return Descriptor(LAYER_TAR, digest, size_bytes)
