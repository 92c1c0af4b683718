"""Small tar archives."""

from __future__ import annotations

import io
import tarfile


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
