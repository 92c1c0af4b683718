"""Images on disk: an OCI layout (`oci:./DIR[:TAG]`, or `./DIR` alone), the same in a tar
(`oci-archive:./FILE[:TAG]`), what `docker save` writes (`docker-archive:./FILE[:NAME]`), and a root of a file system
(`rootfs:./FILE`). Read in place, never unpacked.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from bundler.collect import manifests, rootfs
from bundler.collect.compression import decompressed
from bundler.collect.paths import SourceFile, SourceTree, open_file, shown
from bundler.collect.sources import ImageSource, Opener, OwnImage, OwnPart, UpstreamImage, upstream
from bundler.collect.tarstream import FileSource, Kind, Member, TarReader
from bundler.errors import SourceError
from bundler.layout import documents
from bundler.model.oci import INDEX, Descriptor, Digest, Platform

OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, ROOTFS = "oci", "oci-archive", "docker-archive", "rootfs"
REF_NAME = "org.opencontainers.image.ref.name"
MAX_LINKS = 8
MAX_MEMBERS, MAX_NAME = 65_536, 4_096  # they are kept in memory
_PATHS = ("./", "../", "/")


def transport(image: str) -> tuple[str, str] | None:
    """How and where an `image:` lies on disk; None for one that is a name (`oci:x` is image `oci` with the tag `x`)."""
    for prefix in (OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, ROOTFS):
        path = image.removeprefix(f"{prefix}:")
        if path != image and path.startswith(_PATHS):
            return prefix, path
    return (OCI, image) if image.startswith(_PATHS) else None


def split_tag(tree: SourceTree, text: str) -> tuple[str, str | None]:
    """Path and tag (or name, which may hold colons itself) of `PATH[:TAG]`."""
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        path = ":".join(parts[:count])
        if tree.has(path):
            return path, ":".join(parts[count:]) or None
    path, _, tag = text.partition(":")
    return path, tag or None


def find(
    tree: SourceTree, source: ImageSource, platforms: Sequence[Platform], stack: ExitStack, version: str = ""
) -> tuple[OwnImage | UpstreamImage, Mapping[Digest, Opener]]:
    """The image, and how to read its layers. `stack` closes the files; `version` is of the Python that a rootfs has."""
    kind, text = transport(source.image or "") or (OCI, "")
    path, tag = split_tag(tree, text)
    real = tree.locate(path, source.what)
    if kind == OCI:
        if not (real / "oci-layout").is_file():
            raise SourceError(f"{source.what}: not an OCI layout: there is no oci-layout in it")
        return _from_layout(source, _Directory(real, source.what), tag, platforms)
    file = tree.file(real, path, source.what)
    fd = open_file(file, source.what)
    stack.callback(os.close, fd)
    if kind == ROOTFS:
        return rootfs.read(source, lambda: FileSource(fd, source.what).pieces(file.size_bytes), version, platforms)
    archive = _Archive(fd, source.what)
    if kind == OCI_ARCHIVE:
        return _from_layout(source, archive, tag, platforms)
    return _from_docker(source, archive, tag, platforms)


class _Files(Protocol):
    """Named files of a layout."""

    def size(self, name: str) -> int: ...

    def pieces(self, name: str) -> Iterator[bytes]: ...


class _Directory:
    def __init__(self, root: Path, what: str) -> None:
        self._tree = SourceTree(root)
        self._what = what

    def size(self, name: str) -> int:
        return self._file(name).size_bytes

    def pieces(self, name: str) -> Iterator[bytes]:
        file = self._file(name)
        fd = open_file(file, self._what)
        try:
            yield from FileSource(fd, self._what).pieces(file.size_bytes)
        finally:
            os.close(fd)

    def _file(self, name: str) -> SourceFile:
        return self._tree.file(self._tree.locate(name, self._what), name, self._what)


class _Archive:
    def __init__(self, fd: int, what: str) -> None:
        self._fd = fd
        self._what = what
        self._members: dict[str, Member] = {}
        for member in TarReader(FileSource(fd, what), what):
            self._members[member.name] = member
            if len(self._members) > MAX_MEMBERS or len(member.name) > MAX_NAME:
                raise SourceError(f"{what}: not an archive of images: too many members, or endless names")

    def size(self, name: str) -> int:
        return self._member(name).size_bytes

    def pieces(self, name: str) -> Iterator[bytes]:
        member = self._member(name)
        source = FileSource(self._fd, self._what, offset_bytes=member.offset_bytes, size_bytes=member.size_bytes)
        return source.pieces(member.size_bytes)

    def _member(self, name: str) -> Member:
        """The file by that name, links of older `docker save` followed inside the archive."""
        for _ in range(MAX_LINKS):
            member = self._members.get(posixpath.normpath(name))
            if member is None:
                break
            if member.kind is Kind.FILE:
                return member
            if member.kind is Kind.SYMLINK:
                name = posixpath.join(posixpath.dirname(member.name), member.target)
            elif member.kind is Kind.HARDLINK:
                name = member.target
            else:
                break
        raise SourceError(f"{self._what}: {shown(name)} is not in the archive")


class _LayoutBlobs:
    """A `sources.Blobs`."""

    def __init__(self, files: _Files, what: str) -> None:
        self._files = files
        self._what = what

    def document(self, wanted: Descriptor) -> bytes:
        data = _small(self._files, f"blobs/sha256/{wanted.digest.hex}", self._what)
        if Digest.of(data) != wanted.digest or len(data) != wanted.size_bytes:
            raise SourceError(f"{self._what}: {wanted.digest} is damaged")
        return data

    def layer(self, wanted: Descriptor) -> Iterator[bytes]:
        name = f"blobs/sha256/{wanted.digest.hex}"
        if self._files.size(name) != wanted.size_bytes:
            raise SourceError(f"{self._what}: {wanted.digest} is damaged: its size is another")
        return self._files.pieces(name)


def _from_layout(
    source: ImageSource, files: _Files, tag: str | None, platforms: Sequence[Platform]
) -> tuple[OwnImage | UpstreamImage, Mapping[Digest, Opener]]:
    listed = manifests.index(_small(files, "index.json", source.what), INDEX, source.what).manifests
    named = [entry for entry in listed if tag is None or entry.annotations.get(REF_NAME) == tag]
    blobs = _LayoutBlobs(files, source.what)
    if len({entry.digest for entry in named}) != 1:
        tags = sorted({entry.annotations.get(REF_NAME, "(no tag)") for entry in listed})
        raise SourceError(
            f"{source.what}: {len(named) or 'no'} images{f' with the tag {shown(tag)}' if tag else ''}",
            hint=f"name one by PATH:TAG; there are: {', '.join(shown(t) for t in tags)}",
        )
    top = Descriptor(named[0].media_type, named[0].digest, named[0].size_bytes)
    image = upstream(source, top, blobs.document(top), blobs, platforms)
    return image, image.openers()


def _from_docker(
    source: ImageSource, archive: _Archive, name: str | None, platforms: Sequence[Platform]
) -> tuple[OwnImage | UpstreamImage, Mapping[Digest, Opener]]:
    what = source.what
    listed = b'{"images":' + _small(archive, "manifest.json", what) + b"}"
    with manifests.refusing():
        entries = [
            documents.as_object(entry, what)
            for entry in documents.as_list(manifests.json_object(listed, what)["images"], what)
        ]
    named = [entry for entry in entries if name is None or name in _texts(entry.get("RepoTags"))]
    if len(named) != 1:
        there = sorted(tag for entry in entries for tag in _texts(entry.get("RepoTags")))
        raise SourceError(
            f"{what}: {len(named) or 'no'} images{f' with the name {shown(name)}' if name else ''}",
            hint=f"name one by FILE:NAME; there are: {', '.join(shown(t) for t in there) or 'only nameless ones'}",
        )
    config = _small(archive, str(named[0].get("Config")), what)
    parsed = manifests.image_config(config, what)
    layers = _texts(named[0].get("Layers"))
    if len(layers) != len(parsed.diff_ids):
        raise SourceError(f"{what}: {len(layers)} layers, and {len(parsed.diff_ids)} of them in the config")
    if len(platforms) != 1 or not manifests.serves(parsed.platform, platforms[0]):
        raise SourceError(f"{what}: it is for {parsed.platform}, not for {', '.join(map(str, platforms))}")

    def opener(layer: str) -> Opener:
        return lambda: decompressed(archive.pieces(layer), what)

    part = OwnPart(parsed.platform, parsed.diff_ids, parsed.user, config)
    return OwnImage(source, (part,)), dict(zip(parsed.diff_ids, map(opener, layers), strict=True))


def _small(files: _Files, name: str, what: str) -> bytes:
    size = files.size(name)
    if size > manifests.MAX_DOCUMENT_BYTES:
        raise SourceError(f"{what}: {shown(name)} has {size:,} bytes; the limit is {manifests.MAX_DOCUMENT_BYTES:,}")
    return b"".join(files.pieces(name))


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
