"""Signatures and trust: reliability section C, and what `verify` promises of every byte."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sample
from forgery import Document, Forgery

from bundler.errors import TrustError
from bundler.layout import names
from bundler.layout.archive import ArchiveReader
from bundler.layout.canonical import MAX_REFERRERS, Referrer
from bundler.model.bundle import VerifiedBundle
from bundler.model.oci import Digest
from bundler.trust import verify as verify_module
from bundler.trust.policy import Policy
from bundler.trust.sign import sign_file, sign_root
from bundler.trust.signature import SIGNATURE
from bundler.trust.verify import read_signed, verify

KEY, OTHER = sample.key(1), sample.key(2)
TRUSTING = sample.trusting(KEY.public)


def check(path: Path, policy: Policy = TRUSTING) -> VerifiedBundle:
    with ArchiveReader(path) as reader:
        return verify(reader, policy)


def refused(path: Path, why: str, policy: Policy = TRUSTING) -> TrustError:
    with pytest.raises(TrustError, match=why) as caught:
        check(path, policy)
    return caught.value


def test_a_signed_bundle_is_verified(tmp_path: Path) -> None:
    path = sample.whole().write(tmp_path / "b", KEY)
    seen: list[int] = []
    with ArchiveReader(path) as reader:
        verified = verify(reader, TRUSTING, seen.append)
        assert read_signed(reader, TRUSTING).bundle == verified.bundle
    assert sum(seen) == path.stat().st_size
    (signer,) = verified.signers
    assert (signer.fingerprint, signer.name, signer.trusted) == (KEY.public.fingerprint, "key-1", True)
    assert not verified.unsigned_allowed
    assert verified.bundle.graph.name == "tiny"


def test_signing_twice_gives_the_same_bytes(tmp_path: Path) -> None:  # R20
    root = sample.whole().assembly.root
    assert sign_root(root, "bundle.local/tiny", KEY, OTHER) == sign_root(root, "bundle.local/tiny", OTHER, KEY)
    with pytest.raises(ValueError):
        sign_root(root, "x")
    with pytest.raises(ValueError):
        sign_root(root, "x", KEY, KEY)


def test_h38_unsigned(tmp_path: Path) -> None:
    path = sample.smallest().write(tmp_path / "b")
    refused(path, "nobody signed it")
    verified = check(path, sample.trusting(KEY.public, allow_unsigned=True))
    assert verified.unsigned_allowed
    assert verified.signers == ()


def test_h39_an_unknown_key(tmp_path: Path) -> None:
    path = sample.smallest().write(tmp_path / "b", OTHER)
    error = refused(path, f"unknown key {OTHER.public.fingerprint}")
    assert "bundle keys trust" in str(error.hint)
    refused(path, f"unknown key {OTHER.public.fingerprint}", sample.trusting())
    verified = check(path, sample.trusting(KEY.public, allow_unsigned=True))
    assert verified.unsigned_allowed
    assert [(one.fingerprint, one.trusted) for one in verified.signers] == [(OTHER.public.fingerprint, False)]


def test_no_policy_trusts_nobody(tmp_path: Path) -> None:
    refused(sample.smallest().write(tmp_path / "b", KEY), "unknown key", sample.trusting())
    refused(sample.smallest().write(tmp_path / "b"), "nobody signed", sample.trusting())


def test_two_signers_meet_a_threshold_of_two(tmp_path: Path) -> None:
    path = sample.smallest().write(tmp_path / "b", KEY, OTHER)
    both = sample.trusting(KEY.public, OTHER.public, threshold=2)
    assert all(signer.trusted for signer in check(path, both).signers)
    assert [signer.trusted for signer in check(path).signers].count(True) == 1
    one = sample.smallest().write(tmp_path / "one", KEY)
    refused(one, "1 trusted signatures, 2 are needed", both)  # H43: one key, two forms
    assert check(one, Policy(both.trusted, 2, allow_unsigned=True)).unsigned_allowed
    third = sample.trusting(KEY.public, sample.key(3).public, threshold=2)
    refused(path, f"also signed by unknown key {OTHER.public.fingerprint}", third)


def written(path: Path, made: sample.Sample, referrers: tuple[Referrer, ...]) -> Path:
    from bundler.layout.archive import ArchiveWriter

    with ArchiveWriter(path) as writer:
        for blob in made.assembly.data:
            writer.add_stream([made.data[blob.digest]])
        writer.finish(made.assembly, referrers)
    return path


def test_either_form_of_signature_is_enough(tmp_path: Path) -> None:
    made = sample.smallest()
    for referrer in made.referrers(KEY):
        assert not check(written(tmp_path / "b", made, (referrer,))).unsigned_allowed


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


def put(*path: str | int, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place = document
        for key in path[:-1]:
            place = place[key]  # type: ignore[index]
        place[path[-1]] = value  # type: ignore[index]

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


def test_h45_sixteen_referrers_are_read_and_no_more(tmp_path: Path) -> None:
    made = sample.smallest()
    keys = [sample.key(seed) for seed in range(1, MAX_REFERRERS + 1)]
    all_keys = made.referrers(*keys)
    path = written(tmp_path / "b", made, all_keys[:MAX_REFERRERS])
    assert len(check(path).signers) == MAX_REFERRERS
    with pytest.raises(ValueError, match="at most 16"):
        written(tmp_path / "c", made, all_keys)
    forgery = Forgery(made, tmp_path, *keys[: MAX_REFERRERS - 1])
    extra = made.referrers(sample.key(99))[1]
    for digest, blob in {Digest.of(extra.manifest): extra.manifest, **extra.blobs}.items():
        forgery.members[f"blobs/sha256/{digest.hex}"] = blob

    def add(document: Document) -> None:
        entry = document["manifests"][1]
        document["manifests"][1:1] = [
            {**entry, "digest": Digest.of(extra.manifest).text, "size": len(extra.manifest)}
        ] * 10_000

    forgery.index(add)
    refused(forgery.write(tmp_path / "d"), "at most 16")


def test_h41_what_nobody_thought_of_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sample.smallest().write(tmp_path / "b", KEY)
    for name in ("open_layout", "bundle_of", "_claims", "_signers", "_check_enough"):
        for error in (KeyError("x"), RecursionError(), MemoryError(), AssertionError()):
            with monkeypatch.context() as patched:

                def fail(*_: object, error: Exception = error) -> None:
                    raise error

                patched.setattr(verify_module, name, fail)
                refused(path, "cannot be verified")


def test_damage_in_the_data_is_found_by_reading_it(tmp_path: Path) -> None:
    made = sample.smallest()
    path = made.write(tmp_path / "b", KEY)
    blob = made.assembly.data[0]
    with ArchiveReader(path) as reader:
        offset = reader.members[f"blobs/sha256/{blob.digest.hex}"].offset_bytes
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"!")
    with ArchiveReader(path) as reader:
        read_signed(reader, TRUSTING)  # says nothing of the data
    refused(path, f"{blob.digest} is damaged")


# --- every bit


def flips(path: Path, places: range | list[int]) -> list[int]:
    """The bits that could be flipped without a refusal: none."""
    accepted = []
    fd = os.open(path, os.O_RDWR)
    data = path.read_bytes()
    try:
        for place in places:
            byte = data[place // 8]
            os.pwrite(fd, bytes([byte ^ 1 << place % 8]), place // 8)
            try:
                check(path)
                accepted.append(place)
            except TrustError:
                pass
            os.pwrite(fd, bytes([byte]), place // 8)
    finally:
        os.close(fd)
    return accepted


def test_flipped_bits_are_refused(tmp_path: Path) -> None:  # H16, R6
    path = sample.smallest().write(tmp_path / "b", KEY)
    bits = path.stat().st_size * 8
    assert flips(path, random.Random(1).sample(range(bits), 2000)) == []
    check(path)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """`data` with one change of structure: a piece deleted, inserted, doubled, moved, swapped or blanked."""
    unit = chance.choice([1, 512])
    first, second = sorted(chance.randrange(len(data) // unit + 1) * unit for _ in range(2))
    piece = data[first:second]
    place = chance.randrange(len(data) // unit + 1) * unit
    match chance.randrange(6):
        case 0:
            return data[:first] + data[second:]
        case 1:
            return data[:place] + chance.randbytes(unit * chance.randint(1, 4)) + data[place:]
        case 2:
            return data[:place] + piece + data[place:]
        case 3:
            rest = data[:first] + data[second:]
            return rest[:place] + piece + rest[place:]
        case 4:
            return data[:first] + piece[::-1] + data[second:]
        case _:
            return data[:first] + bytes(len(piece)) + data[second:]


def test_mutants_are_refused(tmp_path: Path) -> None:  # R6
    chance = random.Random(2)
    genuine = sample.smallest().write(tmp_path / "b", KEY).read_bytes()
    for _ in range(1000):
        changed = mutant(genuine, chance)
        if changed != genuine:
            (tmp_path / "m").write_bytes(changed)
            refused(tmp_path / "m", str(tmp_path))


def test_two_signed_bundles_do_not_mix(tmp_path: Path) -> None:  # R6, H50
    chance = random.Random(3)
    paths = [sample.smallest(version).write(tmp_path / version, KEY) for version in ("1.0.0", "2.0.0")]
    first, second = (path.read_bytes() for path in paths)
    for _ in range(300):
        place = chance.randrange(1, min(len(first), len(second)) // 512) * 512
        spliced = first[:place] + second[place:]
        if spliced not in (first, second):
            (tmp_path / "m").write_bytes(spliced)
            refused(tmp_path / "m", str(tmp_path))


def test_checks_hold_without_assertions(tmp_path: Path) -> None:
    """`python -O` strips assertions; what is refused must not depend on them."""
    path = sample.smallest().write(tmp_path / "b", OTHER)
    (tmp_path / "key.pub").write_bytes(KEY.public.pem)
    program = (
        "import sys, pathlib\n"
        "from bundler.errors import TrustError\n"
        "from bundler.layout.archive import ArchiveReader\n"
        "from bundler.trust.keys import read_public\n"
        "from bundler.trust.policy import Policy\n"
        "from bundler.trust.verify import verify\n"
        "key = read_public(pathlib.Path(sys.argv[2]).read_bytes(), 'k')\n"
        "try:\n    verify(ArchiveReader(pathlib.Path(sys.argv[1])), Policy((key,)))\n"
        "except TrustError:\n    sys.exit(5)\n"
    )
    argv = [sys.executable, "-O", "-c", program, str(path), str(tmp_path / "key.pub")]
    assert subprocess.run(argv, check=False).returncode == 5


EXHAUSTIVE = pytest.mark.skipif(
    not os.environ.get("BUNDLE_TEST_EXHAUSTIVE"), reason="takes minutes: BUNDLE_TEST_EXHAUSTIVE=1 runs it"
)


@EXHAUSTIVE
@pytest.mark.timeout(3600)
def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:  # R7
    from concurrent.futures import ProcessPoolExecutor

    count = os.cpu_count() or 1
    paths = [sample.smallest().write(tmp_path / f"b{worker}", KEY) for worker in range(count)]
    bits = paths[0].stat().st_size * 8
    ranges = [range(worker, bits, count) for worker in range(count)]
    with ProcessPoolExecutor(count) as pool:
        assert [place for found in pool.map(flips, paths, ranges) for place in found] == []


@EXHAUSTIVE
def test_every_truncation_is_refused(tmp_path: Path) -> None:  # R7, H17
    path = sample.smallest().write(tmp_path / "b", KEY)
    for size_bytes in reversed(range(path.stat().st_size)):
        os.truncate(path, size_bytes)
        with pytest.raises(TrustError):
            check(path)


# --- detached


def test_detached_signatures_are_the_same_every_time(tmp_path: Path) -> None:
    path = sample.smallest().write(tmp_path / "b", KEY)
    made = sign_file([path.read_bytes()], KEY)
    with path.open("rb") as file:
        assert made == sign_file(file, KEY)
    assert KEY.public.verifies(base64.b64decode(made.signature), path.read_bytes())
    bundle = json.loads(made.bundle)
    digest = base64.b64decode(bundle["messageSignature"]["messageDigest"]["digest"])
    assert digest.hex() == sample.sha256(path)
    assert base64.b64decode(bundle["verificationMaterial"]["publicKey"]["hint"]).hex() == KEY.public.fingerprint
