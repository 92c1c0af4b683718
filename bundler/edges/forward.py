"""A port of this machine that leads elsewhere, for as long as somebody holds it."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from bundler.errors import BundleError, TargetError

PIECE_BYTES = 1 << 16
PAUSE_S = 0.1  # where the machine lets in nobody for the moment
LINGER_S = 5.0  # for the rest of an answer, once the near side has ended
_LOW = "ports below 1024 are for root; the site file has another: publish: {DOOR: {port: PORT}}"


class Connection(Protocol):
    """As much of a socket as is used of it."""

    def recv(self, size_bytes: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...


class Forward:
    """Listens on `bind`:`port` (any free port for 0, and where it is taken); each connection is led to what `dial`
    gives. Errors of single connections go to `told`."""

    def __init__(
        self, bind: str, port: int, dial: Callable[[], Connection], told: Callable[[BundleError], None]
    ) -> None:
        self._dial = dial
        self._told = told
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            try:
                self._listener.bind((bind, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self._listener.bind((bind, 0))
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            hint = _LOW if error.errno == errno.EACCES else None
            raise TargetError(f"cannot listen on {bind} at port {port}: {error.strerror}", hint=hint) from error
        self._closed = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True, name="forward").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        """Until it is closed: who hangs up too early, or too many open files, end nothing."""
        while not self._closed.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                self._closed.wait(PAUSE_S)
                continue
            threading.Thread(target=self._lead, args=(near,), daemon=True, name="forwarded").start()

    def _lead(self, near: socket.socket) -> None:
        with near:
            try:
                far = self._dial()
            except BundleError as error:
                self._told(error)
                return
            back = threading.Thread(target=_answer, args=(far, near), daemon=True)
            back.start()
            _pour(near, far)
            back.join(LINGER_S)
            with suppress(OSError):
                far.close()


def _answer(far: Connection, near: socket.socket) -> None:
    _pour(far, near)
    with suppress(OSError):
        near.shutdown(socket.SHUT_RDWR)


def _pour(source: Connection, into: Connection) -> None:
    """All that comes. The end of it is not passed on: a forward through a cluster knows no half-closed connection."""
    with suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            into.sendall(data)
