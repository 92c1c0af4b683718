"""A signature that is wrong, or is of something else, is refused whatever is allowed: reliability section C."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sample
from checking import KEY, OTHER, TRUSTING, refused, written
from forgery import Document, Forgery, put

from bundler.layout import names
from bundler.layout.archive import ArchiveReader
from bundler.trust.signature import SIGNATURE
from bundler.trust.verify import verify


def test_h40_a_signature_of_another_bundle(tmp_path: Path) -> None:
    made, other = sample.smallest(), sample.smallest("2.0.0")
    simple, _ = other.referrers(KEY)
    allowing = sample.trusting(KEY.public, allow_unsigned=True)
    refused(written(tmp_path / "b", made, (simple,)), "another bundle", allowing)
    forgery = Forgery(made, tmp_path, KEY)
    theirs = Forgery(other, tmp_path, KEY)
    mine = forgery.find(lambda d: "dsseEnvelope" in d)
    forgery.replace(mine, theirs.bytes_of(theirs.find(lambda d: "dsseEnvelope" in d)))
    refused(forgery.write(tmp_path / "b"), "another bundle", allowing)
    name = made.referrers(KEY, name="other")
    refused(written(tmp_path / "b", made, name), "another bundle", allowing)


def is_sigstore(document: Document) -> bool:
    return "dsseEnvelope" in document


def is_simple(document: Document) -> bool:
    return any("simplesigning" in layer.get("mediaType", "") for layer in document.get("layers", []))


def is_simple_payload(document: Document) -> bool:
    return "critical" in document


def is_sigstore_manifest(document: Document) -> bool:
    return "subject" in document and "layers" in document


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def statement(**changes: object) -> Callable[[Document], None]:
    """Change the signed statement, and sign it again: the signature is right, what is signed is not."""

    def change(document: Document) -> None:
        from bundler.trust.signature import envelope_bytes

        found = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
        payload = json.dumps(found | changes).encode()
        document["dsseEnvelope"]["payload"] = b64(payload)
        document["dsseEnvelope"]["signatures"][0]["sig"] = b64(KEY.sign(envelope_bytes(payload)))

    return change


def envelope(document: Document) -> Document:
    return document["dsseEnvelope"]  # type: ignore[no-any-return]


def made(document: Document) -> bytes:
    return base64.b64decode(envelope(document)["signatures"][0]["sig"])


ZERO = b64(bytes.fromhex("3006020100020100"))  # r = s = 0
HINT = ("verificationMaterial", "publicKey", "hint")
SIG = ("dsseEnvelope", "signatures", 0, "sig")
PREDICATE = "dev.sigstore.bundle.predicateType"
TABLE: list[tuple[str, Callable[[Document], bool], Callable[[Document], None]]] = [
    ("H41 empty payload", is_sigstore, put("dsseEnvelope", "payload", value="")),
    ("H41 payload no JSON", is_sigstore, put("dsseEnvelope", "payload", value=b64(b"{"))),
    ("H41 payload with a key twice", is_sigstore, put("dsseEnvelope", "payload", value=b64(b'{"a":1,"a":1}'))),
    ("H41 no signature", is_sigstore, put("dsseEnvelope", "signatures", value=[])),
    ("H41 signature empty", is_sigstore, put(*SIG, value="")),
    ("H41 signature null", is_sigstore, put(*SIG, value=None)),
    ("H41 signature no object", is_sigstore, put("dsseEnvelope", "signatures", value=["x"])),
    ("H41 envelope null", is_sigstore, put("dsseEnvelope", value=None)),
    ("H41 no envelope but a blob's signature", is_sigstore, lambda d: d.update(messageSignature=d.pop("dsseEnvelope"))),
    ("H41 no hint", is_sigstore, put(*HINT, value="")),
    ("H41 hint short", is_sigstore, put(*HINT, value=b64(b"x"))),
    ("H41 a certificate for a key", is_sigstore, put("verificationMaterial", value={"certificate": {"rawBytes": ""}})),
    ("H45 two signatures", is_sigstore, lambda d: envelope(d)["signatures"].extend(list(envelope(d)["signatures"]))),
    ("H46 r = s = 0", is_sigstore, put(*SIG, value=ZERO)),
    ("H46 another key's signature", is_sigstore, put(*SIG, value=b64(OTHER.sign(b"")))),
    ("H46 trailing bytes", is_sigstore, lambda d: put(*SIG, value=b64(made(d) + b"\0"))(d)),
    ("H46 base64 with a newline", is_sigstore, lambda d: put(*SIG, value=b64(made(d)) + "\n")(d)),
    ("H46 other payload type", is_sigstore, put("dsseEnvelope", "payloadType", value="application/json")),
    ("H46 other bundle version", is_sigstore, put("mediaType", value="application/vnd.dev.sigstore.bundle.v0.2+json")),
    ("H40 other predicate", is_sigstore, statement(predicateType="https://cyclonedx.org/bom")),
    ("H40 other subject", is_sigstore, statement(subject=[{"digest": {"sha256": "0a" * 32}}])),
    ("H40 no subject", is_sigstore, statement(subject=[])),
    ("H40 two subjects", is_sigstore, statement(subject=[{"digest": {"sha256": "0a" * 32}}] * 2)),
    ("H40 statement of another kind", is_sigstore, statement(_type="https://in-toto.io/Statement/v0.1")),
    (
        "H40 an SBOM for a signature",
        is_sigstore_manifest,
        put("annotations", PREDICATE, value="https://cyclonedx.org/bom"),
    ),
    ("H40 subject of another ROOT", is_sigstore_manifest, put("subject", "digest", value="sha256:" + "0a" * 32)),
    ("H40 subject of another size", is_sigstore_manifest, put("subject", "size", value=1)),
    ("H41 referrer of no kind", is_sigstore_manifest, put("artifactType", value="application/x")),
    ("H41 referrer with two bundles", is_sigstore_manifest, lambda d: d["layers"].append(d["layers"][0])),
    ("H41 referrer with none", is_sigstore_manifest, put("layers", value=[])),
    ("H41 simple, no signature", is_simple, put("layers", 0, "annotations", value={})),
    ("H41 simple, no key", is_simple, put("layers", 0, "annotations", names.KEY, value="")),
    ("H41 simple, key upper case", is_simple, put("layers", 0, "annotations", names.KEY, value="0A" * 32)),
    ("H46 simple, r = s = 0", is_simple, put("layers", 0, "annotations", SIGNATURE, value=ZERO)),
    ("H46 simple, another key's", is_simple, put("layers", 0, "annotations", SIGNATURE, value=b64(OTHER.sign(b"")))),
    ("H41 simple, no layer", is_simple, put("layers", value=[])),
    ("H40 simple, other type", is_simple_payload, put("critical", "type", value="x")),
    ("H40 simple, other digest", is_simple_payload, put("critical", "image", "docker-manifest-digest", value="x")),
    ("H40 simple, other name", is_simple_payload, put("critical", "identity", "docker-reference", value="x/y")),
    ("H41 simple, empty", is_simple_payload, put("critical", value=None)),
    ("H42 simple, other bytes than signed", is_simple_payload, put("optional", value={"a": 1})),
]


@pytest.mark.parametrize("allow_unsigned", [False, True])
@pytest.mark.parametrize(("which", "change"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_wrong_signature_is_refused_whatever_is_allowed(
    tmp_path: Path, which: Callable[[Document], bool], change: Callable[[Document], None], allow_unsigned: bool
) -> None:
    forgery = Forgery(sample.smallest(), tmp_path, KEY)
    forgery.edit(forgery.find(which), change)
    forgery.make_index_fit()
    error = refused(forgery.write(tmp_path / "b"), ":", sample.trusting(KEY.public, allow_unsigned=allow_unsigned))
    assert "is not what" not in error.what, "the change itself is to be refused, not that the index does not fit"


def test_h32_an_unsigned_manifest_names_no_image(tmp_path: Path) -> None:
    """What stands in a referrer's own annotations does not reach index.json, where importers look for names."""
    for which in (is_sigstore_manifest, is_simple):
        forgery = Forgery(sample.smallest(), tmp_path, KEY)

        def change(document: Document) -> None:
            document.setdefault("annotations", {})[names.CONTAINERD_NAME] = "docker.io/library/nginx:latest"

        forgery.edit(forgery.find(which), change)
        forgery.make_index_fit()
        with ArchiveReader(forgery.write(tmp_path / "b")) as reader:
            verify(reader, TRUSTING)
            assert b"nginx" not in reader.read_member("index.json")


def test_h42_a_changed_root_under_the_old_signature(tmp_path: Path) -> None:
    """Everything is made to fit, unsigned parts too; only the signed bytes still name the old ROOT."""
    forgery = Forgery(sample.smallest(), tmp_path, KEY)
    forgery.edit(forgery.find(lambda d: "pins" in d), lambda d: d["graph"]["services"]["web"].update(command=["x"]))
    forgery.make_index_fit()
    refused(forgery.write(tmp_path / "b"), "another bundle|signature is wrong")
