"""Files -> a layer that is the same wherever it is made: sorted, no owner, no time, 0644 or 0755."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bundler.collect import tarheader
from bundler.collect.paths import SourceFile, open_file, read_piece, require_unchanged, shown
from bundler.errors import SourceError
from bundler.layout.hashing import ParallelHash
from bundler.model.oci import Digest

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a layer by its path there: one of the disk, or its bytes."""

    path: str
    content: SourceFile | bytes
    executable: bool = False

    @property
    def size_bytes(self) -> int:
        return self.content.size_bytes if isinstance(self.content, SourceFile) else len(self.content)


@dataclass(frozen=True, slots=True)
class TreeLayer:
    """Can be read as often as one likes, while the files stay."""

    entries: Sequence[Entry]
    what: str

    def digest(self) -> Digest:
        with ParallelHash() as digest:
            for piece in self.pieces():
                digest.update(piece)
            return digest.finish()

    def pieces(self) -> Iterator[bytes]:
        by_path = {entry.path: entry for entry in self.entries}
        for path, size in tarheader.members((path, by_path[path].size_bytes) for path in sorted(by_path)):
            if size is None:
                yield tarheader.directory_header(path, self.what)
                continue
            entry = by_path[path]
            yield tarheader.file_header(path, size, self.what, executable=entry.executable)
            if isinstance(entry.content, SourceFile):
                yield from self._read(entry.content)
            else:
                yield entry.content
            yield tarheader.padding(size)
        yield tarheader.END

    def _read(self, file: SourceFile) -> Iterator[bytes]:
        fd = open_file(file, self.what)
        try:
            left = file.size_bytes
            while left:
                piece = read_piece(fd, min(PIECE_BYTES, left), file, self.what)
                if not piece:
                    raise SourceError(f"{self.what}: {shown(file.path)} became shorter while it was being read")
                left -= len(piece)
                yield piece
            require_unchanged(fd, file, self.what)
        finally:
            os.close(fd)
