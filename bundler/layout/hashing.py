"""sha256 beside reading and writing.

`hashlib` gives up the interpreter's lock for anything but small pieces, so one thread hashes while another waits
for the disk, and weights get their two digests (of the file, and of the tar around it) from one read on two
cores. Queues are short: the memory in use stays at some megabytes whatever the size of the stream.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Self

from bundler.model.oci import Digest

CHUNK_BYTES = 1 << 20
_WAITING_CHUNKS = 8


class ParallelHash:
    """sha256 on a thread of its own; `update` waits only while the thread is some chunks behind.

    Chunks are not copied: a buffer that was handed over must not change. End with `finish`, or `close` where
    the digest is no longer wanted; as a context manager it closes itself.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: queue.Queue[bytes | memoryview | None] = queue.Queue(_WAITING_CHUNKS)
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def update(self, chunk: bytes | memoryview) -> None:
        self._queue.put(chunk)

    def finish(self) -> Digest:
        self.close()
        return Digest("sha256:" + self._hash.hexdigest())

    def close(self) -> None:
        """End the thread; safe to repeat."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            self._hash.update(chunk)


def read_ahead(
    fd: int, offset_bytes: int, size_bytes: int, chunk_bytes: int = CHUNK_BYTES
) -> Generator[bytes, None, None]:
    """`size_bytes` bytes of `fd` from `offset_bytes` in chunks, read by a thread that stays some chunks ahead.

    Ends early where the file does: the caller compares sizes. What fails in the thread is raised here. The file's
    position is neither used nor moved.
    """
    if size_bytes <= chunk_bytes:
        yield from _read(fd, offset_bytes, size_bytes, chunk_bytes)
        return
    chunks: queue.Queue[bytes | Exception | None] = queue.Queue(_WAITING_CHUNKS)
    stopped = threading.Event()

    def run() -> None:
        end: Exception | None = None
        try:
            for chunk in _read(fd, offset_bytes, size_bytes, chunk_bytes):
                chunks.put(chunk)
                if stopped.is_set():
                    return
        except Exception as error:
            end = error
        chunks.put(end)

    reader = threading.Thread(target=run, name="read-ahead", daemon=True)
    reader.start()
    try:
        while (item := chunks.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        # A thread that waits for room sees the flag after its next put; the queue is emptied until it ended,
        # so that nobody closes `fd` under it.
        stopped.set()
        while reader.is_alive():
            try:
                chunks.get(timeout=0.01)
            except queue.Empty:
                continue
        reader.join()


def _read(fd: int, offset_bytes: int, size_bytes: int, chunk_bytes: int) -> Iterator[bytes]:
    left_bytes = size_bytes
    while left_bytes > 0:
        chunk = os.pread(fd, min(left_bytes, chunk_bytes), offset_bytes)
        if not chunk:
            return
        yield chunk
        offset_bytes += len(chunk)
        left_bytes -= len(chunk)
