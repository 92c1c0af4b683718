"""Who answers at an address: the first words of a protocol, without a login. What is sent asks for nothing that needs
one, and no credentials are sent."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bundler.edges.network import Failure, failure

_MOST_BYTES = 4096
# RFC 8446, section 5.1: an alert, mostly; Go's servers say it in words of HTTP
_TLS = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]|HTTP/1\.[01] 400 .*\bHTTPS\b", re.DOTALL)
SPEAKS_TLS = "it speaks TLS, and the site says none"


class UnreachedError(Exception):
    """Nobody who could be meant answers. `reason` is one line."""

    def __init__(self, kind: Failure, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


@dataclass(frozen=True, slots=True)
class _Words:
    """What a client says first, and how whoever speaks the protocol begins its answer; group 1, where there is one, is
    what people read of it."""

    says: bytes
    answer: re.Pattern[bytes]


_WORDS: Mapping[str, _Words] = {
    # https://www.postgresql.org/docs/17/protocol-message-formats.html: SSLRequest; E of a server that knows none
    "postgres": _Words(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", re.compile(rb"[SNE]")),
    # https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html: a handshake, or an error
    "mysql": _Words(b"", re.compile(rb"...\x00(?:\x0a([\x20-\x7e]+)\x00|\xff)", re.DOTALL)),
    # https://valkey.io/commands/ping/: an error where a login is wanted
    "redis": _Words(b"PING\r\n", re.compile(rb"\+PONG|-NOAUTH")),
    # RFC 5321, section 4.2
    "smtp": _Words(b"", re.compile(rb"(220)[ -]")),
    # AMQP 0.9.1, section 2.2.4: Connection.Start on channel 0
    "amqp": _Words(b"AMQP\x00\x00\x09\x01", re.compile(rb"\x01\x00\x00....\x00\x0a\x00\x0a", re.DOTALL)),
    # https://docs.nats.io/reference/reference-protocols/nats-protocol
    "nats": _Words(b"", re.compile(rb"INFO ")),
    # https://github.com/memcached/memcached/blob/master/doc/protocol.txt
    "memcached": _Words(b"version\r\n", re.compile(rb"(VERSION [\x20-\x7e]+)")),
    # RFC 9112, section 4; any status is an answer
    "http": _Words(
        b"HEAD / HTTP/1.1\r\nHost: %s\r\nUser-Agent: graphbundle\r\nConnection: close\r\n\r\n",
        re.compile(rb"HTTP/1\.[01] (\d{3})"),
    ),
}
PROTOCOLS = frozenset(_WORDS)


def reach(protocol: str | None, host: str, port: int, *, tls: bool, timeout_s: float) -> str:
    """What answers, in a few words. `protocol` is one of PROTOCOLS, or None where a connection is enough. Raises
    UnreachedError. A name's resolution takes as long as this machine's resolver likes; all else ends in time."""
    ends_at = time.monotonic() + timeout_s
    try:
        with _connected(host, port, ends_at) as plain:
            if not tls:
                return _spoken(plain, protocol, host, port, ends_at)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as wrapped:
                return _spoken(wrapped, protocol, host, port, ends_at)
    except (OSError, ValueError, OverflowError) as error:  # of what cannot be a name, or a port
        kind, reason = failure(error)
        raise UnreachedError(kind, reason) from error


def _connected(host: str, port: int, ends_at: float) -> socket.socket:
    """To the first of the name's addresses that takes a connection."""
    fault: OSError = TimeoutError()
    for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, number)
        try:
            made.settimeout(_left_s(ends_at))
            made.connect(address)
        except OSError as error:
            made.close()
            fault = error
        else:
            return made
    raise fault


def _spoken(link: socket.socket, protocol: str | None, host: str, port: int, ends_at: float) -> str:
    if protocol is None:
        return "takes connections"
    words = _WORDS[protocol]
    if words.says:
        link.settimeout(_left_s(ends_at))
        link.sendall(words.says.replace(b"%s", _authority(host, port)))
    said, more = b"", b"more"
    while more and len(said) < _MOST_BYTES and not words.answer.match(said):
        try:
            link.settimeout(_left_s(ends_at))
            more = link.recv(_MOST_BYTES)
        except TimeoutError as error:  # who waits for other words; told by what was said, if anything
            if not said:
                told = f"it takes the connection and says nothing, which {protocol} would"
                raise UnreachedError(Failure.TIME, told) from error
            more = b""
        except OSError:
            if not said:
                raise
            more = b""
        said += more
    if not isinstance(link, ssl.SSLSocket) and _TLS.match(said):
        raise UnreachedError(Failure.PROTOCOL, SPEAKS_TLS)
    if found := words.answer.match(said):
        told = found[1].decode("ascii", "replace") if found.re.groups and found[1] else ""
        return f"answers {told}" if told else "answers"
    if not said:
        raise UnreachedError(Failure.BROKEN, Failure.BROKEN.value)
    shown = said.split(b"\n")[0][:60].decode("ascii", "replace").strip()
    shown = f": {shown!r}" if shown.isascii() and shown.isprintable() and shown else ""
    raise UnreachedError(Failure.PROTOCOL, f"it does not answer as {protocol} does{shown}")


def _authority(host: str, port: int) -> bytes:
    name = f"[{host}]".encode("ascii") if ":" in host else host.encode("idna")
    return name + b":%d" % port


def _left_s(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
