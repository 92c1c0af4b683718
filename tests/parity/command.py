"""The command, run within the test's own process: a row runs it a dozen times, and most of its time would be Python's
start."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from bundler.cli.main import run
from bundler.release import doors

from ..e2e.conftest import Done

# Two deploys at once find the same port free: each worker of pytest-xdist has a range of its own, above that of a
# `bundle` in a process of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
FIRST_PORT = doors.FIRST_PORT + (20 * (int(WORKER) + 1) if WORKER else 0)


@dataclass(frozen=True)
class Command:
    """`bundle`, with keys and cache under `home`."""

    home: Path

    def __call__(self, *arguments: str | Path, status: int = 0) -> Done:
        argv = [str(argument) for argument in arguments]
        out, err = io.StringIO(), io.StringIO()
        own = {"XDG_DATA_HOME": str(self.home / "data"), "XDG_CACHE_HOME": str(self.home / "cache")}
        with (
            _environment(own),
            patch.object(doors, "FIRST_PORT", FIRST_PORT),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            ended = run(argv)
        done = Done(ended, out.getvalue(), err.getvalue())
        assert ended == status, f"bundle {' '.join(argv)} ended with {ended}\n{done.out}\n{done.err}"
        return done


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
