"""Models: files on disk -> deterministic tar layers, each file read once.

Reads a file or a directory of the graph. Writes layers into an `ArchiveWriter`.
Next: `layout.assembly` names them by two manifests.

Files of 64 MiB and more get a tar each, largest first; the rest share one, sorted by path; at most 100 layers
(Docker ends at about 125: "max depth exceeded"). The digest of the layer and that of the raw file come from
the same read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

from bundler.collect import tarheader
from bundler.collect.listing import model_files
from bundler.collect.paths import SourceFile, SourceTree, open_file, read_piece, require_unchanged, shown
from bundler.errors import SourceError
from bundler.layout import strictjson
from bundler.layout.assembly import PackedModel
from bundler.layout.documents import METADATA_LIMIT_BYTES
from bundler.layout.hashing import ParallelHash
from bundler.model.bundle import ModelFile
from bundler.model.graph import Model
from bundler.model.oci import LAYER_TAR, Descriptor, Digest
from bundler.model.progress import Progress

LARGE_BYTES = 64 << 20
MAX_LAYERS = 100
PIECE_BYTES = 1 << 20
MANIFEST_BYTES = 64 << 10  # of a ModelPack manifest, without the list of files


class Stored(Protocol):
    @property
    def digest(self) -> Digest: ...

    @property
    def size_bytes(self) -> int: ...


class Store(Protocol):
    """Where a blob goes: `ArchiveWriter`."""

    def add_stream(self, chunks: Iterable[bytes], *, expected: Digest | None = None) -> Stored: ...


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is read for a model, and in which layers it goes."""

    model: Model
    files: tuple[SourceFile, ...]
    layers: tuple[tuple[SourceFile, ...], ...]

    @property
    def what(self) -> str:
        return f"model {self.model.name}"

    @property
    def size_bytes(self) -> int:
        """Of the layers."""
        return sum(tarheader.archive_size(_members(layer)) for layer in self.layers)


@dataclass(frozen=True, slots=True)
class _PackedLayer:
    digest: Digest
    size_bytes: int
    files: tuple[ModelFile, ...]


def plan(tree: SourceTree, model: Model) -> ModelPlan:
    """Look at a model's files. Raises SourceError for what is not there or may not be packed."""
    files = model_files(tree, model.name, model.source)
    for file in files:
        for path, _ in _members((file,)):
            tarheader.file_header(path, 0, f"model {model.name}")  # too long a name is found before anything is written
    _require_listable(files, f"model {model.name}")
    return ModelPlan(model, files, layer_plan(files))


def _require_listable(files: tuple[SourceFile, ...], what: str) -> None:
    """Path, place and digest of every file stand in the ModelPack manifest, as JSON in JSON: is it going to be read?"""
    widest = sum(file.size_bytes for file in files) + 2 * tarheader.BLOCK_BYTES * len(files)
    digest = Digest.of(b"").text
    entries = ({"digest": digest, "offset": widest, "path": f.path, "size": f.size_bytes} for f in files)
    list_bytes = sum(len(strictjson.canonical(strictjson.canonical(entry).decode())) for entry in entries)
    if list_bytes > METADATA_LIMIT_BYTES - MANIFEST_BYTES:
        raise SourceError(
            f"{what}: the list of its {len(files):,} files has about {list_bytes:,} bytes; "
            f"the limit is {METADATA_LIMIT_BYTES - MANIFEST_BYTES:,}",
            hint="put many small files into one, such as a .tar or .parquet",
        )


def layer_plan(files: tuple[SourceFile, ...]) -> tuple[tuple[SourceFile, ...], ...]:
    """Which files share a layer, in the layers' order."""
    large = sorted((f for f in files if f.size_bytes >= LARGE_BYTES), key=lambda f: (-f.size_bytes, f.path))
    rest = [f for f in files if f.size_bytes < LARGE_BYTES]
    alone = MAX_LAYERS if not rest and len(large) <= MAX_LAYERS else MAX_LAYERS - 1
    rest += large[alone:]
    layers = [(file,) for file in large[:alone]]
    return (*layers, *([tuple(sorted(rest, key=lambda f: f.path))] if rest else []))


def pack(model: ModelPlan, store: Store, progress: Progress) -> PackedModel:
    """Read every file of a model once, write it once."""
    packed = [_pack_layer(model, layer, store, progress) for layer in model.layers]
    return PackedModel(
        model.model.name,
        model.model.license,
        tuple(sorted((file for layer in packed for file in layer.files), key=lambda file: file.path)),
        tuple(Descriptor(LAYER_TAR, layer.digest, layer.size_bytes) for layer in packed),
    )


def _pack_layer(model: ModelPlan, layer: tuple[SourceFile, ...], store: Store, progress: Progress) -> _PackedLayer:
    packing = _Packing(model.what, layer, progress)
    with closing(packing.stream()) as chunks:
        stored = store.add_stream(chunks)
    files = (
        ModelFile(file.path, file.size_bytes, digest, stored.digest, offset) for file, digest, offset in packing.packed
    )
    return _PackedLayer(stored.digest, stored.size_bytes, tuple(files))


class _Packing:
    """One layer while it is read; `packed` is complete once the stream has ended."""

    def __init__(self, what: str, files: tuple[SourceFile, ...], progress: Progress) -> None:
        self.packed: list[tuple[SourceFile, Digest, int]] = []
        self._what = what
        self._files = {file.path: file for file in files}
        self._members = _members(files)
        self._progress = progress

    def stream(self) -> Generator[bytes, None, None]:
        offset = 0
        for path, size in self._members:
            if size is None:
                yield tarheader.directory_header(path, self._what)
                offset += tarheader.BLOCK_BYTES
                continue
            file = self._files[path]
            yield tarheader.file_header(path, size, self._what)
            offset += tarheader.BLOCK_BYTES
            digest = yield from (self._large(file) if size >= PIECE_BYTES else self._small(file))
            self.packed.append((file, digest, offset))
            filler = tarheader.padding(size)
            yield filler
            offset += size + len(filler)
        yield tarheader.END

    def _small(self, file: SourceFile) -> Generator[bytes, None, Digest]:
        fd = open_file(file, self._what)
        with ExitStack() as stack:
            stack.callback(os.close, fd)
            data = read_piece(fd, PIECE_BYTES, file, self._what)
            if len(data) != file.size_bytes:
                raise SourceError(f"{self._what}: {shown(file.path)} changed while it was being read")
            require_unchanged(fd, file, self._what)
        yield data
        self._progress.advance(len(data))
        return Digest("sha256:" + hashlib.sha256(data).hexdigest())

    def _large(self, file: SourceFile) -> Generator[bytes, None, Digest]:
        fd = open_file(file, self._what)
        with ExitStack() as stack:
            stack.callback(os.close, fd)
            raw = stack.enter_context(ParallelHash())
            left = file.size_bytes
            while left:
                piece = read_piece(fd, min(PIECE_BYTES, left), file, self._what)
                if not piece:
                    raise SourceError(f"{self._what}: {shown(file.path)} became shorter while it was being read")
                left -= len(piece)
                raw.update(piece)
                yield piece
                self._progress.advance(len(piece))
            require_unchanged(fd, file, self._what)
            return raw.finish()


def _members(files: Iterable[SourceFile]) -> list[tuple[str, int | None]]:
    return tarheader.members((file.path, file.size_bytes) for file in files)
