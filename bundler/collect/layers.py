"""Image layers on their way into the archive, sorted by digest whatever the order in which they arrive.

A layer that can be read at any time (registry, file, the previous bundle) is written when it is its turn. One that
arrives in a stream is written straight through when it is just then its turn, and kept in an unlinked temporary
file beside the output otherwise. Engines on the classic store send sorted, so that nothing is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bundler.collect.accounts import LayerAccounts, Tap
from bundler.collect.sources import Opener
from bundler.collect.tarstream import FileSource
from bundler.edges.files import failure
from bundler.errors import SourceError
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.hashing import ParallelHash
from bundler.layout.tar import blob_name
from bundler.model.oci import LAYER_TAR, Descriptor, Digest
from bundler.model.progress import Progress


class LayerWriter:
    """Use as a context manager: `ready` and `offer` in any order, then `finish`.

    `wanted` are the layers; `watched` those whose accounts are to be read on the way. Afterwards `sizes`
    and `accounts` hold what is known of each.
    """

    def __init__(
        self,
        writer: ArchiveWriter,
        wanted: Iterable[Digest],
        *,
        watched: Iterable[Digest],
        previous: ArchiveReader | None,
        directory: Path,
        progress: Progress,
    ) -> None:
        self.sizes: dict[Digest, int] = {}
        self.accounts: dict[Digest, LayerAccounts] = {}
        self._writer = writer
        self._order = sorted(set(wanted))
        self._place = 0
        self._missing = {digest for digest in self._order if previous is None or digest not in previous}
        self._watched = frozenset(watched)
        self._previous = previous
        self._ready: dict[Digest, Opener] = {}
        self._spool = _Spool(directory)
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def misses(self, digest: Digest) -> bool:
        """Whether a layer is wanted that neither is stored nor can be read at any time."""
        return digest in self._missing

    def ready(self, digest: Digest, opener: Opener) -> None:
        """A layer that can be read from now on."""
        self._ready.setdefault(digest, opener)
        self._missing.discard(digest)

    def offer(self, hint: Digest | None, pieces: Iterable[bytes], what: str) -> None:
        """A blob that passes by now; `hint` is what its name says it is. Digests decide whether it is a layer."""
        if hint is not None and not self.misses(hint):
            return
        self._advance()
        if hint is not None and self._order[self._place] == hint:
            self._store(hint, self._counted(pieces))
            self._missing.discard(hint)
            self._place += 1
            return
        digest, opener = self._spool.keep(pieces, what)
        if self.misses(digest):
            self.ready(digest, opener)
        else:
            self._spool.drop_last()

    def finish(self) -> None:
        """Write what is left. SourceError where a layer never came."""
        self._advance()
        if self._place < len(self._order):
            raise SourceError(
                f"the layer {self._order[self._place]} did not come from the engine",
                hint="was the image removed or rebuilt meanwhile? run the same command again",
            )

    def _advance(self) -> None:
        """Write everything up to the first layer that is still to arrive."""
        while self._place < len(self._order):
            digest = self._order[self._place]
            if self._previous is not None and digest in self._previous:
                self._copy(self._previous, digest)
            elif digest in self._ready:
                self._store(digest, self._counted(self._ready.pop(digest)()))
            else:
                return
            self._place += 1

    def _copy(self, previous: ArchiveReader, digest: Digest) -> None:
        """Out of the previous bundle, which checks what it hands out."""
        size = previous.members[blob_name(digest)].size_bytes
        if digest in self._watched:
            blob = Descriptor(LAYER_TAR, digest, size)
            self._store(digest, self._counted(previous.stream(blob)))
        else:
            self.sizes[digest] = self._writer.add_copy(previous, digest, size).size_bytes
            self._progress.advance(size)

    def _store(self, digest: Digest, pieces: Iterator[bytes]) -> None:
        if digest in self._watched:
            tap = Tap(f"layer {digest.short}")
            self.sizes[digest] = self._writer.add_stream(tap.watch(pieces), expected=digest).size_bytes
            self.accounts[digest] = tap.result()
        else:
            self.sizes[digest] = self._writer.add_stream(pieces, expected=digest).size_bytes

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._progress.advance(len(piece))


class _Spool:
    """Blobs that came before their turn, one after another in one file without a name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._end = 0
        self._last = 0

    def keep(self, pieces: Iterable[bytes], what: str) -> tuple[Digest, Opener]:
        if self._file is None:
            # Lives as long as this object; it has no name, so nothing is left of it whatever happens.
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        file, start = self._file, self._end
        file.seek(start)
        with ParallelHash() as digest:
            for piece in pieces:
                digest.update(piece)
                self._write(file, piece)
                self._end += len(piece)
            found = digest.finish()
        self._last, size = start, self._end - start

        def pieces_again() -> Iterator[bytes]:
            return FileSource(file.fileno(), what, offset_bytes=start, size_bytes=size).pieces(size)

        return found, pieces_again

    def drop_last(self) -> None:
        self._end = self._last

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, file: IO[bytes], piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise failure(error, self._directory, "keeping a layer") from error
