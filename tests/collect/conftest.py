"""Small trees on disk."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from bundler.collect.paths import SourceTree


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    """A graph's directory, empty."""
    root = tmp_path / "graph"
    root.mkdir()
    return SourceTree(root.resolve())


@pytest.fixture(params=[tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"])
def tar_format(request: pytest.FixtureRequest) -> int:
    return int(request.param)
