"""The helper's program, as this machine can run it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HOST_ARCHITECTURE = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
DEADLINE_S = 20
runs_here = pytest.mark.skipif(
    not sys.platform.startswith("linux") or HOST_ARCHITECTURE is None,
    reason="the program is for Linux on amd64 or arm64: run the tests in a Linux container",
)
as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root to change owners: run the tests in a container as root"
)
Helper = Callable[..., subprocess.CompletedProcess[str]]


def let_others_reach(path: Path) -> None:
    """Make the directories above `path`, which pytest makes 0700, passable for a foreign uid."""
    for parent in path.parents:
        if parent.stat().st_mode & 0o001:
            return
        parent.chmod(parent.stat().st_mode | 0o011)
