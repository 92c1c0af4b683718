"""What the last build of a bundle was made from, kept in the user's cache: unchanged sources are not read again.

A record is a hint that is always checked: against the files' path, size, time and inode, the engine's image ids, the
bundle's own file. Losing it costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bundler import __version__
from bundler.collect.paths import SourceFile, settled
from bundler.edges.files import check_private, private_directory, write_atomic
from bundler.errors import BundleError

MAX_RECORD_BYTES = 64 << 20


@dataclass(slots=True)
class Item:
    """A source: of what kind, as the graph names it, and what it was ("" is never equal to anything)."""

    kind: str
    text: str
    stamp: str


@dataclass(slots=True)
class ModelRecord:
    """Layers (digest, size) and files (path, size, digest, layer, offset) of a model whose files had this stamp."""

    stamp: str
    layers: list[tuple[str, int]]
    files: list[tuple[str, int, str, str, int]]


@dataclass(slots=True)
class BuildRecord:
    """A built directory: its stamp, the image's id, and the ids of the images that it was built on."""

    stamp: str
    image: str
    bases: dict[str, str]


@dataclass(slots=True)
class Record:
    """`asked` is what the build was asked for, `result` what it made; see `pack`."""

    asked: dict[str, Any] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    models: dict[str, ModelRecord] = field(default_factory=dict)
    builds: dict[str, BuildRecord] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)  # an engine's image id -> the config's digest
    users: dict[str, str] = field(default_factory=dict)  # layers and user -> uid:gid
    output: list[Any] = field(default_factory=list)  # path, size, times, inode of every file written
    result: dict[str, Any] = field(default_factory=dict)


def stamp_of(files: Iterable[SourceFile]) -> str:
    """Changes whenever one of the files does, if they are read after it was taken; "" where that cannot be."""
    found = list(files)
    if not settled(max((file.ctime_ns for file in found), default=0)):
        return ""
    return hashlib.sha256(json.dumps([file.stamp for file in found]).encode("utf-8", "surrogateescape")).hexdigest()


def file_stamp(path: Path) -> list[Any]:
    """Of a file that was written. Empty where it is not there."""
    try:
        now = path.stat()
    except OSError:
        return []
    return [str(path), now.st_size, now.st_mtime_ns, now.st_ino, now.st_ctime_ns]


def place(directory: Path, *key: str) -> Path:
    """Where the record of a build is."""
    name = hashlib.sha256(json.dumps(key).encode("utf-8", "surrogateescape")).hexdigest()
    return directory / "builds" / f"{name[:40]}.json"


def load(path: Path) -> Record:
    """An empty record where there is none that can be read, or where somebody else may have written it: whoever can
    say what was packed for which sources decides what is signed."""
    try:
        check_private(path.parent)
        check_private(path)
        if path.stat().st_size > MAX_RECORD_BYTES:
            return Record()
        data = json.loads(path.read_bytes())
        if data.pop("tool") != _tool():
            return Record()
        data["items"] = [Item(**item) for item in data["items"]]
        data["models"] = {name: ModelRecord(**model) for name, model in data["models"].items()}
        data["builds"] = {name: BuildRecord(**build) for name, build in data["builds"].items()}
        return Record(**data)
    except (BundleError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Record()


def save(path: Path, record: Record) -> None:
    """Atomic; a cache that cannot be written is no error."""
    data = json.dumps({"tool": _tool(), **asdict(record)}, sort_keys=True)
    with contextlib.suppress(OSError, BundleError):
        private_directory(path.parent)
        write_atomic(path, data.encode("utf-8", "surrogateescape"), private=True)


def _tool() -> list[Any]:
    """Another version, or another state of the program's files and components, may make other bytes."""
    top = Path(__file__).parent.parent
    facts = [
        (str(path.relative_to(top)), found.st_size, found.st_mtime_ns)
        for path in sorted((*top.rglob("*.py"), *(top / "library").glob("*.yaml")))
        if (found := path.stat())
    ]
    return [__version__, hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()]
