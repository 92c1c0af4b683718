"""A file system's root in a tar (`rootfs:./FILE`), as `docker export` and mmdebstrap write it, for Python projects.
One pass over its members; nothing is unpacked.

Such a file says nothing of itself. Its platform is the one that its Python is a program for, its PATH the usual one,
which `pythonimage` states.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bundler.collect import manifests
from bundler.collect.compression import decompressed
from bundler.collect.pythonimage import PATH
from bundler.collect.sources import ImageSource, Opener, OwnImage, OwnPart
from bundler.collect.tarstream import Kind, StreamSource, TarReader
from bundler.errors import SourceError
from bundler.layout import strictjson
from bundler.model.oci import Digest, Platform

MAX_KEPT = 64 << 20  # characters of names
MAX_LINKS = 40  # as many as Linux follows
_ELF, _HEAD_BYTES = b"\x7fELF", 20
# Of 64 bits, by byte order (1: little) and machine: System V gABI, "ELF Header".
_MACHINES = {(1, 62): "amd64", (1, 183): "arm64", (1, 21): "ppc64le", (2, 22): "s390x", (1, 243): "riscv64"}
_WANTED = (
    "rootfs: wants the tar of a file system's root, plain, gzip or zstd, as `docker export` and mmdebstrap write it"
)
_PYTHON = re.compile(r"python3\.[0-9]+")
_MUSL = "etc/alpine-release"
_IMAGES = {"oci-layout": "oci-archive", "manifest.json": "docker-archive"}  # what other archives begin with


@dataclass(slots=True)
class _Contents:
    """`programs` are the heads of ELF files and `links` the targets of symbolic links, by path; `marks` are files that
    tell what this is."""

    programs: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)


def read(
    source: ImageSource, pieces: Callable[[], Iterator[bytes]], version: str, platforms: Sequence[Platform]
) -> tuple[OwnImage, Mapping[Digest, Opener]]:
    """An image of one layer, the tar as it is without its compression, and how to read that. SourceError where no
    Python of this `version` is on its PATH, or one for another platform."""
    what = source.what

    def plain() -> Iterator[bytes]:
        return decompressed(pieces(), what)

    try:
        digest, contents = _scan(plain(), what)
    except SourceError as error:
        raise SourceError(error.what, hint=error.hint or _WANTED) from error
    platform = _platform(contents, version, what)
    if len(platforms) != 1 or not manifests.serves(platform, platforms[0]):
        raise SourceError(
            f"{what}: it is for {platform}, not for {', '.join(map(str, platforms))}", hint=f"--platform {platform}"
        )
    config = strictjson.canonical(
        {
            "architecture": platform.architecture,
            "os": platform.os,
            "rootfs": {"type": "layers", "diff_ids": [digest.text]},
        }
    )
    return OwnImage(source, (OwnPart(platform, (digest,), "", config),)), {digest: plain}


def _scan(plain: Iterator[bytes], what: str) -> tuple[Digest, _Contents]:
    """The digest of the whole and what matters of its members; the last of one name counts."""
    digest, found, kept = hashlib.sha256(), _Contents(), 0

    def heard() -> Iterator[bytes]:
        for piece in plain:
            digest.update(piece)
            yield piece

    source = StreamSource(heard(), what)
    reader = TarReader(source, what)
    for member in reader:
        name = member.name
        found.programs.pop(name, None)
        found.links.pop(name, None)
        if name in (_MUSL, *_IMAGES):
            found.marks.add(name)
        head = _head(reader) if member.kind is Kind.FILE else b""
        if member.kind is Kind.HARDLINK:
            head = found.programs.get(posixpath.normpath(member.target.lstrip("/")), b"")
        if member.kind is Kind.SYMLINK:
            found.links[name] = member.target
        elif head.startswith(_ELF) and len(head) == _HEAD_BYTES:
            found.programs[name] = head
        else:
            continue
        kept += len(name) + len(member.target)
        if kept > MAX_KEPT:
            raise SourceError(f"{what}: no root of a file system: too many links and programs, or endless names")
    source.drain()
    return Digest(f"sha256:{digest.hexdigest()}"), found


def _head(reader: TarReader) -> bytes:
    head = b""
    for piece in reader.body():
        head += piece[:_HEAD_BYTES]
        if len(head) >= _HEAD_BYTES:
            break
    return head[:_HEAD_BYTES]


def _platform(contents: _Contents, version: str, what: str) -> Platform:
    """What the Python on the PATH is a program for."""
    if _MUSL in contents.marks:
        raise SourceError(
            f"{what}: it is an Alpine Linux, which has musl, and wheels are chosen for glibc",
            hint="take the root of a Debian, Ubuntu or Fedora",
        )
    head = _on_path(contents, f"python{version}")
    if head is None:
        if image := next((name for name in _IMAGES if name in contents.marks), None):
            raise SourceError(f"{what}: it holds images", hint=f"write {_IMAGES[image]}:./FILE")
        names = {path.rpartition("/")[2] for path in (*contents.programs, *contents.links)}
        there = sorted(name for name in names if _PYTHON.fullmatch(name) and _on_path(contents, name) is not None)
        raise SourceError(
            f"{what}: no program python{version} is on its PATH, {PATH}",
            hint=f'it has {", ".join(there)}: write version: "{there[0].removeprefix("python")}"'
            if there
            else "make it with one: mmdebstrap --include=python3 bookworm base.tar",
        )
    order = head[5]
    machine = int.from_bytes(head[18:20], "little" if order == 1 else "big")
    architecture = _MACHINES.get((order, machine)) if head[4] == 2 else None  # 2: of 64 bits
    if architecture is None:
        raise SourceError(
            f"{what}: nothing is known of the machine that its python{version} is for (ELF machine {machine})",
            hint=f"there are: {', '.join(sorted(_MACHINES.values()))}",
        )
    return Platform("linux", architecture)


def _on_path(contents: _Contents, name: str) -> bytes | None:
    """The head of a program."""
    real = (_resolved(f"{directory}/{name}", contents.links) for directory in PATH.split(":"))
    return next((contents.programs[path] for path in real if path in contents.programs), None)


def _resolved(path: str, links: Mapping[str, str]) -> str:
    """Where a path leads in there; nowhere ("") after too many links."""
    left, followed = path.split("/")[::-1], 0
    at: list[str] = []
    while left:
        part = left.pop()
        if part == "..":
            del at[-1:]
        elif part not in ("", "."):
            at.append(part)
            if (target := links.get("/".join(at))) is not None:
                followed += 1
                if followed > MAX_LINKS:
                    return ""
                del at[0 if target.startswith("/") else -1 :]
                left += reversed(target.split("/"))
    return "/".join(at)
