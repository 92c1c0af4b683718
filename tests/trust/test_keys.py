import base64
import json
import stat
import sys
from pathlib import Path

import pytest
import sample
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bundler.errors import TrustError, UsageError
from bundler.trust.keys import KeyStore, read_private, read_public
from bundler.trust.policy import Policy

DER = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def test_the_default_key_is_made_once_and_trusted(store: KeyStore, tmp_path: Path) -> None:
    assert store.trusted() == ()
    assert store.private_names() == ()
    first = store.default()
    assert store.default().public == first.public
    assert [key.fingerprint for key in store.trusted()] == [first.public.fingerprint]
    assert store.private_names() == ("default",)
    assert stat.S_IMODE((tmp_path / "keys" / "default.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_default_key_whose_making_was_interrupted_is_repaired(store: KeyStore, tmp_path: Path) -> None:
    made = store.default()
    (tmp_path / "keys" / "trusted" / "default.pub").unlink()
    assert store.default().public == made.public
    assert store.trusted() == (made.public,)


def test_a_key_is_not_made_over_another(store: KeyStore) -> None:
    store.generate("mine")
    with pytest.raises(UsageError):
        store.generate("mine")
    store.trust(sample.key().public.pem, "theirs")
    with pytest.raises(UsageError):
        store.generate("theirs")


def test_signatures_are_the_same_every_time_and_checked(store: KeyStore) -> None:
    key = store.default()
    signature = key.sign(b"data")
    assert signature == key.sign(b"data")
    assert key.public.verifies(signature, b"data")
    assert not key.public.verifies(signature, b"date")
    assert not key.public.verifies(b"", b"data")
    assert not sample.key().public.verifies(signature, b"data")
    assert "PrivateKey(default" in repr(key)


def test_public_keys_are_exported_trusted_and_removed(store: KeyStore, tmp_path: Path) -> None:
    store.default()
    theirs = sample.key()
    assert store.trust(theirs.public.pem, "partner").name == "partner"
    assert store.trust(theirs.public.pem, "partner").fingerprint == theirs.public.fingerprint
    with pytest.raises(UsageError, match="another key"):
        store.trust(sample.key(2).public.pem, "partner")
    assert store.export("partner") == theirs.public.pem
    assert [key.name for key in store.trusted()] == ["default", "partner"]
    store.remove("partner")
    assert [key.name for key in store.trusted()] == ["default"]
    store.remove("default")
    assert store.private_names() == ()
    for missing in (store.export, store.remove, store.load):
        with pytest.raises(UsageError):
            missing("default")


def test_a_key_trusted_under_two_names_counts_once(store: KeyStore) -> None:  # H43
    store.trust(sample.key().public.pem, "a")
    store.trust(sample.key().public.pem, "b")
    assert [key.name for key in store.trusted()] == ["a"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "-x", "x" * 65, "a\n", "a b"])
def test_a_name_is_no_path(store: KeyStore, name: str) -> None:
    for use in (store.generate, store.load, store.export, store.remove):
        with pytest.raises(UsageError, match="not a name"):
            use(name)
    with pytest.raises(UsageError, match="not a name"):
        store.trust(sample.key().public.pem, name)


@pytest.mark.parametrize("which", ["keys", "keys/trusted", "keys/trusted/default.pub", "keys/default.key"])
def test_a_store_that_others_can_write_to_is_refused(store: KeyStore, tmp_path: Path, which: str) -> None:  # H55
    store.default()
    (tmp_path / which).chmod(0o777)

    def use() -> None:
        store.trusted()
        store.load("default")

    with pytest.raises(TrustError, match="others can write"):
        use()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_private_key_that_others_can_read_is_refused(store: KeyStore, tmp_path: Path, mode: int) -> None:
    store.default()
    (tmp_path / "keys/default.key").chmod(mode)
    with pytest.raises(TrustError, match="others can read it") as refused:
        store.default()
    assert "chmod 600" in str(refused.value.hint)


def public(key: object) -> bytes:
    return key.public_key().public_bytes(DER, SPKI)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        public(ec.generate_private_key(ec.SECP384R1())),
        public(ec.generate_private_key(ec.SECP256K1())),
        public(ed25519.Ed25519PrivateKey.generate()),
        public(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "text", "garbage", "P-384", "secp256k1", "Ed25519", "RSA"],
)
def test_only_p256_is_a_key(store: KeyStore, pem: bytes) -> None:  # H46
    with pytest.raises(TrustError):
        read_public(pem, "x")
    with pytest.raises(TrustError):
        store.trust(pem, "x")


def test_a_private_key_is_read_in_the_common_forms() -> None:
    key = ec.derive_private_key(1, ec.SECP256R1())
    no, yes = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"secret")
    forms = serialization.PrivateFormat
    for form in (forms.PKCS8, forms.TraditionalOpenSSL):
        assert read_private(key.private_bytes(DER, form, no), "k").public.fingerprint == sample.key().public.fingerprint
    sealed = key.private_bytes(DER, forms.PKCS8, yes)
    assert read_private(sealed, "k", b"secret").public.fingerprint == sample.key().public.fingerprint
    for wrong in (None, b"", b"wrong"):
        with pytest.raises(UsageError, match="passphrase"):
            read_private(sealed, "k", wrong)
    for other in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(UsageError, match="not an ECDSA"):
            read_private(other.private_bytes(DER, forms.PKCS8, no), "k")
    with pytest.raises(UsageError):
        read_private(b"nothing", "k")


def test_a_passphrase_makes_a_file_as_cosign_has_it(store: KeyStore, tmp_path: Path) -> None:
    pytest.importorskip("nacl", reason="PyNaCl is missing: pip install 'graphbundle[passphrase]'")
    made = store.default(b"secret")
    pem = (tmp_path / "keys" / "default.key").read_bytes()
    assert pem.startswith(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    document = json.loads(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    assert document["kdf"]["params"] == {"N": 65536, "r": 8, "p": 1}
    assert store.load("default", b"secret").public == made.public
    assert (
        read_private(pem.replace(b"SIGSTORE", b"COSIGN"), "older", b"secret").public.fingerprint
        == made.public.fingerprint
    )
    for wrong in (None, b"", b"wrong"):
        with pytest.raises(UsageError, match="passphrase"):
            store.load("default", wrong)


def test_a_key_file_cannot_choose_how_much_memory_is_used(store: KeyStore, tmp_path: Path) -> None:
    pytest.importorskip("nacl", reason="PyNaCl is missing: pip install 'graphbundle[passphrase]'")
    store.default(b"secret")
    pem = (tmp_path / "keys" / "default.key").read_bytes()
    document = json.loads(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    document["kdf"]["params"]["N"] = 1 << 30
    head, tail = pem.splitlines()[0], pem.splitlines()[-1]
    with pytest.raises(UsageError, match="cosign does not use"):
        read_private(b"\n".join([head, base64.b64encode(json.dumps(document).encode()), tail]), "k", b"secret")


def test_without_pynacl_a_passphrase_says_what_is_missing(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl", None)
    monkeypatch.setitem(sys.modules, "nacl.secret", None)
    with pytest.raises(UsageError, match="PyNaCl"):
        store.default(b"secret")
    assert store.private_names() == ()


def test_a_policy_is_whole_or_refused() -> None:  # H43, H44
    one, two = sample.key().public, sample.key(2).public
    Policy((), allow_unsigned=True)
    Policy((one, two), threshold=2)
    for threshold in (0, -1, 3, True):
        with pytest.raises(TrustError):
            Policy((one, two), threshold=threshold)
    with pytest.raises(TrustError):
        Policy((one,), threshold=2)
    with pytest.raises(TrustError, match="twice"):
        Policy((one, read_public(one.pem, "other name")))
