"""The tests' program, compiled once per session, and an app for each test, on each engine adapter by default."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import ADAPTERS, Meanwhile, OnEngine, only

from bundler.model.release import Release
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


@pytest.fixture
def release(subject: OnEngine) -> Release:
    return replace(only(subject, doors=()), doors=())


@pytest.fixture
def second(subject: OnEngine) -> Deployment:
    """Another app; of the same release, it has the same image."""
    return Deployment(subject, f"{subject.app}-2")


@pytest.fixture
def meanwhile(subject: OnEngine, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Something happens once: just before the engine is asked for a thing, or just after."""

    def happens(asked: str, happening: Callable[[], object], *, after: bool = False) -> None:
        real = getattr(subject.engine, asked)

        def asking(*arguments: object) -> object:
            monkeypatch.setattr(subject.engine, asked, real)
            if not after:
                happening()
            answer = real(*arguments)
            if after:
                happening()
            return answer

        monkeypatch.setattr(subject.engine, asked, asking)

    return happens
