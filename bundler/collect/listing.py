"""Which files a model and a config are made of. Looks at them and opens none, so that looking again is quick."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from bundler.collect.paths import SourceFile, SourceTree, shown
from bundler.errors import SourceError
from bundler.layout.names import is_file_path

BOOKKEEPING = frozenset({".git", ".cache/huggingface"})  # of a model's download, not of the model
MAX_CONFIG_FILES = 1_000
_REFERENCE = re.compile(
    r"(?:(?:oci|docker|hf|https?)://|[a-z0-9.-]+\.[a-z]+(?::\d+)?/|localhost(?::\d+)?/)|:[\w.-]+$|@sha256:"
)


def model_files(tree: SourceTree, name: str, source: str) -> tuple[SourceFile, ...]:
    """The files of a model, sorted by path."""
    what = f"model {name}"
    if not tree.has(source) and _REFERENCE.search(source):
        raise SourceError(
            f"{what}: models from a registry are not supported yet: {shown(source)}",
            hint="download it beside the graph and name the directory",
        )
    real = tree.locate(source, what)
    if real.is_dir():
        files = tuple(tree.walk(real, what, skip=BOOKKEEPING))
        if not files:
            raise SourceError(f"{what}: {shown(source)} holds no file")
    else:
        files = (tree.file(real, PurePosixPath(source).name, what),)
    _require_names(files, what)
    return files


def config_files(tree: SourceTree, name: str, *, file: str | None, directory: str | None) -> tuple[SourceFile, ...]:
    """The files of a config, sorted by path; a single one has the path ""."""
    what = f"config {name}"
    if file is not None:
        real = tree.locate(file, what)
        if real.is_dir():
            raise SourceError(f"{what}: {shown(file)} is a directory", hint="use `dir:` for a directory of files")
        return (tree.file(real, "", what),)
    real = tree.locate(directory or "", what)
    if not real.is_dir():
        raise SourceError(f"{what}: {shown(directory or '')} is not a directory", hint="use `file:` for one file")
    files = tuple(tree.walk(real, what))
    if not files:
        raise SourceError(f"{what}: {shown(directory or '')} holds no file")
    if len(files) > MAX_CONFIG_FILES:
        raise SourceError(f"{what}: {len(files):,} files; the limit is {MAX_CONFIG_FILES:,}")
    _require_names(files, what)
    return files


def _require_names(files: tuple[SourceFile, ...], what: str) -> None:
    """Names that no bundle is read with are found before one is made."""
    for file in files:
        if not is_file_path(file.path):
            raise SourceError(
                f"{what}: a control character, an invisible one or a backslash in the name {shown(file.path)}",
                hint="rename the file",
            )
