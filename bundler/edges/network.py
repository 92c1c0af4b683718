"""Why nobody answers, in a few words: errors of sockets and of TLS, however a library wraps them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import Enum

_CLIENT = ("alert", "key values mismatch", "pem", "asn1")  # OpenSSL on our own certificate, or the server's on it
_SLOW = ("Timeout",)
_BROKEN = ("RemoteDisconnected", "RemoteProtocolError", "IncompleteRead", "ReadError", "WriteError")


class Failure(Enum):
    NAME = "nothing knows its name"
    REFUSED = "nothing listens there"
    TIME = "it does not answer in time"
    BROKEN = "it broke the connection off"
    CERTIFICATE = "its certificate is not trusted"
    CLIENT = "it does not take this client's certificate"
    TLS = "it does not speak TLS"
    PROTOCOL = "it does not speak this protocol"
    OTHER = ""

    @property
    def word(self) -> str:
        """For programs."""
        return self.name.lower()


def failure(error: BaseException) -> tuple[Failure, str]:
    """The kind, and a reason in one line. Errors are wrapped in others; the innermost knows."""
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return Failure.CERTIFICATE, f"{Failure.CERTIFICATE.value}: {one.verify_message}"
    for one in chain:
        if isinstance(one, ssl.SSLError) and not isinstance(one, ssl.SSLEOFError):
            told = _one_line(one.reason or one).replace("_", " ").lower()
            kind = Failure.CLIENT if any(word in told for word in _CLIENT) else Failure.TLS
            return kind, f"{kind.value}: {told}"
    for one in chain:
        kind = _kind(one)
        if kind is not Failure.OTHER:
            return kind, kind.value
    known = next((one.strerror for one in chain if isinstance(one, OSError) and one.strerror), None)
    return Failure.OTHER, (known or _one_line(chain[-1]) or type(chain[-1]).__name__).lower()


def _kind(error: BaseException) -> Failure:
    name = type(error).__name__
    if isinstance(error, socket.gaierror):
        return Failure.NAME
    if isinstance(error, ConnectionRefusedError):
        return Failure.REFUSED
    if isinstance(error, TimeoutError) or any(word in name for word in _SLOW):
        return Failure.TIME
    if isinstance(error, ConnectionError | ssl.SSLEOFError | EOFError) or name in _BROKEN:
        return Failure.BROKEN
    return Failure.OTHER


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is in it, the innermost last."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        one = left.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [getattr(one, "reason", None), *one.args, one.__cause__, one.__context__]


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
