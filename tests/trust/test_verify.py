"""Whose signatures count, and what `verify` gives: reliability section C."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import sample
from checking import KEY, OTHER, TRUSTING, check, refused, written
from forgery import Document, Forgery

from bundler.layout.archive import ArchiveReader
from bundler.layout.canonical import MAX_REFERRERS
from bundler.model.oci import Digest
from bundler.trust import verify as verify_module
from bundler.trust.policy import Policy
from bundler.trust.sign import sign_file, sign_root
from bundler.trust.verify import read_signed, verify


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


def test_either_form_of_signature_is_enough(tmp_path: Path) -> None:
    made = sample.smallest()
    for referrer in made.referrers(KEY):
        assert not check(written(tmp_path / "b", made, (referrer,))).unsigned_allowed


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
