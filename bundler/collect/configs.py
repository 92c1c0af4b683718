"""Config files: from a file, a directory or the graph's own text -> bytes. Small, and held in memory."""

from __future__ import annotations

from bundler.collect.listing import config_files
from bundler.collect.paths import SourceTree, read_file, shown
from bundler.errors import SourceError
from bundler.layout.assembly import PackedConfig
from bundler.model.graph import Config

MAX_FILE_BYTES = 4 << 20


def pack(tree: SourceTree, config: Config) -> PackedConfig:
    """Read a config. Raises SourceError for what is not there, too large, or outside of the graph's directory."""
    what = f"config {config.name}"
    if config.content is not None:
        data = config.content.encode("utf-8")
        if len(data) > MAX_FILE_BYTES:
            raise SourceError(f"{what}: the content has {len(data):,} bytes; the limit is {MAX_FILE_BYTES:,}")
        return PackedConfig(config.name, config.template, (("", data),))
    files = []
    for file in config_files(tree, config.name, file=config.file, directory=config.dir):
        data = read_file(file, what, limit_bytes=MAX_FILE_BYTES)
        if config.template:
            _require_text(data, what, file.path or config.file or "")
        files.append((file.path, data))
    return PackedConfig(config.name, config.template, tuple(files))


def _require_text(data: bytes, what: str, path: str) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{what}: the template {shown(path)} is not UTF-8 (byte {error.start})") from error
