"""Tar streams, written as they are sent, one member at a time."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = 512
END = bytes(2 * BLOCK)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of `size_bytes`, whose bytes `content` yields, or a directory where `content` is None."""

    name: str
    mode: int
    content: Iterable[bytes] | None
    size_bytes: int = 0
    uid: int = 0
    gid: int = 0


def file(name: str, data: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Member:
    return Member(name, mode, (data,), len(data), uid, gid)


def directory(name: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Member:
    return Member(name, mode, None, 0, uid, gid)


def stream(members: Iterable[Member]) -> Iterator[bytes]:
    """The tar of `members`, in their order; no time is in it."""
    for member in members:
        header = tarfile.TarInfo(member.name)
        header.mode, header.uid, header.gid, header.size = member.mode, member.uid, member.gid, member.size_bytes
        header.type = tarfile.DIRTYPE if member.content is None else tarfile.REGTYPE
        yield header.tobuf(tarfile.GNU_FORMAT)
        yield from member.content or ()
        if padding := -member.size_bytes % BLOCK:
            yield bytes(padding)
    yield END


def whole(members: Iterable[Member]) -> bytes:
    """The same for a few small files."""
    return b"".join(stream(members))
