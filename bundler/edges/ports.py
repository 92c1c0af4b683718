"""Which ports of this machine something listens on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable


def taken(ports: Iterable[int]) -> frozenset[int]:
    """Those of `ports` that nobody could listen on now, on any IPv4 address of this machine.

    A listener on one address keeps the wildcard address from being bound, so one attempt per port tells.
    """
    return frozenset(port for port in ports if not _free(port))


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no listeners
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - bound and closed at once, never listened on
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True
