"""The one place that puts files in place: a reader finds the old bytes or the new ones, never half of either.

Temporary file in the same directory, fsync, rename, fsync of the directory. A temporary file is locked while
its writer lives; what a killed writer left is swept by the next one for the same path.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from bundler.errors import BundleError, SourceError, StoppedError, UsageError, typed

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_FLUSH_BYTES = 32 << 20
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LEAVE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_OTHERWISE = "name another place, or change its rights"


def failure(error: OSError, path: Path, doing: str) -> BundleError:
    """The error to raise for a failed write: no room is StoppedError, anything else UsageError."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoppedError(f"{path}: {doing} failed: {reason}", hint="free some space and run the same command again")
    return UsageError(f"{path}: {doing} failed: {reason}", hint=_OTHERWISE if error.errno in _NO_LEAVE else None)


def require_writable(directory: Path) -> None:
    """UsageError where no file can be put into `directory`."""
    if not directory.exists():
        raise UsageError(f"there is no directory {directory}", hint=f"make it: mkdir -p {typed(directory)}")
    if not directory.is_dir():
        raise UsageError(f"{directory} is no directory", hint="name another place")
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise UsageError(f"nothing can be written into {directory}", hint=_OTHERWISE)


def open_regular(path: Path, *, as_error: type[BundleError] = SourceError) -> int:
    """A descriptor to read a regular file, or one a symbolic link leads to; never waits on a FIFO.

    SourceError where it cannot be opened, `as_error` where it is something else.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror or error}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise as_error(f"{path}: not a regular file")
    return fd


def sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def private_directory(directory: Path) -> Path:
    """Make `directory` (0700) where it is missing; refuse one that others could write to or own."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise failure(error, directory, "making the directory") from error
    check_private(directory)
    return directory


def check_private(path: Path, *, secret: bool = False, as_error: type[BundleError] = UsageError) -> None:
    """`as_error` where somebody else owns `path` or could write to it, or read what is `secret`."""
    found = path.stat()
    if found.st_mode & _OTHERS_WRITE:
        raise as_error(
            f"{path}: others can write to it (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"see that nobody changed what is in it, then: chmod go-w {typed(path)}",
        )
    if secret and found.st_mode & _OTHERS_READ:
        raise as_error(
            f"{path}: others can read it (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"if nobody has read it: chmod 600 {typed(path)}; else make another key",
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise as_error(f"{path}: belongs to user {found.st_uid}, not to you")


def write_atomic(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace or make `path` with `data`; mode 0600 where `private`, else what the umask leaves."""
    with AtomicFile(path, private=private) as file:
        file.write(data)
        file.commit()


def replace_text(path: Path, before: str, text: str) -> None:
    """Write a text file of the user's anew, in UTF-8, with the mode that it had. UsageError where it is no longer what
    `before` says: of several commands at once none undoes what another did."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(folder, fcntl.LOCK_EX)
        if path.read_bytes() != before.encode("utf-8"):
            raise UsageError(f"{path} was changed meanwhile, and stays as it is now", hint="run the same command again")
        mode = stat.S_IMODE(path.stat().st_mode)
        with AtomicFile(path) as file:
            file.write(text.encode("utf-8"))
            file.commit(mode=mode)
    finally:
        os.close(folder)


def create_private(path: Path, data: bytes) -> None:
    """Make `path` with mode 0600; FileExistsError where it is there already. Nobody finds half of it."""
    with AtomicFile(path, private=True) as file:
        file.write(data)
        file.commit(replace=False)


class AtomicFile:
    """A file being written beside its place. `fd` may be written, read and positioned freely.

    Leaving the block without `commit` removes it. What stands at `path` must be a regular file or nothing; a
    symbolic link is followed, so that the file it leads to is replaced.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self._private = private
        self._temporary: Path | None = None
        self._flusher: _Flusher | None = None
        self._unflushed_bytes = 0
        self.fd = -1

    def __enter__(self) -> Self:
        require_writable(self.path.parent)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise UsageError(f"{self.path}: is there and not a regular file")
        _sweep(self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while self._temporary is None:
            temporary = self.path.with_name(f"{_prefix(self.path)}{secrets.token_hex(8)}.part")
            try:
                self.fd = os.open(temporary, flags, 0o600)
                self._temporary = temporary
                fcntl.flock(self.fd, fcntl.LOCK_EX)
            except OSError as error:
                self.__exit__(None, None, None)
                raise failure(error, self.path, "making a file there") from error
            except BaseException:
                self.__exit__(None, None, None)
                raise
            if os.fstat(self.fd).st_nlink == 0:  # another writer swept it before it was locked
                self.__exit__(None, None, None)
        return self

    def write(self, data: bytes | memoryview) -> None:
        """All of `data`, at the file's position."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            raise failure(error, self.path, "writing") from error
        self._unflushed_bytes += len(data)
        if self._unflushed_bytes >= _FLUSH_BYTES:
            self._unflushed_bytes = 0
            self._flusher = self._flusher or _Flusher(self.fd)
            self._flusher.flush()

    def write_at(self, data: bytes, offset_bytes: int) -> None:
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self.fd, rest, offset_bytes)
                rest, offset_bytes = rest[written:], offset_bytes + written
        except OSError as error:
            raise failure(error, self.path, "writing") from error

    def commit(self, *, replace: bool = True, mode: int | None = None) -> None:
        """Make it last, and put it in place; `mode`: unless it is what the umask leaves."""
        if self._temporary is None:
            raise ValueError("nothing to put in place")
        try:
            if self._flusher is not None:
                self._flusher.finish()
            if not self._private:
                os.fchmod(self.fd, 0o666 & ~_umask() if mode is None else mode)
            os.fsync(self.fd)
            if replace:
                self._temporary.replace(self.path)
            else:
                os.link(self._temporary, self.path)
                self._temporary.unlink()
            self._temporary = None
            sync_directory(self.path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise failure(error, self.path, "putting it in place") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flusher is not None:
            self._flusher.close()
            self._flusher = None
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class _Flusher:
    """Has the disk write while the next bytes are made, so that the `fsync` at the end has little left to do.

    Linux tells a failed write to one `fsync` only, so an error met here is raised by `finish`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._wanted = threading.Event()
        self._closing = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="flush", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        self._wanted.set()

    def finish(self) -> None:
        """End the thread and raise the OSError it met."""
        self.close()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while self._wanted.wait() and not self._closing:
            self._wanted.clear()
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._error = error
                return


def _prefix(path: Path) -> str:
    """Names of temporary files; cut, because a name has at most 255 bytes."""
    return f".{os.fsdecode(os.fsencode(path.name)[:200])}."


def _sweep(path: Path) -> None:
    """Remove what killed writers of `path` left: temporary files that nobody holds locked."""
    prefix = _prefix(path)
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError as error:
        raise failure(error, path, "reading the directory") from error
    for name in names:
        if not (name.startswith(prefix) and name.endswith(".part") and len(name) == len(prefix) + 16 + 5):
            continue
        with contextlib.suppress(OSError):
            fd = os.open(path.with_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.with_name(name).unlink()
            finally:
                os.close(fd)


def _umask() -> int:
    """The process's umask, read without changing it where Linux shows it (os.umask is not thread-safe)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
