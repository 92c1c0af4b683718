"""Small trees on disk and small tar archives."""

from __future__ import annotations

import io
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


def make_tar(entries: dict[str, bytes | str | None], form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of files (bytes), symbolic links (text) and directories (None)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            elif content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
    return buffer.getvalue()
