"""Which ports of this machine something listens on, and which addresses it has."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"  # the state, as the kernel writes it (Linux, proc_net_tcp)
_ANY_OR_LOOPBACK = {"0" * 8, "0100007F", "0" * 32, "0" * 24 + "01000000"}


def taken(ports: Iterable[int]) -> frozenset[int]:
    """Those of `ports` that nobody could listen on now, on any IPv4 address of this machine.

    A listener on one address keeps the wildcard address from being bound, so one attempt per port tells.
    """
    return frozenset(port for port in ports if not _free(port))


def listening() -> frozenset[int]:
    """Ports on which something listens on every address of this machine or on the loopback one; none where the kernel
    does not tell (only Linux does)."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                address, _, port = local.partition(":")
                if state == _LISTEN and address in _ANY_OR_LOOPBACK:
                    found.add(int(port, 16))
    return frozenset(found)


def has_address(address: str) -> bool:
    """Whether something on this machine could listen on an IP address. Raises nothing: what cannot be told is a yes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no listeners
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - bound and closed at once, never listened on
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True
