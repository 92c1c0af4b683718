"""One bundle as one canonical tar: written in one pass, read in place.

Reads streams of blobs, or a tar on disk. Writes PATH, atomically. Next: `trust.verify` reads it back.

Written: a placeholder header, the body while it is hashed, the header again; what refers to those digests comes
after them. Read: a walk over the headers gives every blob's place, so a bundle of 100 GB is inspected by reading
kilobytes. One file descriptor from the first byte to the last, never mmap (a file that shrinks would kill the
process), every blob hashed whenever it is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from bundler.edges.files import AtomicFile, failure, open_regular
from bundler.errors import SourceError, TrustError
from bundler.layout import tar
from bundler.layout.assembly import Assembly
from bundler.layout.canonical import OCI_LAYOUT_BYTES, Referrer, lay_out
from bundler.layout.closure import walk
from bundler.layout.documents import METADATA_LIMIT_BYTES
from bundler.layout.hashing import CHUNK_BYTES, ParallelHash, read_ahead
from bundler.model.oci import Descriptor, Digest

MAX_MEMBERS = 65_536
FIRST_HEADER = tar.header(tar.OCI_LAYOUT, len(OCI_LAYOUT_BYTES))  # what every bundle begins with


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that is in the archive now."""

    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's body is in the file."""

    name: str
    offset_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """Where the next header is."""
        return self.offset_bytes + self.size_bytes + tar.padding_bytes(self.size_bytes)


class ArchiveWriter:
    """Writes one bundle; a context manager. Without `finish`, and with any exception, nothing is left behind.

    Data blobs are best stored in the order of `Assembly.data` (weights first, then image layers by digest): then
    every byte is written once. What stands elsewhere is moved by `finish`, at the price of copying it twice.
    """

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._members: dict[Digest, Member] = {}
        self._end_bytes = 0

    def __enter__(self) -> Self:
        self._file.__enter__()
        try:
            self._append(tar.OCI_LAYOUT, OCI_LAYOUT_BYTES)
        except BaseException:
            self._file.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._members

    def add_stream(self, chunks: Iterable[bytes], *, expected: Digest | None = None) -> Stored:
        """Store a blob. Another digest than `expected` is a SourceError, and the blob is not stored.

        A blob that is there already is kept once. Chunks of about 1 MiB serve best; they are hashed on another
        thread, so they must not change afterwards.
        """
        start_bytes = self._end_bytes
        body_bytes = start_bytes + tar.BLOCK_BYTES
        size_bytes = 0
        os.lseek(self._file.fd, body_bytes, os.SEEK_SET)
        with ParallelHash() as hashing:
            for chunk in chunks:
                hashing.update(chunk)
                self._file.write(chunk)
                size_bytes += len(chunk)
            digest = hashing.finish()
        if expected is not None and digest != expected:
            self._truncate(start_bytes)
            raise SourceError(f"{expected}: what was read has another digest, {digest}", hint="read it again")
        if digest in self._members:
            self._truncate(start_bytes)
        else:
            self._close_member(tar.blob_name(digest), size_bytes)
            self._members[digest] = Member(tar.blob_name(digest), body_bytes, size_bytes)
        return Stored(digest, size_bytes)

    def add_copy(self, reader: ArchiveReader, digest: Digest, size_bytes: int) -> Stored:
        """Copy a blob out of another bundle, hashing it on the way (TrustError where it is damaged)."""
        if digest in self._members:
            return Stored(digest, self._members[digest].size_bytes)
        body_bytes = self._end_bytes + tar.BLOCK_BYTES
        os.lseek(self._file.fd, body_bytes, os.SEEK_SET)
        # The reader hashes what it hands out and raises at the end, before this member has a header.
        for chunk in reader.stream(Descriptor("application/octet-stream", digest, size_bytes)):
            self._file.write(chunk)
        self._close_member(tar.blob_name(digest), size_bytes)
        self._members[digest] = Member(tar.blob_name(digest), body_bytes, size_bytes)
        return Stored(digest, size_bytes)

    def finish(self, assembly: Assembly, referrers: Sequence[Referrer] = ()) -> None:
        """Write metadata, manifest.json, index.json and the end; make it last; put the file in place.

        ValueError where the blobs stored are not those that `assembly` names: a defect of the caller.
        """
        metadata = dict(assembly.metadata)
        for referrer in referrers:
            metadata |= {Digest.of(referrer.manifest): referrer.manifest, **referrer.blobs}
        layout = lay_out(walk(assembly.root, lambda blob: metadata[blob.digest]), [r.manifest for r in referrers])
        for blob in layout.data:
            member = self._members.get(blob.digest)
            if member is None or member.size_bytes != blob.size_bytes:
                raise ValueError(f"{blob.digest} ({blob.size_bytes} bytes) is named and was not stored")
        if len(layout.members()) > MAX_MEMBERS:
            raise SourceError(f"{len(layout.members())} blobs; a bundle has at most {MAX_MEMBERS} members")
        self._put_in_order([self._members[blob.digest] for blob in layout.data])
        for digest, size_bytes in layout.metadata:
            if len(metadata[digest]) != size_bytes:
                raise ValueError(f"{digest} has another size than its descriptor says")
            self._append(tar.blob_name(digest), metadata[digest])
        self._append(tar.DOCKER_INDEX, layout.docker_index)
        self._append(tar.INDEX, layout.index)
        self._file.write_at(tar.TRAILER, self._end_bytes)
        self._truncate(self._end_bytes + len(tar.TRAILER))
        self._file.commit()

    def written(self) -> Iterator[bytes]:
        """After `finish`: the file's bytes, whatever now stands at its path."""
        try:
            yield from read_ahead(self._file.fd, 0, os.fstat(self._file.fd).st_size)
        except OSError as error:
            raise failure(error, self._file.path, "reading") from error

    def _append(self, name: str, body: bytes) -> None:
        self._file.write_at(body, self._end_bytes + tar.BLOCK_BYTES)
        self._close_member(name, len(body))

    def _close_member(self, name: str, size_bytes: int) -> None:
        """Header and padding around a body that was written after `_end_bytes`."""
        body_bytes = self._end_bytes + tar.BLOCK_BYTES
        self._file.write_at(bytes(tar.padding_bytes(size_bytes)), body_bytes + size_bytes)
        self._file.write_at(tar.header(name, size_bytes), self._end_bytes)
        self._end_bytes = body_bytes + size_bytes + tar.padding_bytes(size_bytes)

    def _truncate(self, size_bytes: int) -> None:
        try:
            os.ftruncate(self._file.fd, size_bytes)
        except OSError as error:
            raise failure(error, self._file.path, "writing") from error
        self._end_bytes = min(self._end_bytes, size_bytes)

    def _put_in_order(self, wanted: Sequence[Member]) -> None:
        """Leave exactly the members `wanted`, in that order; what stands in its place already is not touched."""
        place_bytes = tar.BLOCK_BYTES + len(OCI_LAYOUT_BYTES) + tar.padding_bytes(len(OCI_LAYOUT_BYTES))
        settled = 0
        while settled < len(wanted) and wanted[settled].offset_bytes == place_bytes + tar.BLOCK_BYTES:
            place_bytes = wanted[settled].end_bytes
            settled += 1
        if settled < len(wanted):
            with AtomicFile(self._file.path) as aside:
                for member in wanted[settled:]:
                    self._copy(self._file, member.offset_bytes - tar.BLOCK_BYTES, aside, member.end_bytes)
                size_bytes = os.fstat(aside.fd).st_size
                os.lseek(self._file.fd, place_bytes, os.SEEK_SET)
                self._copy(aside, 0, self._file, size_bytes)
                place_bytes += size_bytes
        self._truncate(place_bytes)
        self._end_bytes = place_bytes

    @staticmethod
    def _copy(source: AtomicFile, start_bytes: int, target: AtomicFile, end_bytes: int) -> None:
        for chunk in read_ahead(source.fd, start_bytes, end_bytes - start_bytes):
            target.write(chunk)


class ArchiveReader:
    """A bundle on disk, opened once; a `contract.BlobSource`. Use as a context manager, or call `close`.

    Opening reads the headers and nothing else; every form but the canonical one is a TrustError. `members` is in
    the file's order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = open_regular(path, as_error=TrustError)
        try:
            self._opened = _identity(self._fd)
            self.size_bytes = self._opened[0]
            self.members: Mapping[str, Member] = MappingProxyType(self._walk())
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __contains__(self, digest: Digest) -> bool:
        return tar.blob_name(digest) in self.members

    def read_member(self, name: str, limit_bytes: int = METADATA_LIMIT_BYTES) -> bytes:
        """A member's bytes, not hashed; TrustError where it is missing or longer than `limit_bytes`."""
        member = self._member(name)
        if member.size_bytes > limit_bytes:
            raise self.refusal(f"{name} has {member.size_bytes} bytes, more than {limit_bytes}")
        data = b"".join(self._chunks(member))
        self._check_unchanged()
        return data

    def read(self, blob: Descriptor) -> bytes:
        """The whole of a blob of at most 4 MiB, its size and digest checked (TrustError)."""
        member = self._blob(blob)
        data = self.read_member(member.name)
        if Digest.of(data) != blob.digest:
            raise self.refusal(f"{blob.digest} is damaged: its bytes have the digest {Digest.of(data)}")
        return data

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        """The blob in pieces. The last one is held back until size and digest are known to be right (TrustError)."""
        member = self._blob(blob)
        held: bytes | None = None
        with ParallelHash() as hashing:
            for chunk in self._chunks(member):
                hashing.update(chunk)
                if held is not None:
                    yield held
                held = chunk
            found = hashing.finish()
        self._check_unchanged()
        if found != blob.digest:
            raise self.refusal(f"{blob.digest} is damaged: its bytes have the digest {found}")
        if held is not None:
            yield held

    def check_every_byte(self, progress: Callable[[int], None] | None = None) -> None:
        """Read the file once from its first byte to its last: headers, blobs, padding, trailer. TrustError names
        the first blob whose bytes have another digest."""
        with contextlib.closing(read_ahead(self._fd, 0, self.size_bytes, 2 * CHUNK_BYTES)) as chunks:
            file = _Sequence(chunks, progress or (lambda _: None))
            for member in self.members.values():
                self._check_member(file, member)
            if file.take(len(tar.TRAILER) + 1) != tar.TRAILER:
                raise self.refusal("the end of the file is not in canonical form")
        self._check_unchanged()

    def refusal(self, why: str) -> TrustError:
        """The error to raise about this file; what could act on a terminal is shown escaped."""
        shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in f"{self.path}: {why}")
        return TrustError(shown, hint="fetch or copy it again from where it was made")

    def _check_member(self, file: _Sequence, member: Member) -> None:
        if file.take(tar.BLOCK_BYTES) != tar.header(member.name, member.size_bytes):
            raise self.refusal(f"the header of {member.name} changed while it was read")
        expected = tar.blob_digest(member.name)
        if expected is None:
            file.take(member.size_bytes)  # a function of the blobs: compared before, unchanged since
        else:
            self._check_body(file, member, expected)
        padding = tar.padding_bytes(member.size_bytes)
        if file.take(padding) != bytes(padding):
            raise self.refusal(f"the padding of {member.name} is not zeros")

    def _check_body(self, file: _Sequence, member: Member, expected: Digest) -> None:
        if member.size_bytes <= CHUNK_BYTES:
            found = Digest.of(file.take(member.size_bytes))
        else:
            with ParallelHash() as hashing:
                for piece in file.pieces(member.size_bytes):
                    hashing.update(piece)
                found = hashing.finish()
        if found != expected:
            raise self.refusal(f"{expected} is damaged: its bytes have the digest {found}")

    def _walk(self) -> dict[str, Member]:
        if self.size_bytes == 0:
            raise self.refusal("0 bytes")
        members: dict[str, Member] = {}
        offset_bytes = 0
        while True:
            block = self._pread(offset_bytes, tar.BLOCK_BYTES)
            if not any(block):
                break
            try:
                name, size_bytes = tar.parse(block)
            except tar.TarFormError as error:
                what = "neither a bundle nor a library" if offset_bytes == 0 else f"at byte {offset_bytes}"
                raise self.refusal(f"{what}: {error}") from error
            member = Member(name, offset_bytes + tar.BLOCK_BYTES, size_bytes)
            if name in members:
                raise self.refusal(f"two members are named {name}")
            if len(members) == MAX_MEMBERS:
                raise self.refusal(f"more than {MAX_MEMBERS} members")
            if member.end_bytes > self.size_bytes:
                raise self.refusal(f"it ends inside {name}: a piece is missing at the end")
            padding = tar.padding_bytes(size_bytes)
            if self._pread(member.end_bytes - padding, padding) != bytes(padding):
                raise self.refusal(f"the padding of {name} is not zeros")
            members[name] = member
            offset_bytes = member.end_bytes
        # One byte more than the trailer is asked for: anything after it is refused.
        if self._pread(offset_bytes, len(tar.TRAILER) + 1) != tar.TRAILER:
            raise self.refusal("it does not end with exactly 1,024 zero bytes")
        return members

    def _pread(self, offset_bytes: int, size_bytes: int) -> bytes:
        try:
            return os.pread(self._fd, size_bytes, offset_bytes)
        except OSError as error:
            raise SourceError(f"{self.path}: reading failed: {error.strerror or error}") from error

    def _member(self, name: str) -> Member:
        try:
            return self.members[name]
        except KeyError:
            raise self.refusal(f"{name} is missing") from None

    def _blob(self, blob: Descriptor) -> Member:
        member = self._member(tar.blob_name(blob.digest))
        if member.size_bytes != blob.size_bytes:
            raise self.refusal(f"{blob.digest} has {member.size_bytes} bytes, its descriptor says {blob.size_bytes}")
        return member

    def _chunks(self, member: Member) -> Iterator[bytes]:
        left_bytes = member.size_bytes
        try:
            for chunk in read_ahead(self._fd, member.offset_bytes, member.size_bytes):
                left_bytes -= len(chunk)
                yield chunk
        except OSError as error:
            raise SourceError(f"{self.path}: reading failed: {error.strerror or error}") from error
        if left_bytes:
            raise self.refusal("it became shorter while it was read")

    def _check_unchanged(self) -> None:
        if _identity(self._fd) != self._opened:
            raise self.refusal("it changed while it was read")


class _Sequence:
    """A stream of chunks, taken in pieces of any length."""

    def __init__(self, chunks: Iterator[bytes], progress: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._progress = progress
        self._rest = memoryview(b"")

    def take(self, size_bytes: int) -> bytes:
        """`size_bytes` bytes, fewer where the stream ends."""
        return b"".join(self.pieces(size_bytes))

    def pieces(self, size_bytes: int) -> Iterator[memoryview]:
        while size_bytes > 0:
            if not self._rest:
                chunk = next(self._chunks, b"")
                if not chunk:
                    return
                self._progress(len(chunk))
                self._rest = memoryview(chunk)
            piece, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
            size_bytes -= len(piece)
            yield piece


def _identity(fd: int) -> tuple[int, int, int, int]:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise TrustError("not a regular file")
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev
