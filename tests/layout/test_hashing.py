import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.layout.hashing import ParallelHash, read_ahead


@given(st.lists(st.binary(max_size=5000)))
def test_the_digest_is_that_of_all_pieces_in_order(pieces: list[bytes]) -> None:
    with ParallelHash() as hashing:
        for piece in pieces:
            hashing.update(piece)
        assert hashing.finish().hex == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    before = threading.active_count()

    def interrupted() -> None:
        with ParallelHash() as hashing:
            hashing.update(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    fd = os.open(path, os.O_RDONLY)
    chunks = read_ahead(fd, 0, 100_000, 1000)
    next(chunks)
    chunks.close()
    os.close(fd)
    assert threading.active_count() == before


@pytest.mark.parametrize(("offset", "size"), [(0, 100_000), (0, 0), (7, 99_000), (99_990, 10), (0, 200_000)])
def test_reading_ahead_gives_the_bytes_that_are_there(tmp_path: Path, offset: int, size: int) -> None:
    data = os.urandom(100_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert b"".join(read_ahead(fd, offset, size, 4096)) == data[offset : offset + size]
    finally:
        os.close(fd)


def test_an_error_while_reading_ahead_is_raised_to_the_reader() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        list(read_ahead(-1, 0, 100, 10))


@pytest.mark.timeout(20)
def test_whatever_fails_while_reading_ahead_is_raised_to_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(MemoryError):
        list(read_ahead(0, 0, 100, 10))
