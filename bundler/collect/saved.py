"""A `docker save` stream, whichever engine wrote it: the images asked for, found by their digests alone.

Docker 25 and newer write an OCI layout (blobs named by digest; compressed ones on the containerd store), older ones
`ID/layer.tar` and `ID.json`, with links where images share layers. Names are hints only: a blob is what its
sha256 says, plain or after decompression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bundler.collect import manifests
from bundler.collect.compression import decompressed
from bundler.collect.layers import LayerWriter
from bundler.collect.tarstream import Kind, StreamSource, TarReader
from bundler.errors import SourceError
from bundler.layout import documents
from bundler.model.oci import INDEX, Digest, Platform

MAX_DOCUMENTS_BYTES = 64 << 20
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})\Z")


def receive(chunks: Iterable[bytes], layers: LayerWriter, what: str) -> dict[Digest, bytes]:
    """Hand every layer of the stream to `layers`; the JSON documents of the stream, by digest."""
    found: dict[Digest, bytes] = {}
    source = StreamSource(chunks, what)
    reader = TarReader(source, what)
    kept = 0
    for member in reader:
        if member.kind is not Kind.FILE:
            continue
        named = _BLOB.match(member.name)
        hint = Digest(f"sha256:{named[1]}") if named else None
        if hint is not None and layers.misses(hint):
            layers.offer(hint, reader.body(), what)
        elif member.size_bytes > manifests.MAX_DOCUMENT_BYTES:
            layers.offer(None, decompressed(reader.body(), what), what)
        else:
            data = b"".join(reader.body())
            digest = Digest.of(data)
            if data.startswith(b"{") and not layers.misses(digest):
                found[digest] = data
                kept += len(data)
            else:
                layers.offer(None, decompressed([data], what), what)
        if kept > MAX_DOCUMENTS_BYTES:
            raise SourceError(f"{what}: more than {MAX_DOCUMENTS_BYTES:,} bytes of documents")
    source.drain()
    return found


def config_of(
    found: Mapping[Digest, bytes], image: Digest, platform: Platform, diff_ids: tuple[Digest, ...], what: str
) -> bytes:
    """The config of an image by its id: that of the config itself, of a manifest, or of an index."""
    pending, seen = [image], set()
    while pending:
        digest = pending.pop()
        if digest in seen or digest not in found:
            continue
        seen.add(digest)
        data = found[digest]
        document = manifests.json_object(data, what)
        if "rootfs" in document:
            config = manifests.image_config(data, what)
            if config.diff_ids == diff_ids and manifests.serves(config.platform, platform):
                return data
        elif "manifests" in document:
            media_type = str(document.get("mediaType") or INDEX)
            pending += [entry.digest for entry in manifests.index(data, media_type, what).manifests]
        else:
            inner = document.get("config")
            if isinstance(inner, dict):
                with manifests.refusing():
                    pending.append(documents.digest(inner.get("digest"), what))
    raise SourceError(
        f"{what}: the engine's archive does not hold the image {image.short} for {platform}",
        hint="was it removed or rebuilt meanwhile? run the same command again",
    )
