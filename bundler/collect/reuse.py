"""Weights out of the previous bundle: where none of a model's files changed, they are not read again."""

from __future__ import annotations

from bundler.collect.record import ModelRecord
from bundler.collect.weights import ModelPlan
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.assembly import PackedModel
from bundler.model.bundle import ModelFile
from bundler.model.oci import LAYER_TAR, Descriptor, Digest
from bundler.model.progress import Progress


def remember(stamp: str, packed: PackedModel) -> ModelRecord:
    """What the next build has to know to reuse a model."""
    return ModelRecord(
        stamp,
        [(layer.digest.text, layer.size_bytes) for layer in packed.layers],
        [(f.path, f.size_bytes, f.digest.text, f.layer.text, f.offset_bytes) for f in packed.files],
    )


def usable(old: ModelRecord, previous: ArchiveReader) -> bool:
    """Whether the previous bundle still has every layer."""
    return all(Digest(digest) in previous for digest, _ in old.layers)


def model(
    plan: ModelPlan, old: ModelRecord, writer: ArchiveWriter, previous: ArchiveReader, progress: Progress
) -> PackedModel:
    """Copy a model's layers. TrustError where the previous bundle is damaged."""
    layers = []
    for text, size_bytes in old.layers:
        stored = writer.add_copy(previous, Digest(text), size_bytes)
        layers.append(Descriptor(LAYER_TAR, stored.digest, stored.size_bytes))
        progress.advance(size_bytes)
    files = [ModelFile(path, size, Digest(digest), Digest(layer), at) for path, size, digest, layer, at in old.files]
    return PackedModel(plan.model.name, plan.model.license, tuple(files), tuple(layers))
