from __future__ import annotations

import contextlib
import errno
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tars import make_tar

from bundler.collect.tarstream import FileSource, Kind, StreamSource, TarReader
from bundler.errors import SourceError

LONG = "/".join(["a-directory-with-a-rather-long-name"] * 6) + "/file"


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for place in range(0, len(data), size):
        yield data[place : place + size]


def contents(data: bytes, size: int = 700) -> dict[str, bytes]:
    reader = TarReader(StreamSource(pieces(data, size), "test"), "test")
    return {member.name: b"".join(reader.body()) for member in reader if member.kind is Kind.FILE}


@pytest.mark.parametrize("size", [1, 511, 512, 513, 100_000])
def test_reads_what_tarfile_writes_whatever_the_pieces(tar_format: int, size: int) -> None:
    files: dict[str, bytes | str | None] = {"a": b"", "b/c": b"x" * 512, "d": b"y" * 1500, "é": b"z"}
    if tar_format != tarfile.USTAR_FORMAT:
        files[LONG] = b"long"
    assert contents(make_tar(files, tar_format), size) == files


def test_a_body_that_is_not_read_is_skipped() -> None:
    reader = TarReader(StreamSource([make_tar({"a": b"x" * 5000, "b": b"second"})], "test"), "test")
    names = [member.name for member in reader]
    assert names == ["a", "b"]


def test_a_body_that_is_half_read_is_skipped() -> None:
    reader = TarReader(StreamSource(pieces(make_tar({"a": b"x" * 5000, "b": b"second"}), 100), "test"), "test")
    found = []
    for member in reader:
        body = reader.body()
        found.append((member.name, next(body)[:6]))
    assert found == [("a", b"xxxxxx"), ("b", b"second")]


def test_leading_dots_and_slashes_are_no_part_of_a_name() -> None:
    assert list(contents(make_tar({"./a": b"1", "/b": b"2", "./": None}))) == ["a", "b"]


def test_offsets_lead_to_the_body_in_a_file(tmp_path: Path, tar_format: int) -> None:
    data = make_tar({"a": b"first", "b": b"x" * 3000, "c": b"third"}, tar_format)
    (tmp_path / "t").write_bytes(data)
    fd = os.open(tmp_path / "t", os.O_RDONLY)
    try:
        members = {m.name: m for m in TarReader(FileSource(fd, "test"), "test")}
    finally:
        os.close(fd)
    third = members["c"]
    assert data[third.offset_bytes : third.offset_bytes + third.size_bytes] == b"third"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda data: data[:700], "ends too early"),
        (lambda data: data[:512], "ends too early"),
        (lambda data: b"", "ends too early"),
        (lambda data: b"not a tar archive at all" * 100, "not a tar archive"),
        (lambda data: data[:124] + b"99999999999\0" + data[136:], "not a tar archive"),
    ],
)
def test_what_is_no_archive_is_refused(change, expected: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SourceError, match=expected):
        contents(change(make_tar({"a": b"x" * 1000})))


def header_with(size: bytes, kind: bytes = b"0") -> bytes:
    block = bytearray(make_tar({"a": b""})[:512])
    block[124:136] = size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_a_size_beyond_all_reason_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SourceError, match="a member of"):
        contents(header_with(b"\x80" + b"\x7f" * 11))


def test_an_endless_name_is_refused() -> None:
    with pytest.raises(SourceError, match="extension header"):
        contents(header_with(b"00100000000\0", b"L") + bytes(1 << 20))


def test_sparse_members_are_refused() -> None:
    with pytest.raises(SourceError, match="sparse"):
        contents(header_with(b"00000000000\0", b"S") + bytes(1024))


def test_a_size_in_base_256_is_read() -> None:
    assert contents(header_with(b"\x80" + (5).to_bytes(11, "big")) + b"hello".ljust(512, b"\0") + bytes(1024)) == {
        "a": b"hello"
    }


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_has_no_body_has_none_whatever_its_size_says(kind: bytes) -> None:
    data = header_with(b"00000001000\0", kind) + make_tar({"b": b"second"})
    assert contents(data) == {"b": b"second"}


def test_a_disk_that_fails_is_a_source_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "t").write_bytes(make_tar({"a": b"x"}))
    with (tmp_path / "t").open("rb") as file:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(SourceError, match="test: reading failed: Input/output error"):
            list(TarReader(FileSource(file.fileno(), "test"), "test"))


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damage_anywhere_ends_in_a_refusal_or_in_members(chance: random.Random) -> None:
    data = bytearray(make_tar({"a": b"x" * 700, LONG: b"y", "c": "a"}))
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    with contextlib.suppress(SourceError):
        contents(bytes(data))
