"""The tests' program, compiled once per session, and an app for each test, on each engine adapter by default."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ADAPTERS, OnEngine

from targets.sample import Deployment, Subject

SOURCE = Path(__file__).with_name("server.c")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A static program of this machine's architecture; see server.c."""
    output = tmp_path_factory.mktemp("program") / "server"
    for compiler in _compilers():
        built = subprocess.run([*compiler, "-static", "-O2", "-o", str(output), str(SOURCE)], capture_output=True)
        if built.returncode == 0:
            return output.read_bytes()
    pytest.skip("needs a C compiler that links statically: apt-get install gcc libc6-dev, or pip install ziglang")


def _compilers() -> list[list[str]]:
    found = [[path] for name in ("musl-gcc", "gcc", "cc", "clang") if (path := shutil.which(name))]
    return [*found, [sys.executable, "-m", "ziglang", "cc", "-target", f"{os.uname().machine}-linux-musl"]]


@pytest.fixture(params=sorted(ADAPTERS))
def subject(request: pytest.FixtureRequest, program: bytes) -> OnEngine:
    return OnEngine(ADAPTERS[request.param](), program)


@pytest.fixture
def deployment(subject: Subject) -> Iterator[Deployment]:
    deployment = Deployment(subject, subject.app)
    yield deployment
    deployment.remove(volumes=True)
    assert subject.remains(subject.app) == []
