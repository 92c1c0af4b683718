"""Signatures over ROOT, and over a whole file.

Reads ROOT's descriptor and keys. Writes referrers for `ArchiveWriter.finish`, or the bytes of detached files. Next:
`trust.verify`, cosign, openssl.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bundler.layout import strictjson
from bundler.layout.canonical import BUNDLE_CONTENT, BUNDLE_PREDICATE, SIGSTORE_BUNDLE, Referrer
from bundler.layout.documents import describe
from bundler.model.oci import EMPTY, IMAGE_CONFIG, MANIFEST, Descriptor, Digest
from bundler.trust import signature
from bundler.trust.keys import PrivateKey

_NEVER = "0001-01-01T00:00:00Z"  # what cosign writes where a clock would be


def sign_root(root: Descriptor, reference_name: str, *keys: PrivateKey) -> tuple[Referrer, ...]:
    """Both forms of signature over ROOT: one manifest with the simple signatures of all keys, and a Sigstore bundle of
    each. `reference_name` is `layout.names.bundle_repository(NAME)`. ValueError without a key, or with one twice."""
    by_fingerprint = {key.public.fingerprint: key for key in keys}
    if not keys or len(by_fingerprint) != len(keys):
        raise ValueError("one or more different keys sign")
    ordered = [by_fingerprint[fingerprint] for fingerprint in sorted(by_fingerprint)]
    return (_simple(root, reference_name, ordered), *(_sigstore(root, key) for key in ordered))


@dataclass(frozen=True, slots=True)
class Detached:
    """`signature` for FILE.sig (base64 of DER: `cosign verify-blob --signature`; decoded, `openssl dgst -verify`),
    `bundle` for FILE.sigstore.json (`cosign verify-blob --bundle`)."""

    signature: bytes
    bundle: bytes


def sign_file(chunks: Iterable[bytes], key: PrivateKey) -> Detached:
    """Sign the whole of a file, given as it is read: by whoever knows that it is the file that was written."""
    hashing = hashlib.sha256()
    for chunk in chunks:
        hashing.update(chunk)
    made = key.sign_digest(hashing.digest())
    return Detached(
        signature=signature.encode(made).encode("ascii"),
        bundle=signature.detached_bundle(key.public.fingerprint, hashing.digest(), made),
    )


def _simple(root: Descriptor, repository: str, keys: list[PrivateKey]) -> Referrer:
    payload = signature.simple_payload(root.digest, repository)
    config = strictjson.canonical(
        {
            "architecture": "",
            "config": {},
            "created": _NEVER,
            "history": [{"created": _NEVER}] * len(keys),
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(payload).text] * len(keys)},
        }
    )
    layers = [signature.simple_layer(payload, key.public.fingerprint, key.sign(payload)) for key in keys]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(IMAGE_CONFIG, config),
        "layers": layers,
    }
    return Referrer(strictjson.canonical(manifest), {Digest.of(payload): payload, Digest.of(config): config})


def _sigstore(root: Descriptor, key: PrivateKey) -> Referrer:
    payload = signature.statement(root.digest)
    made = key.sign(signature.envelope_bytes(payload))
    bundle = signature.sigstore_bundle(key.public.fingerprint, payload, made)
    empty = b"{}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": SIGSTORE_BUNDLE,
        "config": describe(EMPTY, empty),
        "layers": [describe(SIGSTORE_BUNDLE, bundle)],
        "subject": {"mediaType": root.media_type, "digest": root.digest.text, "size": root.size_bytes},
        "annotations": {
            BUNDLE_CONTENT: "dsse-envelope",
            BUNDLE_PREDICATE: signature.PREDICATE,
        },
    }
    return Referrer(strictjson.canonical(manifest), {Digest.of(bundle): bundle, Digest.of(empty): empty})
