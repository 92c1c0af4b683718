"""Other programs: argument lists only, never a shell line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundleError, TargetError


@dataclass(frozen=True, slots=True)
class Finished:
    returncode: int
    stdout: bytes
    stderr: bytes


def find(program: str, *, hint: str, as_error: type[BundleError] = TargetError) -> str:
    """The absolute path of a program on PATH; never one in the current directory by a relative entry."""
    entries = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(entry).is_absolute()]
    found = shutil.which(program, path=os.pathsep.join(entries))
    if found is None:
        raise as_error(f"{program} is not installed", hint=hint)
    return found


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


def lines(argv: Sequence[str], *, cwd: str | None = None) -> Generator[str, None, int]:
    """The lines of a program's standard error and output together, as they come; its exit status is the
    generator's return value."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        text=True,
        errors="replace",
    ) as process:
        if process.stdout is None:  # never, with PIPE above; for the type checker
            return -1
        try:
            yield from (line.rstrip("\n") for line in process.stdout)
        except BaseException:
            process.terminate()
            raise
    return process.returncode
