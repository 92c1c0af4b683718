"""Keys: ECDSA P-256, which cosign, openssl and every admission controller can check.

A store is a directory of the user's: `NAME.key` (PKCS#8 PEM, 0600; with a passphrase cosign's own encrypted form) and
`trusted/NAME.pub`. Whoever can write to it decides what is trusted, so one that others can write to is refused.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from bundler.edges.files import check_private, create_private, open_regular, private_directory
from bundler.errors import BundleError, TrustError, UsageError, typed
from bundler.trust import keyfile

DEFAULT = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
MAX_KEY_BYTES = 64 << 10
# RFC 6979: the same key and bytes give the same signature, so a signed bundle can be built again, bit for bit.
_SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_SIGNING_DIGEST = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
_VERIFYING = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`fingerprint` is the hexadecimal sha256 of the SPKI DER; `name` what the store calls it."""

    name: str | None
    fingerprint: str
    pem: bytes

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (ASN.1 DER) is this key's over `data`."""
        try:
            _public(self.pem, self.name or self.fingerprint).verify(signature, data, _VERIFYING)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Listed:
    """A key of a store. `fingerprint` is None where the private half cannot be read; `problem` says why, `locked` that
    only its passphrase is missing."""

    name: str
    fingerprint: str | None
    signs: bool
    trusted: bool
    problem: str = ""
    locked: bool = False


class PrivateKey:
    """A key that signs. Its bytes are shown nowhere."""

    def __init__(self, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        self.name = name
        self._key = key
        self.public = _describe(key.public_key(), name)

    def sign(self, data: bytes) -> bytes:
        """ASN.1 DER, deterministic."""
        return self._key.sign(data, _SIGNING)

    def sign_digest(self, sha256: bytes) -> bytes:
        """The same for data of which the sha256 is known."""
        return self._key.sign(sha256, _SIGNING_DIGEST)

    def __repr__(self) -> str:
        return f"PrivateKey({self.name}, {self.public.fingerprint})"


def read_public(pem: bytes, name: str | None) -> PublicKey:
    """A public key from PEM; TrustError for anything but ECDSA P-256."""
    return _describe(_public(pem, name or "the key"), name)


def read_private(pem: bytes, name: str, passphrase: bytes | None = None) -> PrivateKey:
    """A private key from PEM: PKCS#8, SEC 1, or cosign's encrypted file. UsageError where it cannot be read."""
    return PrivateKey(name, keyfile.load(pem, name, passphrase))


class KeyStore:
    """The keys in `directory`, which need not be there until the first key is made or trusted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._trusted = directory / "trusted"

    def default(self, passphrase: bytes | None = None) -> PrivateKey:
        """The key `default`; made, and trusted on this machine, on first use. UsageError, and nothing written, where
        the public half that is trusted is another key's."""
        public = self._public(DEFAULT).exists()  # looked at first: who makes a key puts the private half there first
        if not self._private(DEFAULT).exists():
            if public:
                raise self._orphaned(DEFAULT)
            try:
                return self._make(DEFAULT, passphrase)
            except FileExistsError:  # another build was first
                pass
        key = self.load(DEFAULT, passphrase)
        if not self._public(DEFAULT).exists():  # its making was interrupted
            self.trust(key.public.pem, DEFAULT)
        trusted = self._read_public(DEFAULT)
        if trusted.fingerprint != key.public.fingerprint:
            raise UsageError(
                f"{self._private(DEFAULT)} is the key {key.public.fingerprint[:16]}, and what is trusted as {DEFAULT} "
                f"is another, {trusted.fingerprint[:16]}: nobody would trust what it signs",
                hint=f"put the files back that belong together; or keep both, and build again:\n{self._aside(DEFAULT)}",
            )
        return key

    def generate(self, name: str, passphrase: bytes | None = None) -> PrivateKey:
        """A new key, trusted on this machine. UsageError where there is one of that name."""
        public = self._public(name).exists()
        if public and not self._private(name).exists():
            raise self._orphaned(name)
        try:
            return self._make(name, passphrase)
        except FileExistsError:
            raise UsageError(
                f"{self._private(name)}: there is a key of that name", hint="give the new one another name"
            ) from None

    def load(self, name: str, passphrase: bytes | None = None) -> PrivateKey:
        path = self._private(name)
        if not path.exists():
            raise UsageError(f"{path}: no such key", hint=f"bundle keys generate {name}")
        self._check()
        check_private(path, secret=True, as_error=TrustError)
        return read_private(_read(path), name, passphrase)

    def private_names(self) -> tuple[str, ...]:
        """Names of the keys that can sign here."""
        return _names(self._directory, ".key")

    def trusted(self) -> tuple[PublicKey, ...]:
        """Every trusted key once, by name."""
        found: dict[str, PublicKey] = {}
        for key in self._all_trusted():
            found.setdefault(key.fingerprint, key)
        return tuple(found.values())

    def listed(self, passphrase: bytes | None = None) -> tuple[Listed, ...]:
        """What every file of the store is, by name; one entry for the two halves of a key."""
        found = []
        public = {key.name: key.fingerprint for key in self._all_trusted()}
        for name in self.private_names():
            try:
                fingerprint = self.load(name, passphrase).public.fingerprint
            except BundleError as error:
                locked = isinstance(error, keyfile.LockedError)
                found.append(Listed(name, None, signs=True, trusted=False, problem=error.what, locked=locked))
                continue
            trusted = public.get(name) == fingerprint
            found.append(Listed(name, fingerprint, signs=True, trusted=trusted))
            if trusted:
                del public[name]
        found += [Listed(name, key, signs=False, trusted=True) for name, key in public.items() if name]
        return tuple(sorted(found, key=lambda one: (one.name, not one.signs)))

    def export(self, name: str) -> bytes:
        """The public key, PEM."""
        path = self._public(name)
        if not path.exists():
            raise UsageError(f"{path}: no such key", hint="bundle keys list")
        return self._read_public(name).pem

    def trust(self, pem: bytes, name: str) -> PublicKey:
        """Trust a key on this machine. UsageError where `name` is another key's."""
        key = read_public(pem, name)
        private_directory(self._directory)
        private_directory(self._trusted)
        self._check()
        try:
            create_private(self._public(name), key.pem)
        except FileExistsError:
            if self._read_public(name).fingerprint != key.fingerprint:
                raise UsageError(
                    f"another key is trusted as {name}", hint="give this one another name, or remove that one"
                ) from None
        return key

    def remove(self, name: str) -> None:
        """Trust `name` no more, and forget its private half where there is one."""
        paths = [path for path in (self._public(name), self._private(name)) if path.exists()]
        if not paths:
            raise UsageError(f"no key is named {name}", hint="bundle keys list")
        for path in paths:
            path.unlink()

    def _make(self, name: str, passphrase: bytes | None) -> PrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = keyfile.dump(key, passphrase)
        private_directory(self._directory)
        create_private(self._private(name), pem)
        made = PrivateKey(name, key)
        self.trust(made.public.pem, name)
        return made

    def _all_trusted(self) -> list[PublicKey]:
        if not self._trusted.exists():
            return []
        self._check()
        names = _names(self._trusted, ".pub")
        for name in names:
            check_private(self._public(name), as_error=TrustError)
        return [self._read_public(name) for name in names]

    def _read_public(self, name: str) -> PublicKey:
        return read_public(_read(self._public(name)), name)

    def _orphaned(self, name: str) -> UsageError:
        return UsageError(
            f"the private key {self._private(name)} is gone; its public half is still trusted here",
            hint="put it back from a backup; or sign with a new key, and go on trusting what the old one signed:\n"
            + self._aside(name),
        )

    def _aside(self, name: str) -> str:
        """The command that keeps a public key under another name."""
        free = next(
            new for number in itertools.count(1) if not self._public(new := f"{name[:50]}-old{number}").exists()
        )
        return f"mv {typed(self._public(name))} {typed(self._public(free))}"

    def _check(self) -> None:
        for directory in (self._directory, self._trusted):
            if directory.exists():
                check_private(directory, as_error=TrustError)

    def _private(self, name: str) -> Path:
        return self._directory / f"{_checked(name)}.key"

    def _public(self, name: str) -> Path:
        return self._trusted / f"{_checked(name)}.pub"


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(f"not a name for a key: {name[:80]!r}", hint="letters, digits, `.`, `_` and `-`, at most 64")
    return name


def _names(directory: Path, suffix: str) -> tuple[str, ...]:
    if not directory.exists():
        return ()
    found = (path.name.removesuffix(suffix) for path in directory.iterdir() if path.name.endswith(suffix))
    return tuple(sorted(name for name in found if _NAME.match(name)))


def _read(path: Path) -> bytes:
    fd = open_regular(path, as_error=UsageError)
    with os.fdopen(fd, "rb") as file:
        data = file.read(MAX_KEY_BYTES + 1)
    if len(data) > MAX_KEY_BYTES:
        raise UsageError(f"{path}: too large for a key")
    return data


def _public(pem: bytes, name: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except Exception as error:  # the library's errors for unreadable bytes are of many types
        raise TrustError(f"{name}: not a public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError(f"{name}: not an ECDSA P-256 key", hint="bundle keys generate makes one, cosign too")
    return key


def _describe(key: ec.EllipticCurvePublicKey, name: str | None) -> PublicKey:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = key.public_bytes(serialization.Encoding.DER, form)
    return PublicKey(name, hashlib.sha256(der).hexdigest(), key.public_bytes(serialization.Encoding.PEM, form))
