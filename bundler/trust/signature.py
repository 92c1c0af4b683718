"""The bytes of signatures, as cosign writes and reads them.

* Simple signing (every cosign; admission controllers): a manifest with a layer per key, the signature in an annotation.
  Nothing in that form says whose it is; the annotation `dev.graphbundle.key` does.
* Sigstore bundle v0.3 (cosign 3 and later): a DSSE envelope around an in-toto statement, in a manifest whose `subject`
  is ROOT. It says whose it is in `publicKey.hint`. The envelope has no `keyid`: cosign refuses one.

cosign 3.1's `verify` takes any DSSE bundle on the subject for a signature, an SBOM too; the readers here insist on the
predicate type. Both readers check everything but the mathematics, which needs the key: `Claim` says what that is over.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from bundler.layout import names, strictjson
from bundler.layout.canonical import (
    BUNDLE_CONTENT,
    BUNDLE_PREDICATE,
    SIGSTORE_BUNDLE,
    SIMPLE_SIGNING,
    read_referrer,
)
from bundler.layout.documents import DocumentError, Manifest, as_list, as_object, describe, parse_object, text
from bundler.model.oci import Descriptor, Digest

PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SIGNATURE = "dev.cosignproject.cosign/signature"
_IN_TOTO = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_SIMPLE_TYPE = "cosign container image signature"

Read = Callable[[Descriptor], bytes]


@dataclass(frozen=True, slots=True)
class Claim:
    """`signature` (ASN.1 DER) is said to be the key's over `signed`."""

    fingerprint: str
    signature: bytes
    signed: bytes
    where: str


def simple_payload(root: Digest, repository: str) -> bytes:
    return strictjson.canonical(
        {
            "critical": {
                "identity": {"docker-reference": repository},
                "image": {"docker-manifest-digest": root.text},
                "type": _SIMPLE_TYPE,
            },
            "optional": None,
        }
    )


def statement(root: Digest) -> bytes:
    return strictjson.canonical(
        {
            "_type": _STATEMENT,
            "subject": [{"digest": {"sha256": root.hex}}],
            "predicateType": PREDICATE,
            "predicate": {},
        }
    )


def envelope_bytes(payload: bytes) -> bytes:
    """What is signed of a DSSE envelope: its pre-authentication encoding."""
    kind = _IN_TOTO.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def simple_layer(payload: bytes, fingerprint: str, signature: bytes) -> dict[str, object]:
    return describe(SIMPLE_SIGNING, payload) | {"annotations": {SIGNATURE: encode(signature), names.KEY: fingerprint}}


def sigstore_bundle(fingerprint: str, payload: bytes, signature: bytes) -> bytes:
    envelope = {"payload": encode(payload), "payloadType": _IN_TOTO, "signatures": [{"sig": encode(signature)}]}
    return strictjson.canonical(_bundle_head(fingerprint) | {"dsseEnvelope": envelope})


def detached_bundle(fingerprint: str, sha256: bytes, signature: bytes) -> bytes:
    """For `cosign verify-blob --bundle`."""
    message = {"messageDigest": {"algorithm": "SHA2_256", "digest": encode(sha256)}, "signature": encode(signature)}
    return strictjson.canonical(_bundle_head(fingerprint) | {"messageSignature": message})


def claims(data: bytes, root: Descriptor, repository: str, read: Read) -> list[Claim]:
    """Of a referrer's manifest, in either form."""
    manifest, _ = read_referrer(data, root)
    if manifest.artifact_type == SIGSTORE_BUNDLE:
        return [read_sigstore(manifest, root.digest, read)]
    return read_simple(manifest, root.digest, repository, read)


def read_simple(manifest: Manifest, root: Digest, repository: str, read: Read) -> list[Claim]:
    """The claims of a manifest of simple signatures; DocumentError where one is not about ROOT."""
    claims: list[Claim] = []
    for layer in manifest.layers:
        fingerprint = layer.annotations.get(names.KEY, "")
        where = f"simple signature of {fingerprint[:64]!r}"
        if len(fingerprint) != 64 or not set(fingerprint) <= set("0123456789abcdef"):
            raise DocumentError(f"{where}: it does not say whose it is")
        payload = read(layer)
        critical = as_object(parse_object(payload, where).get("critical"), where)
        if critical.get("type") != _SIMPLE_TYPE:
            raise DocumentError(f"{where}: not a signature over an image")
        image = as_object(critical.get("image"), where)
        identity = as_object(critical.get("identity"), where)
        if image.get("docker-manifest-digest") != root.text or identity.get("docker-reference") != repository:
            raise DocumentError(f"{where}: made for another bundle")
        claims.append(Claim(fingerprint, decode(layer.annotations.get(SIGNATURE), where), payload, where))
    return claims


def read_sigstore(manifest: Manifest, root: Digest, read: Read) -> Claim:
    """The claim of a Sigstore bundle; DocumentError where it is not a signature over ROOT."""
    where = "Sigstore bundle"
    stated = (manifest.annotations.get(BUNDLE_CONTENT), manifest.annotations.get(BUNDLE_PREDICATE))
    if stated != ("dsse-envelope", PREDICATE):
        raise DocumentError(f"{where}: not a signature but {stated[1]!r}"[:300])
    bundle = parse_object(read(manifest.layers[0]), where)
    if bundle.get("mediaType") != SIGSTORE_BUNDLE:
        raise DocumentError(f"{where}: of media type {bundle.get('mediaType')!r}"[:300])
    material = as_object(bundle.get("verificationMaterial"), where)
    hint = decode(as_object(material.get("publicKey"), where).get("hint"), where)
    if len(hint) != 32:
        raise DocumentError(f"{where}: it does not say whose it is")
    where = f"Sigstore bundle of {hint.hex()}"
    envelope = as_object(bundle.get("dsseEnvelope"), where)
    signatures = as_list(envelope.get("signatures"), where)
    if len(signatures) != 1:
        raise DocumentError(f"{where}: {len(signatures)} signatures, not 1")
    if envelope.get("payloadType") != _IN_TOTO:
        raise DocumentError(f"{where}: not an in-toto statement")
    payload = decode(envelope.get("payload"), where)
    _check_statement(parse_object(payload, where), root, where)
    signature = decode(as_object(signatures[0], where).get("sig"), where)
    return Claim(hint.hex(), signature, envelope_bytes(payload), where)


def _check_statement(found: dict[str, object], root: Digest, where: str) -> None:
    if text(found, "_type", where) != _STATEMENT or text(found, "predicateType", where) != PREDICATE:
        raise DocumentError(f"{where}: its statement is not a signature")
    subjects = as_list(found.get("subject"), where)
    if len(subjects) != 1:
        raise DocumentError(f"{where}: {len(subjects)} subjects, not 1")
    if as_object(as_object(subjects[0], where).get("digest"), where).get("sha256") != root.hex:
        raise DocumentError(f"{where}: made for another bundle")


def _bundle_head(fingerprint: str) -> dict[str, object]:
    hint = encode(bytes.fromhex(fingerprint))
    return {"mediaType": SIGSTORE_BUNDLE, "verificationMaterial": {"publicKey": {"hint": hint}}}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode(value: object, where: str) -> bytes:
    """Canonical base64: what decodes and encodes to the same text."""
    if not isinstance(value, str) or not value:
        raise DocumentError(f"{where}: something is missing")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DocumentError(f"{where}: not base64") from error
    if encode(data) != value:
        raise DocumentError(f"{where}: not base64 in canonical form")
    return data
