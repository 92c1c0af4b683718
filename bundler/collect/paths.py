"""Which files of the disk a graph may name, and how they are opened.

Everything that a graph names lies inside the directory of its `bundle.yaml`: no absolute path, no `..`,
and no symbolic link out of it (reliability.md H76). A link to a regular file inside is followed; so is
one that stays within the same Hugging Face cache repository (`models--*/snapshots/…` -> `models--*/blobs/…`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundler.errors import SourceError

MAX_FILES = 100_000
MAX_DEPTH = 64
TICK_NS = 10_000_000  # a file changed within the file system's clock's granularity may change again under one time


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file as it was when looked at. `path` is what the bundle calls it, relative, with `/`;
    `real` is where it lies, links resolved."""

    path: str
    real: Path
    size_bytes: int
    mtime_ns: int
    inode: int
    ctime_ns: int = 0

    @property
    def stamp(self) -> list[str | int]:
        """What is compared to see whether the file changed. `ctime_ns` shows changes that put the old time back."""
        return [self.path, str(self.real), self.size_bytes, self.mtime_ns, self.inode, self.ctime_ns]


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The directory of a graph file, its links resolved."""

    root: Path

    def locate(self, text: str, what: str) -> Path:
        """The file or directory that the graph calls `text`. SourceError, which begins with `what`, where it
        is not there or lies elsewhere."""
        pure = PurePosixPath(text)
        if not text or "\0" in text:
            raise SourceError(f"{what}: not a path: {shown(text)}")
        if pure.is_absolute() or text.startswith("~"):
            raise SourceError(
                f"{what}: {shown(text)} is not relative to the graph's directory",
                hint="a graph names only files beside or below its bundle.yaml; copy or hard-link them there",
            )
        if ".." in pure.parts:
            raise SourceError(
                f"{what}: {shown(text)} leads out of the graph's directory",
                hint="a graph names only files beside or below its bundle.yaml",
            )
        path = self.root / pure
        try:
            real = path.resolve(strict=True)
        except FileNotFoundError:
            raise SourceError(f"{what}: {shown(text)} is not there", hint=f"looked in {self.root}") from None
        except (OSError, RuntimeError) as error:
            raise SourceError(f"{what}: {shown(text)} cannot be read: {_why(error)}") from error
        if not real.is_relative_to(self.root):
            raise SourceError(f"{what}: {shown(text)} is a link out of the graph's directory, to {real}")
        return real

    def has(self, text: str) -> bool:
        """Whether something of that name is there, wherever it leads."""
        try:
            return bool(text) and (self.root / text).exists()
        except (OSError, ValueError):
            return False

    def file(self, real: Path, path: str, what: str) -> SourceFile:
        """A file already located, by the name it gets."""
        return _look(real, path, what)

    def walk(
        self,
        top: Path,
        what: str,
        *,
        skip: frozenset[str] = frozenset(),
        left_out: Callable[[Path, str], bool] = lambda directory, name: False,
    ) -> Iterator[SourceFile]:
        """Every regular file below the directory `top`, sorted by path. `skip` are paths left out, `left_out` says
        of the others, by directory and name, whether they are."""
        found: list[SourceFile] = []
        repository = _cache_repository(top)
        for path, entry_path in _entries(top, what, skip, left_out):
            real = entry_path
            if entry_path.is_symlink():
                real = self._follow(entry_path, path, repository, what)
            found.append(_look(real, path, what))
            if len(found) > MAX_FILES:
                raise SourceError(f"{what}: more than {MAX_FILES:,} files")
        yield from sorted(found, key=lambda file: file.path)

    def _follow(self, link: Path, path: str, repository: Path | None, what: str) -> Path:
        try:
            real = link.resolve(strict=True)
            regular = stat.S_ISREG(real.stat().st_mode)
        except (OSError, RuntimeError) as error:
            raise SourceError(f"{what}: the link {shown(path)} leads nowhere: {_why(error)}") from error
        inside = real.is_relative_to(self.root) or (repository is not None and real.is_relative_to(repository))
        if not inside:
            raise SourceError(
                f"{what}: {shown(path)} is a link out of the graph's directory, to {real}",
                hint="replace it by the file itself",
            )
        if not regular:
            raise SourceError(f"{what}: {shown(path)} is a link to something that is not a regular file")
        return real


def open_file(file: SourceFile, what: str) -> int:
    """A descriptor of exactly the file that was looked at. The caller closes it."""
    try:
        fd = os.open(file.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(f"{what}: {shown(file.path)} cannot be read: {_why(error)}") from error
    try:
        require_unchanged(fd, file, what)
    except BaseException:
        os.close(fd)
        raise
    return fd


def require_unchanged(fd: int, file: SourceFile, what: str) -> None:
    """SourceError where the open file is not as it was when looked at."""
    now = os.fstat(fd)
    if not stat.S_ISREG(now.st_mode) or (now.st_size, now.st_mtime_ns, now.st_ino) != (
        file.size_bytes,
        file.mtime_ns,
        file.inode,
    ):
        raise SourceError(
            f"{what}: {shown(file.path)} changed while it was being read",
            hint="wait until nothing writes to it, then build again",
        )


def read_file(file: SourceFile, what: str, *, limit_bytes: int) -> bytes:
    """The bytes of a small file."""
    if file.size_bytes > limit_bytes:
        raise SourceError(f"{what}: {shown(file.path)} has {file.size_bytes:,} bytes; the limit is {limit_bytes:,}")
    fd = open_file(file, what)
    try:
        data = b""
        while len(data) <= limit_bytes and (piece := read_piece(fd, limit_bytes + 1 - len(data), file, what)):
            data += piece
        require_unchanged(fd, file, what)
    finally:
        os.close(fd)
    if len(data) != file.size_bytes:
        raise SourceError(f"{what}: {shown(file.path)} changed while it was being read")
    return data


def settled(changed_ns: int) -> bool:
    """Wait until a file changed at this time would get another time if it changed again: then a stamp taken before
    and what is read from now on belong together. False where that is not soon (the clock was set back)."""
    wait_ns = changed_ns + TICK_NS - time.time_ns()
    if 0 < wait_ns <= TICK_NS:
        time.sleep(wait_ns / 1e9)
    return wait_ns <= TICK_NS


def read_piece(fd: int, size_bytes: int, file: SourceFile, what: str) -> bytes:
    """At most so many of the next bytes of an open file."""
    try:
        return os.read(fd, size_bytes)
    except OSError as error:
        raise SourceError(f"{what}: {shown(file.path)} cannot be read: {_why(error)}") from error


def shown(text: str) -> str:
    """A name from outside as it may be printed: control and invisible characters escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    """A byte of a name that is not UTF-8 as that byte."""
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "replace").decode("ascii")


def _look(real: Path, path: str, what: str) -> SourceFile:
    try:
        path.encode("utf-8")
        now = real.lstat()
    except UnicodeEncodeError:
        raise SourceError(f"{what}: the name {shown(path)} is not UTF-8", hint="rename the file") from None
    except OSError as error:
        raise SourceError(f"{what}: {shown(path)} cannot be read: {_why(error)}") from error
    if not stat.S_ISREG(now.st_mode):
        raise SourceError(f"{what}: {shown(path)} is not a regular file")
    return SourceFile(path, real, now.st_size, now.st_mtime_ns, now.st_ino, now.st_ctime_ns)


def _entries(
    top: Path, what: str, skip: frozenset[str], left_out: Callable[[Path, str], bool]
) -> Iterator[tuple[str, Path]]:
    """Relative path and place of everything below `top` that is not a directory; links are not followed."""
    pending = [("", top)]
    while pending:
        prefix, directory = pending.pop()
        if prefix.count("/") > MAX_DEPTH:
            raise SourceError(f"{what}: directories nest deeper than {MAX_DEPTH}")
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if path in skip or left_out(directory, entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((path + "/", Path(entry.path)))
                    else:
                        yield path, Path(entry.path)
        except OSError as error:
            raise SourceError(f"{what}: {shown(prefix) or directory} cannot be read: {_why(error)}") from error


def _cache_repository(top: Path) -> Path | None:
    """The Hugging Face cache repository whose snapshot `top` is or lies in."""
    parts = top.parts
    for place in range(len(parts) - 2, 0, -1):
        if parts[place].startswith("models--") and parts[place + 1] == "snapshots":
            return Path(*parts[: place + 1])
    return None


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
