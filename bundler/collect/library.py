"""A library between a registry and a tar.

`fetch` reads a registry and writes the tar that was packed; `trust.verify` checks that as any other. `push` is the way
there: ROOT under its tag, and the signatures where cosign and other clients look for them (the tag `sha256-….sig`; by
`subject`, for which a client keeps an index under a tag where the registry keeps none).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bundler.collect.reference import Reference
from bundler.collect.registry import Repository, referrers_tag, server
from bundler.edges.push import Registry
from bundler.errors import SourceError, TargetError, TrustError
from bundler.layout import strictjson
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.assembly import Assembly
from bundler.layout.canonical import MAX_REFERRERS, SIGSTORE_BUNDLE, Referrer, read_referrer
from bundler.layout.closure import walk
from bundler.layout.documents import DocumentError, Manifest, as_list, descriptor_json, parse_index, parse_manifest
from bundler.layout.names import bundle_repository
from bundler.layout.read import open_layout
from bundler.model.oci import INDEX, LIBRARY, MANIFEST, Descriptor, Digest
from bundler.trust.signature import claims


def fetch(repository: Repository, path: Path) -> None:
    """Write the library to `path`, with every signature that has our form. SourceError where there is none."""
    found = repository.find()
    root = Descriptor(MANIFEST, found.descriptor.digest, found.descriptor.size_bytes)
    try:
        if found.descriptor.media_type != MANIFEST:
            raise DocumentError(f"of media type {found.descriptor.media_type[:120]!r}")
        closure = walk(root, lambda _: found.data)
    except DocumentError as error:
        raise SourceError(
            f"{repository.what} is no library of components: {error}", hint="bundle components push puts one there"
        ) from error
    others = {digest: size for digest, size in closure.metadata.items() if digest != root.digest}
    metadata = {digest: repository.document(Descriptor("", digest, size)) for digest, size in others.items()}
    assembly = Assembly(closure.root, found.data, {root.digest: found.data, **metadata}, ())
    signatures: dict[Digest, Referrer] = {}
    for data in _candidates(repository, root):
        made = _signature(repository, data, root, bundle_repository(closure.name))
        if made is not None and len(signatures) < MAX_REFERRERS:
            signatures[Digest.of(data)] = made
    with ArchiveWriter(path) as writer:
        writer.finish(assembly, list(signatures.values()))


def push(reader: ArchiveReader, reference: Reference) -> Digest:
    """The library of a checked tar, under the reference's tag; its digest. TrustError where nobody signed it,
    TargetError where the registry refuses."""
    opened = open_layout(reader, LIBRARY)
    if not opened.referrers:
        raise TrustError(f"{reader.path}: nobody signed it", hint="bundle components pack signs")
    root = opened.closure.root
    registry, path = Registry(server(reference.host)), reference.path

    def put_blobs(manifest: Manifest) -> None:
        for blob in (manifest.config, *manifest.layers):
            if not registry.has(path, blob):
                registry.put_blob(path, blob, [reader.read(blob)])

    data = reader.read(root)
    put_blobs(parse_manifest(data, MANIFEST, "ROOT"))
    registry.put_manifest(path, root, data)
    for referrer in opened.referrers:
        manifest, _ = read_referrer(referrer, root)
        put_blobs(manifest)
        described = Descriptor(
            MANIFEST, Digest.of(referrer), len(referrer), manifest.annotations, None, manifest.artifact_type
        )
        if manifest.artifact_type != SIGSTORE_BUNDLE:
            registry.put_manifest(path, described, referrer, tag=_signatures_tag(root.digest))
        elif not registry.put_manifest(path, described, referrer):
            _list(registry, path, root.digest, described)
    registry.put_manifest(path, root, data, tag=reference.tag)  # last, so that whoever finds it finds its signatures
    return root.digest


def _list(registry: Registry, path: str, subject: Digest, referrer: Descriptor) -> None:
    """Among what speaks of a manifest, in the index that clients keep."""
    tag = referrers_tag(subject)
    kept = registry.manifest(path, tag)
    try:
        listed = [] if kept is None else as_list(strictjson.parse_object(kept).get("manifests"), tag)
        if kept is not None and referrer.digest in {each.digest for each in parse_index(kept, INDEX, tag).manifests}:
            return
    except (DocumentError, strictjson.JsonError) as error:
        raise TargetError(f"{path}:{tag} is no index of what speaks of {subject}: {error}") from error
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*listed, descriptor_json(referrer)]}
    data = strictjson.canonical(index)
    registry.put_manifest(path, Descriptor(INDEX, Digest.of(data), len(data)), data, tag=tag)


def _candidates(repository: Repository, root: Descriptor) -> Iterator[bytes]:
    """Manifests that may be signatures of ROOT; anybody who may push there can add some."""
    simple = repository.tagged(_signatures_tag(root.digest))
    if simple is not None:
        yield simple.data
    listed = repository.referrers(root.digest)
    try:
        entries = () if listed is None else parse_index(listed, INDEX, "referrers").manifests
    except DocumentError as error:
        raise SourceError(f"{repository.what}: the list of its signatures cannot be read: {error}") from error
    # What a list says of an artifact's type is not relied on: some writers put another there.
    for entry in entries[: 4 * MAX_REFERRERS]:
        with suppress(SourceError):  # listed, and gone
            if entry.media_type == MANIFEST:
                yield repository.document(entry)


def _signature(repository: Repository, data: bytes, root: Descriptor, name: str) -> Referrer | None:
    """None for what somebody else has put beside the library, in another form."""
    try:
        manifest, _ = read_referrer(data, root)
        blobs = {blob.digest: repository.document(blob) for blob in (manifest.config, *manifest.layers)}
        claims(data, root, name, lambda blob: blobs[blob.digest])
    except (DocumentError, SourceError):
        return None
    return Referrer(data, blobs)


def _signatures_tag(subject: Digest) -> str:
    return f"{referrers_tag(subject)}.sig"
