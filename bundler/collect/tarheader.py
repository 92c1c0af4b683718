"""Headers of the tar archives that weights and Python projects are packed in: ustar, no owner, no time, no extension.

Reference: POSIX.1-1988 ustar; a size of 8 GiB or more in base-256, as GNU tar, Go and Python write it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from bundler.errors import SourceError

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
_OCTAL_LIMIT = 8**11


def file_header(path: str, size_bytes: int, what: str, *, executable: bool = False) -> bytes:
    return _header(path, b"0", 0o755 if executable else 0o644, size_bytes, what)


def directory_header(path: str, what: str) -> bytes:
    return _header(path.rstrip("/") + "/", b"5", 0o755, 0, what)


def padding(size_bytes: int) -> bytes:
    """The zeros that fill a member's last block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def members(files: Iterable[tuple[str, int]]) -> list[tuple[str, int | None]]:
    """The members of an archive of (path, size) files: each directory, with a size of None, before its first file."""
    found: list[tuple[str, int | None]] = []
    seen: set[str] = set()
    for path, size in files:
        for parent in reversed(PurePosixPath(path).parents):
            if (directory := str(parent)) != "." and directory not in seen:
                seen.add(directory)
                found.append((directory, None))
        found.append((path, size))
    return found


def archive_size(members: list[tuple[str, int | None]]) -> int:
    """The size of an archive of (path, size) members; a size of None is a directory."""
    return len(END) + sum(BLOCK_BYTES + (size or 0) + (-(size or 0) % BLOCK_BYTES) for _, size in members)


def _header(path: str, kind: bytes, mode: int, size_bytes: int, what: str) -> bytes:
    prefix, name = _split(path.encode("utf-8"), what)
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        _size(size_bytes),
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\00000",
        bytes(32 + 32),
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        prefix.ljust(155, b"\0"),
        bytes(12),
    )
    header = bytearray(b"".join(fields))
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _size(size_bytes: int) -> bytes:
    if size_bytes < _OCTAL_LIMIT:
        return b"%011o\0" % size_bytes
    return b"\x80" + size_bytes.to_bytes(11, "big")


def _split(path: bytes, what: str) -> tuple[bytes, bytes]:
    """`prefix` and `name`: the whole in `name` where it fits, else split at the last `/` that makes both fit."""
    if len(path) <= 100:
        return b"", path
    place = path.rfind(b"/", 0, min(len(path) - 1, 156))
    while place > 0:
        prefix, name = path[:place], path[place + 1 :]
        if len(prefix) <= 155 and 0 < len(name) <= 100:
            return prefix, name
        place = path.rfind(b"/", 0, place)
    raise SourceError(
        f"{what}: the name {path.decode('utf-8', 'replace')!r} is too long for a tar archive",
        hint="at most 100 bytes, or 255 in two parts of 155 and 100 at a slash",
    )
