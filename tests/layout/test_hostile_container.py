"""The hostile inputs of reliability section A: the tar around a bundle."""

from __future__ import annotations

import importlib
import io
import tarfile
from pathlib import Path

import pytest
import sample
from forgery import raw
from refusing import forged, refused

from bundler.layout.archive import MAX_MEMBERS, ArchiveReader
from bundler.layout.tar import DOCKER_INDEX, INDEX, OCI_LAYOUT, TRAILER, header


def with_member(tmp_path: Path, entry: tarfile.TarInfo, body: bytes = b"") -> Path:
    """A genuine bundle with a member of Python's making in front."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    genuine = sample.smallest().write(tmp_path / "genuine").read_bytes()
    path = tmp_path / "b"
    path.write_bytes(buffer.getvalue()[: -(-len(buffer.getvalue().rstrip(b"\0")) // 512 * 512)] + genuine)
    return path


# --- A: the container


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/../../x", "/etc/passwd", "//x", "./", "", "./index.json", "INDEX.JSON", "a\\b", "CON", "x\x1b[2J",
     "blobs/sha256/../../x", "x" * 5000, "oci-layout/", "a\nb"],
)  # fmt: skip
def test_h01_h02_h07_h10_h11_names(tmp_path: Path, name: str) -> None:
    refused(with_member(tmp_path, tarfile.TarInfo(name), b"x"))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "blobs"),
        (tarfile.LNKTYPE, "index.json"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.DIRTYPE, ""),
        (tarfile.GNUTYPE_SPARSE, ""),
        (tarfile.CONTTYPE, ""),
    ],
)
def test_h03_to_h06_h08_h12_kinds(tmp_path: Path, kind: bytes, target: str) -> None:
    entry = tarfile.TarInfo("oci-layout")
    entry.type, entry.linkname = kind, target
    refused(with_member(tmp_path, entry))


@pytest.mark.parametrize(
    "headers", [{"path": "index.json"}, {"size": "1"}, {"comment": "x\0y"}, {"SCHILY.xattr.a": "b"}]
)
def test_h11_pax_records(tmp_path: Path, headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("oci-layout")
    entry.pax_headers = headers
    refused(with_member(tmp_path, entry))


@pytest.mark.parametrize("mode", [0, 0o600, 0o755, 0o4755, 0o2644, 0o1644, 0o777])
def test_h08_modes(tmp_path: Path, mode: int) -> None:
    entry = tarfile.TarInfo("oci-layout")
    entry.mode = mode
    refused(with_member(tmp_path, entry))


@pytest.mark.parametrize("name", [OCI_LAYOUT, INDEX, DOCKER_INDEX, "blob"])
def test_h09_a_member_twice(tmp_path: Path, name: str) -> None:
    forgery = forged(tmp_path)
    members = forgery.in_order()
    twice = members[3] if name == "blob" else (name, forgery.members[name])
    (tmp_path / "b").write_bytes(raw([*members, twice]))
    refused(tmp_path / "b", "two members are named")


@pytest.mark.parametrize(
    "size", [b"-0000000001\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"garbage!\0\0\0\0"]
)
def test_h13_sizes(tmp_path: Path, size: bytes) -> None:
    block = bytearray(header(OCI_LAYOUT, 0))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "b").write_bytes(bytes(block) + TRAILER)
    refused(tmp_path / "b")


def test_h14_members_without_end(tmp_path: Path) -> None:
    path = tmp_path / "b"
    with path.open("wb") as file:
        for place in range(MAX_MEMBERS + 1):
            file.write(header(f"blobs/sha256/{place:064x}", 0))
        file.write(TRAILER)
    refused(path, f"more than {MAX_MEMBERS} members")


@pytest.mark.parametrize(
    "end",
    [b"", bytes(512), bytes(1023), bytes(1025), bytes(1536), bytes(10240), TRAILER + b"x", bytes(512) + b"x" * 512],
    ids=len,
)
def test_h15_the_end(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "b").write_bytes(raw(forged(tmp_path).in_order(), end))
    refused(tmp_path / "b")


def test_h15_a_second_archive_behind(tmp_path: Path) -> None:
    genuine = sample.smallest().write(tmp_path / "genuine").read_bytes()
    (tmp_path / "b").write_bytes(genuine + genuine)
    refused(tmp_path / "b")
    (tmp_path / "b").write_bytes(genuine[:-1024] + genuine)
    refused(tmp_path / "b", "two members")


def test_h17_truncated_around_every_member(tmp_path: Path) -> None:
    genuine = sample.smallest().write(tmp_path / "genuine", sample.key())
    data = genuine.read_bytes()
    with ArchiveReader(genuine) as reader:
        places = {0, len(data)}
        for member in reader.members.values():
            places |= {member.offset_bytes - 512, member.offset_bytes, member.offset_bytes + member.size_bytes}
            places |= {member.end_bytes}
    cut = tmp_path / "cut"
    for place in sorted({p + step for p in places for step in (-1, 0, 1)} & set(range(len(data)))):
        cut.write_bytes(data[:place])
        refused(cut)


@pytest.mark.parametrize("compress", ["gzip", "bz2", "lzma"])
def test_h18_a_compressed_bundle_is_not_one(tmp_path: Path, compress: str) -> None:
    genuine = sample.smallest().write(tmp_path / "genuine").read_bytes()
    (tmp_path / "b").write_bytes(importlib.import_module(compress).compress(genuine))
    refused(tmp_path / "b", "neither a bundle nor a library")
