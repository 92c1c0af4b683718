"""The program, and directories for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from helper_program import DEADLINE_S, HOST_ARCHITECTURE, Helper, let_others_reach

from targets import helper


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert HOST_ARCHITECTURE is not None
    path = tmp_path_factory.mktemp("program") / "helper"
    path.write_bytes(helper.binary(HOST_ARCHITECTURE))
    path.chmod(0o555)
    let_others_reach(path)
    return path


@pytest.fixture
def run(program: Path) -> Helper:
    def call(
        *arguments: object, uid: int | None = None, groups: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env={},
            user=uid,
            group=uid,
            extra_groups=None if uid is None else groups,
        )

    return call


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "conf.d" / "deep").mkdir(parents=True)
    (directory / "empty").mkdir()
    (directory / "run.sh").write_bytes(b"#!/bin/sh\n")
    (directory / "run.sh").chmod(0o755)
    (directory / "conf.d" / "key").write_bytes(b"secret")
    (directory / "conf.d" / "key").chmod(0o400)
    (directory / "conf.d" / "deep" / "big").write_bytes(bytes(range(256)) * 4096)
    (directory / "conf.d" / "relative").symlink_to("../run.sh")
    (directory / "absolute").symlink_to("/etc/passwd")
    (directory / "dangling").symlink_to("nowhere")
    (directory / "looping").symlink_to(".")
    os.mkfifo(directory / "queue", 0o620)
    (directory / "empty").chmod(0o1777)
    for path in (directory / "run.sh", directory / "conf.d" / "deep", directory / "empty"):
        os.utime(path, ns=(10**18, 10**18 + 123))
    (directory / "conf.d").chmod(0o550)
    return directory


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    directory = tmp_path / "destination"
    directory.mkdir()
    return directory
