import os
import stat
from pathlib import Path

import pytest

from bundler.edges.files import (
    AtomicFile,
    check_private,
    create_private,
    open_regular,
    private_directory,
    sync_directory,
    write_atomic,
)
from bundler.errors import SourceError, TrustError, UsageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one")

    def fail() -> None:
        with AtomicFile(path) as file:
            file.write(b"two")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_private_files_are_the_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_atomic(tmp_path / "a", b"", private=True)
        create_private(tmp_path / "b", b"")
        write_atomic(tmp_path / "c", b"")
    finally:
        os.umask(old)
    assert [mode(tmp_path / name) for name in "abc"] == [0o600, 0o600, 0o666]


def test_a_private_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    create_private(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        create_private(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_names_of_any_length_can_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("x" * 255), b"long")
    write_atomic(tmp_path / ("é" * 120), b"long")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_private_directory_is_made_and_checked(tmp_path: Path) -> None:
    directory = private_directory(tmp_path / "a" / "b")
    assert mode(directory) == 0o700
    directory.chmod(0o777)
    with pytest.raises(UsageError, match="others can write"):
        private_directory(directory)
    with pytest.raises(TrustError):
        check_private(directory, as_error=TrustError)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        private_directory(tmp_path / "file" / "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_somebody_else_is_not_private(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to user 12345"):
        check_private(tmp_path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file"):
        open_regular(tmp_path / "pipe")
    with pytest.raises(TrustError):
        open_regular(tmp_path, as_error=TrustError)
    with pytest.raises(SourceError, match="No such file"):
        open_regular(tmp_path / "missing")
    sync_directory(tmp_path)
