"""The one form of tar that a bundle may have: POSIX ustar, every header a function of name and size.

Nothing here is lenient: a header is right when it is, byte for byte, the one that would be written. So there is
no other way to write a member, and nothing in a header that could hide something. Sizes of 8 GiB and more are
in base-256 (GNU tar, Go and Python write and read it), never in PAX records.
"""

from __future__ import annotations

import re

from bundler.model.oci import Digest

BLOCK_BYTES = 512
TRAILER = bytes(2 * BLOCK_BYTES)

OCI_LAYOUT = "oci-layout"
DOCKER_INDEX = "manifest.json"
INDEX = "index.json"
_BLOBS = "blobs/sha256/"

_NAME = re.compile(rb"(?:oci-layout|index\.json|manifest\.json|blobs/sha256/[0-9a-f]{64})\Z")
_OCTAL_LIMIT = 8**11
_SIZE_LIMIT = 1 << 62
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_AFTER_SIZE = b"%011o\0" % 0
_AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar\x0000" + bytes(512 - 157 - 100 - 8)


class TarFormError(ValueError):
    """The bytes are not a member's header in canonical form; says why."""


def blob_name(digest: Digest) -> str:
    return _BLOBS + digest.hex


def blob_digest(name: str) -> Digest | None:
    """The digest a blob's member is named by; None for the other members."""
    return Digest("sha256:" + name.removeprefix(_BLOBS)) if name.startswith(_BLOBS) else None


def padding_bytes(size_bytes: int) -> int:
    """How many zeros fill a member's last block."""
    return -size_bytes % BLOCK_BYTES


def header(name: str, size_bytes: int) -> bytes:
    """The 512 bytes before a member's body. ValueError for a name or size that no bundle has."""
    raw = name.encode("utf-8", "surrogateescape")
    if not _NAME.match(raw):
        raise ValueError(f"not a member of a bundle: {name[:120]!r}")
    if not 0 <= size_bytes < _SIZE_LIMIT:
        raise ValueError(f"not a size: {size_bytes}")
    size = b"%011o\0" % size_bytes if size_bytes < _OCTAL_LIMIT else b"\x80" + size_bytes.to_bytes(11, "big")
    before = raw.ljust(100, b"\0") + _BEFORE_SIZE + size + _AFTER_SIZE
    # The checksum is taken with eight spaces in its own place.
    checksum = sum(before) + 8 * 0x20 + sum(_AFTER_CHECKSUM)
    return before + b"%06o\0 " % checksum + _AFTER_CHECKSUM


def parse(block: bytes) -> tuple[str, int]:
    """Name and size of a canonical header; TarFormError for anything else."""
    if len(block) != BLOCK_BYTES:
        raise TarFormError("the file ends inside a header")
    raw = block[:100].rstrip(b"\0")
    if not _NAME.match(raw):
        name = raw.decode("utf-8", "replace")
        if not name or not name.isprintable() or "\ufffd" in name:
            raise TarFormError("where a member of a bundle begins, there is something else")
        raise TarFormError(f"no member of a bundle is named {name!r}")
    name = raw.decode("ascii")
    size_bytes = _size(block[124:136])
    if header(name, size_bytes) != block:
        raise TarFormError(f"the header of {name} is not in canonical form")
    return name, size_bytes


def _size(field: bytes) -> int:
    """The size a field says; whether it says it canonically is for the comparison to find."""
    if field[0] == 0x80:
        size_bytes = int.from_bytes(field[1:], "big")
    elif re.fullmatch(rb"[0-7]{11}\0", field):
        size_bytes = int(field[:11], 8)
    else:
        raise TarFormError(f"{field!r} is not a size")
    if size_bytes >= _SIZE_LIMIT:
        raise TarFormError(f"{size_bytes} bytes is not a size")
    return size_bytes
