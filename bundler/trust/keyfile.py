"""Private keys as files: PKCS#8 PEM, or cosign's encrypted form where there is a passphrase.

cosign's is PEM around base64 of JSON: scrypt makes a key of the passphrase, NaCl's secretbox (XSalsa20-Poly1305) seals
PKCS#8 DER. Reference: go-securesystemslib `encrypted`, as cosign 1 to 3 use it. `cryptography` has no XSalsa20; PyNaCl,
an optional dependency, is imported here and nowhere else, and only for such a file.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import textwrap
from types import ModuleType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from bundler.errors import UsageError

_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_SEALED = re.compile(
    rb"\s*-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----\s*\Z"
)
# What cosign writes now, and wrote before 1.4. Others are refused: the parameters decide how much memory is used.
_SCRYPT = ({"N": 65536, "r": 8, "p": 1}, {"N": 32768, "r": 8, "p": 1})
_HOW_TO_GIVE_IT = "set BUNDLE_KEY_PASSWORD"


class LockedError(UsageError):
    """The key is encrypted, and nobody has given its passphrase."""


def load(pem: bytes, name: str, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    """UsageError where it cannot be read or the passphrase is wrong or missing."""
    sealed = _SEALED.match(pem)
    try:
        if sealed is not None:
            if not passphrase:
                raise LockedError(f"the key {name} needs a passphrase", hint=_HOW_TO_GIVE_IT)
            key = serialization.load_der_private_key(_open(sealed.group(2), name, passphrase), None)
        elif b"ENCRYPTED" in pem:
            if not passphrase:
                raise LockedError(f"the key {name} needs a passphrase", hint=_HOW_TO_GIVE_IT)
            key = serialization.load_pem_private_key(pem, passphrase)
        else:
            key = serialization.load_pem_private_key(pem, None)
    except UsageError:
        raise
    except Exception as error:  # the library's errors for unreadable bytes are of many types
        raise UsageError(f"the key {name} cannot be read: not a private key in PEM, or a wrong passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError(f"the key {name} is not an ECDSA P-256 key")
    return key


def dump(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    if not passphrase:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret = _nacl()
    salt, nonce = os.urandom(32), os.urandom(secret.SecretBox.NONCE_SIZE)
    sealed = secret.SecretBox(_derive(passphrase, salt, _SCRYPT[0])).encrypt(der, nonce).ciphertext
    document = {
        "kdf": {"name": "scrypt", "params": _SCRYPT[0], "salt": _text(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _text(nonce)},
        "ciphertext": _text(sealed),
    }
    body = "\n".join(textwrap.wrap(_text(json.dumps(document, separators=(",", ":")).encode()), 64))
    return f"-----BEGIN {_LABEL}-----\n{body}\n-----END {_LABEL}-----\n".encode()


def _open(body: bytes, name: str, passphrase: bytes) -> bytes:
    document = json.loads(base64.b64decode(b"".join(body.split()), validate=True))
    kdf, cipher = document["kdf"], document["cipher"]
    if kdf["name"] != "scrypt" or kdf["params"] not in _SCRYPT or cipher["name"] != "nacl/secretbox":
        raise UsageError(f"the key {name} is encrypted in a way that cosign does not use")
    secret = _nacl()
    box = secret.SecretBox(_derive(passphrase, _bytes(kdf["salt"]), kdf["params"]))
    opened: bytes = box.decrypt(_bytes(document["ciphertext"]), _bytes(cipher["nonce"]))
    return opened


def _derive(passphrase: bytes, salt: bytes, parameters: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, n=parameters["N"], r=parameters["r"], p=parameters["p"]).derive(passphrase)


def _nacl() -> ModuleType:
    try:
        import nacl.secret
    except ImportError as error:
        raise UsageError("keys with a passphrase need PyNaCl", hint="pip install 'graphbundle[passphrase]'") from error
    return nacl.secret


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
