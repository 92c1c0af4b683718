"""Other programs: argument lists only, never a shell line."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundleError, TargetError

_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Finished:
    returncode: int
    stdout: bytes
    stderr: bytes


def find(program: str, *, hint: str, as_error: type[BundleError] = TargetError) -> str:
    """The absolute path of a program on PATH; never one in the current directory by a relative entry."""
    found = _which(program)
    if found is None:
        raise as_error(f"{program} is not installed", hint=hint)
    return found


def has(program: str) -> bool:
    """Whether `find` would find it."""
    return _which(program) is not None


def _which(program: str) -> str | None:
    entries = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(entry).is_absolute()]
    return shutil.which(program, path=os.pathsep.join(entries))


def identity() -> str:
    """Of this process, without a slash, for `has_ended`."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def has_ended(told: str) -> bool:
    """Whether a process, by its `identity`, is known to have ended: one of this machine since its start, or of this
    container."""
    machine, pid, started = [*told.rsplit(":", 2), "", ""][:3]
    if not machine or machine != _machine() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's
        pass
    return _started(int(pid)) not in (started, "")


def _machine() -> str:
    """Empty where a process cannot be looked up by number (all but Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When, in the kernel's ticks, or "ended"; empty where nobody tells. proc_pid_stat(5)"""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "ended" if state in "ZX" else fields[18]


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout_s: float | None = None,
    as_error: type[BundleError] = TargetError,
) -> Finished:
    """Run to the end, with `env` added to the environment. A timeout or a failed start raises `as_error`;
    a non-zero exit status does not."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise as_error(f"{argv[0]} did not end within {timeout_s:g} s") from error
    except OSError as error:
        raise as_error(f"{argv[0]} cannot be started: {error.strerror}") from error
    return Finished(done.returncode, done.stdout, done.stderr)


def feed(
    argv: Sequence[str], pieces: Iterable[bytes], *, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> Finished:
    """Run to the end with `pieces` on standard input, as they come. An error while they are made ends the program and
    goes on to the caller; a program that reads no further is no error, its exit status says what happened."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=out, stderr=err, env={**os.environ, **(env or {})}, cwd=cwd
            )
        except OSError as error:
            raise TargetError(f"{argv[0]} cannot be started: {error.strerror}") from error
        if child.stdin is None:
            raise AssertionError("there is a pipe, as was asked for")
        try:
            with suppress(BrokenPipeError), child.stdin as into:
                for piece in pieces:
                    into.write(piece)
        except BaseException:
            child.kill()
            child.wait()
            raise
        child.wait()
        out.seek(0)
        err.seek(0)
        return Finished(child.returncode, out.read(), err.read())


def side_by_side(
    commands: Sequence[Sequence[str]], line: Callable[[int, str], None], *, at_once: int
) -> list[int | None]:
    """Run programs, at most `at_once` of them together. Exit statuses; None for what was not run to its end.

    `line` gets the index of a program and a line of its standard error or output, as they come, on this thread. When
    one fails, those after it are ended or not begun and those before it go on: the first failure is the same whoever
    is faster. Whatever `line` raises ends them all.
    """
    statuses: list[int | None] = [None] * len(commands)
    waiting = deque(range(len(commands)))
    running: dict[int, _Running] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    index = waiting.popleft()
                    running[index] = _Running.start(commands[index])
                    selector.register(running[index].fd, selectors.EVENT_READ, index)
                for key, _ in selector.select():
                    index = key.data
                    for text in running[index].read():
                        line(index, text)
                    if running[index].ended:
                        selector.unregister(key.fd)
                        statuses[index] = running.pop(index).wait()
                        if statuses[index]:
                            waiting.clear()
                            for later in running:
                                if later > index:
                                    running[later].process.terminate()
        finally:
            for child in running.values():
                child.process.terminate()
                child.wait()
    return statuses


@dataclass(slots=True)
class _Running:
    """A program and what it has written of a line that is not whole yet."""

    process: subprocess.Popen[bytes]
    fd: int
    rest: bytes = b""
    ended: bool = False

    @classmethod
    def start(cls, argv: Sequence[str]) -> _Running:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        if process.stdout is None:
            raise AssertionError("there is a pipe, as was asked for")
        return cls(process, process.stdout.fileno())

    def read(self) -> list[str]:
        """The lines that became whole."""
        data = os.read(self.fd, _READ_BYTES)
        self.ended = not data
        *whole, self.rest = (self.rest + data).split(b"\n")
        if self.rest and (self.ended or len(self.rest) > _READ_BYTES):
            whole.append(self.rest)
            self.rest = b""
        return [text.decode("utf-8", "replace").rstrip("\r") for text in whole]

    def wait(self) -> int:
        with self.process:  # closes the pipe first, so that nobody waits for somebody to read it
            pass
        return self.process.returncode
