"""A library of components as one artifact: ROOT is a manifest with a layer for each component's file.

Reads the files. Writes `Assembly`, for `trust.sign` and `ArchiveWriter.finish`. `files_of` is the way back, for
`trust.verify`. Any OCI client can fetch it: titles are the files' names. Pure, but for what `files_of` reads.
"""

from __future__ import annotations

from collections.abc import Mapping

from bundler.errors import SourceError
from bundler.layout import names, strictjson
from bundler.layout.archive import ArchiveReader
from bundler.layout.assembly import Assembly
from bundler.layout.closure import Closure, walk
from bundler.layout.documents import DocumentError, describe
from bundler.model.oci import COMPONENT, EMPTY, LIBRARY, MANIFEST, Descriptor, Digest


def assemble(name: str, version: str, files: Mapping[str, bytes]) -> Assembly:
    """`files` are those of the components, by name. SourceError where they cannot be a library."""
    layers = [
        describe(COMPONENT, data) | {"annotations": {names.TITLE: title}} for title, data in sorted(files.items())
    ]
    empty = b"{}"
    root_bytes = strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": LIBRARY,
            "config": describe(EMPTY, empty),
            "layers": layers,
            "annotations": {names.TITLE: name, names.VERSION: version},
        }
    )
    held = {Digest.of(data): data for data in (empty, *files.values(), root_bytes)}
    root = Descriptor(MANIFEST, Digest.of(root_bytes), len(root_bytes), artifact_type=LIBRARY)
    try:
        walk(root, lambda blob: held[blob.digest])
    except DocumentError as error:
        raise SourceError(f"these components do not make a library: {error}") from error
    return Assembly(root, root_bytes, dict(sorted(held.items())), ())


def files_of(reader: ArchiveReader, closure: Closure) -> dict[str, bytes]:
    """The components' files by name, each checked by its digest."""
    return {title: reader.read(blob) for title, blob in closure.components.items()}
