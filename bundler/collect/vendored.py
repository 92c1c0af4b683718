"""A folder that a library was pulled into: components as plain files, and where they are from.

Each file is the old one or the new one at any time, and `library.json` is written last: a pull that was interrupted is
repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundler.edges.files import failure, write_atomic
from bundler.errors import UsageError
from bundler.graphfile.library import is_file_name
from bundler.layout.documents import DocumentError, as_list, as_object, digest, parse_object, text
from bundler.model.oci import Digest

ORIGIN = "library.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """`files` with the digest that each had; `signers` are the fingerprints of keys that were trusted."""

    library: str
    version: str
    source: str
    root: Digest
    signers: tuple[str, ...]
    files: Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to become of a folder's files. `edited` are those that are not as they were pulled, and would be lost."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    edited: tuple[str, ...]


def origin(folder: Path) -> Origin | None:
    """None where nothing was pulled. UsageError where it cannot be read."""
    path = folder / ORIGIN
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, path, "reading") from error
    try:
        found = parse_object(data, ORIGIN)
        files = as_object(found.get("files"), "files")
        if odd := [name for name in files if not is_file_name(name)]:
            raise DocumentError(f"not the name of a component's file: {odd[0][:120]!r}")
        return Origin(
            text(found, "library", ORIGIN),
            text(found, "version", ORIGIN),
            text(found, "source", ORIGIN),
            digest(found.get("digest"), ORIGIN),
            tuple(str(signer) for signer in as_list(found.get("signers"), "signers")),
            {name: digest(value, name) for name, value in files.items()},
        )
    except DocumentError as error:
        hint = "take it from your version control; without it, a pull takes all that differs for edited"
        raise UsageError(f"{path}: {error}", hint=hint) from error


def changes(folder: Path, before: Origin | None, files: Mapping[str, bytes]) -> Changes:
    """What writing `files` would do. What is from no pull and not in `files` is the user's, and stays."""
    old = {} if before is None else before.files
    found = {name: _digest(folder / name) for name in sorted({*old, *files})}
    new = {name: Digest.of(data) for name, data in files.items()}
    there = [name for name, digest in found.items() if digest is not None]
    return Changes(
        added=tuple(name for name in found if name in new and name not in there),
        changed=tuple(name for name in there if name in new and found[name] != new[name]),
        removed=tuple(name for name in there if name not in new),
        edited=tuple(name for name in there if found[name] not in (old.get(name), new.get(name))),
    )


def write(folder: Path, made: Changes, new: Origin, files: Mapping[str, bytes]) -> None:
    """Raises StoppedError or UsageError where something cannot be written; then some files may be the new ones."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*made.changed, *made.removed):
            if name in made.removed or not _is_regular(folder / name):
                (folder / name).unlink()
    except OSError as error:
        raise failure(error, folder, "writing") from error
    for name in (*made.added, *made.changed):
        write_atomic(folder / name, files[name])
    document = {
        "library": new.library,
        "version": new.version,
        "source": new.source,
        "digest": new.root.text,
        "signers": list(new.signers),
        "files": {name: value.text for name, value in sorted(new.files.items())},
    }
    write_atomic(folder / ORIGIN, f"{json.dumps(document, indent=2)}\n".encode())


def components(names: Iterable[str]) -> tuple[str, ...]:
    """NAME@VERSION of files."""
    return tuple(name.removesuffix(".yaml") for name in names)


def _digest(path: Path) -> Digest | None:
    """None where nothing is there; that of no component for what is no regular file."""
    try:
        if not path.is_symlink() and not path.exists():
            return None
        return Digest.of(path.read_bytes() if _is_regular(path) else b"")
    except OSError as error:
        raise failure(error, path, "reading") from error


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
