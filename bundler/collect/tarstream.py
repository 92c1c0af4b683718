"""A bounded reader of other programs' tar archives: from a stream that cannot seek, or from a file.

Reads ustar, PAX and GNU long names, as engines, builders and packers write them; members are looked at and never
unpacked. Anything it does not understand (sparse members, nonsense numbers, endless names) is a SourceError.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from bundler.errors import SourceError

BLOCK_BYTES = 512
PIECE_BYTES = 1 << 20
MAX_MEMBERS = 4_000_000
MAX_EXTENSION_BYTES = 1 << 20  # of a PAX header or a GNU long name
MAX_SIZE_BYTES = 1 << 50


class Kind(Enum):
    FILE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    HARDLINK = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """`name` without leading `./` or `/` and trailing `/`; `offset_bytes` of its body in the archive."""

    name: str
    kind: Kind
    size_bytes: int
    target: str
    offset_bytes: int


class Source(Protocol):
    """Bytes one after another. `pieces` and `skip` are exact: SourceError where the source ends before."""

    def pieces(self, size_bytes: int) -> Iterator[bytes]: ...

    def skip(self, size_bytes: int) -> None: ...


class StreamSource:
    """A source over pieces as they arrive."""

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self._chunks = iter(chunks)
        self._what = what
        self._rest = memoryview(b"")

    def pieces(self, size_bytes: int) -> Iterator[bytes]:
        left = size_bytes
        while left:
            if not self._rest:
                self._rest = memoryview(self._next())
                continue
            piece = self._rest[:left]
            self._rest = self._rest[len(piece) :]
            left -= len(piece)
            yield piece.obj if len(piece) == len(piece.obj) else bytes(piece)  # type: ignore[arg-type, misc]

    def skip(self, size_bytes: int) -> None:
        for _ in self.pieces(size_bytes):
            pass

    def drain(self) -> None:
        """Read what follows the archive, so that the sender can end properly."""
        for _ in self._chunks:
            pass

    def _next(self) -> bytes:
        for chunk in self._chunks:
            if chunk:
                return chunk
        raise SourceError(f"{self._what}: the archive ends too early")


class FileSource:
    """A source over a part of an open file; the file's own position is neither used nor moved."""

    def __init__(self, fd: int, what: str, *, offset_bytes: int = 0, size_bytes: int | None = None) -> None:
        self._fd = fd
        self._what = what
        self._place = offset_bytes
        self._end = os.fstat(fd).st_size if size_bytes is None else offset_bytes + size_bytes

    def pieces(self, size_bytes: int) -> Iterator[bytes]:
        left = size_bytes
        while left:
            try:
                piece = os.pread(self._fd, min(left, PIECE_BYTES, max(self._end - self._place, 0)), self._place)
            except OSError as error:
                raise SourceError(f"{self._what}: reading failed: {error.strerror or error}") from error
            if not piece:
                raise SourceError(f"{self._what}: the archive ends too early")
            self._place += len(piece)
            left -= len(piece)
            yield piece

    def skip(self, size_bytes: int) -> None:
        if self._place + size_bytes > self._end:
            raise SourceError(f"{self._what}: the archive ends too early")
        self._place += size_bytes


class TarReader:
    """Iterates over the members; `body` gives the bytes of the one just handed out, once, or part of them."""

    def __init__(self, source: Source, what: str) -> None:
        self._source = source
        self._what = what
        self._place = 0
        self._body_left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        count = 0
        overrides: dict[str, str] = {}
        while (block := self._block()) is not None:
            count += 1
            if count > MAX_MEMBERS:
                raise SourceError(f"{self._what}: more than {MAX_MEMBERS:,} members")
            size = self._number(block[124:136])
            match block[156:157]:
                case b"x":
                    overrides.update(self._pax(self._extension(size)))
                case b"g":  # global PAX records (git archive's comment): none of them names a member
                    self._extension(size)
                case b"L":
                    overrides["path"] = _text(self._extension(size).rstrip(b"\0"))
                case b"K":
                    overrides["linkpath"] = _text(self._extension(size).rstrip(b"\0"))
                case flag:
                    member = self._member(block, flag, size, overrides)
                    overrides = {}
                    self._body_left, self._padding = member.size_bytes, -member.size_bytes % BLOCK_BYTES
                    yield member
                    self._skip(self._body_left + self._padding)
                    self._body_left = self._padding = 0

    def body(self) -> Iterator[bytes]:
        while self._body_left:
            for piece in self._source.pieces(self._body_left):
                self._body_left -= len(piece)
                self._place += len(piece)
                yield piece

    def _member(self, block: bytes, flag: bytes, size: int, overrides: dict[str, str]) -> Member:
        if any(key.startswith("GNU.sparse") for key in overrides):
            raise SourceError(f"{self._what}: sparse members are not read")
        name = overrides.get("path")
        if name is None:
            name = _text(block[:100].split(b"\0", 1)[0])
            prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
            name = f"{_text(prefix)}/{name}" if prefix else name
        if "size" in overrides:
            size = self._decimal(overrides["size"])
        directory = name.endswith("/")
        match flag:
            case b"0" | b"\0" | b"7":
                kind = Kind.DIRECTORY if directory and flag == b"\0" else Kind.FILE
            case b"1":
                kind, size = Kind.HARDLINK, 0
            case b"2":
                kind, size = Kind.SYMLINK, 0
            case b"5":
                kind, size = Kind.DIRECTORY, 0
            case b"3" | b"4" | b"6":  # devices and pipes: no body, whatever the header says
                kind, size = Kind.OTHER, 0
            case b"S":
                raise SourceError(f"{self._what}: sparse members are not read")
            case _:
                kind = Kind.OTHER
        target = overrides.get("linkpath", _text(block[157:257].split(b"\0", 1)[0]))
        while name.startswith(("./", "/")):
            name = name.removeprefix("./").lstrip("/")
        return Member(name.rstrip("/"), kind, size, target, self._place)

    def _block(self) -> bytes | None:
        """The next header; None at the end of the archive."""
        block = b"".join(self._source.pieces(BLOCK_BYTES))
        self._place += BLOCK_BYTES
        if not block.strip(b"\0"):
            return None
        stated = self._number(block[148:156])
        if stated != sum(block[:148]) + 8 * 0x20 + sum(block[156:]):
            raise SourceError(f"{self._what}: not a tar archive, or damaged, at byte {self._place - BLOCK_BYTES:,}")
        return block

    def _extension(self, size: int) -> bytes:
        if size > MAX_EXTENSION_BYTES:
            raise SourceError(f"{self._what}: a tar extension header of {size:,} bytes")
        data = b"".join(self._source.pieces(size))
        self._place += size
        self._skip(-size % BLOCK_BYTES)
        return data

    def _pax(self, data: bytes) -> dict[str, str]:
        """The records `LENGTH KEY=VALUE\\n` that matter here."""
        records: dict[str, str] = {}
        place = 0
        while place < len(data):
            space = data.find(b" ", place, place + 9)
            length = self._decimal(_text(data[place:space])) if space > place else 0
            record = data[space + 1 : place + length]
            key, equals, value = record.partition(b"=")
            if place + length > len(data) or not equals or not value.endswith(b"\n"):
                raise SourceError(f"{self._what}: a damaged PAX header")
            records[_text(key)] = _text(value[:-1])
            place += length
        return {k: v for k, v in records.items() if k in ("path", "linkpath", "size") or k.startswith("GNU.sparse")}

    def _number(self, field: bytes) -> int:
        if field[0] == 0x80:
            number = int.from_bytes(field[1:], "big")
        else:
            digits = field.strip(b" \0")
            if digits.strip(b"01234567"):
                raise SourceError(f"{self._what}: not a tar archive, or damaged, at byte {self._place:,}")
            number = int(digits or b"0", 8)
        if number > MAX_SIZE_BYTES:
            raise SourceError(f"{self._what}: a member of {number:,} bytes")
        return number

    def _decimal(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise SourceError(f"{self._what}: a damaged PAX header")
        return int(text)

    def _skip(self, size: int) -> None:
        self._source.skip(size)
        self._place += size


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
