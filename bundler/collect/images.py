"""Found images -> layers in the archive, and everything that the bundle's metadata says of them.

Reads the engine's stream, registries, files and the previous bundle. Writes layers into an `ArchiveWriter`.
Next: `layout.assembly`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from bundler.collect import accounts, saved
from bundler.collect.finding import Found
from bundler.collect.layers import LayerWriter
from bundler.collect.manifests import image_config
from bundler.collect.outside import Outside
from bundler.collect.pythonimage import PythonImage
from bundler.collect.record import Record
from bundler.collect.sources import Image, OwnImage, OwnPart
from bundler.collect.union import Union
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.assembly import PackedImage
from bundler.layout.tar import blob_name
from bundler.model.oci import IMAGE_CONFIG, Descriptor, Digest
from bundler.model.progress import Progress

_WHAT = "the engine's images"


@dataclass(slots=True)
class PackedImages:
    """`users` maps each workload to its numeric user, by variant, "" for the graph itself; `known_users` and `configs`
    are for the record."""

    images: list[PackedImage] = field(default_factory=list)
    users: dict[str, dict[str, str]] = field(default_factory=dict)
    known_users: dict[str, str] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)


def pack(
    found: Found,
    union: Union,
    writer: ArchiveWriter,
    *,
    previous: ArchiveReader | None,
    record: Record,
    directory: Path,
    outside: Outside,
    progress: Progress,
) -> PackedImages:
    """Store every layer once. `directory` takes layers that come before their turn."""
    users = _Users(union, found.images, record.users)
    parts = [part for image in map(_under, found.images) if isinstance(image, OwnImage) for part in image.parts]
    for part in parts:
        _recall_config(part, record, previous)
    wanted = {digest for image in found.images for digest in image.all_layers}
    if wanted or parts:
        progress.phase("images")
    with LayerWriter(
        writer, wanted, watched=users.watched, previous=previous, directory=directory, progress=progress
    ) as layers:
        for digest, opener in found.openers.items():
            layers.ready(digest, opener)
        _receive(parts, layers, outside)
        layers.finish()
    return PackedImages(
        images=[image.packed(layers.sizes) for image in found.images],
        users=users.resolved(layers.accounts),
        known_users=users.known,
        configs={_key(part): Digest.of(part.config).text for part in parts if part.config is not None},
    )


def _under(image: Image) -> Image:
    """What of an image comes from elsewhere."""
    return image.base if isinstance(image, PythonImage) else image


def _receive(parts: list[OwnPart], layers: LayerWriter, outside: Outside) -> None:
    """One stream of all images of which the engine has something that is nowhere else."""
    missing = [
        part
        for part in parts
        if part.id is not None and (part.config is None or any(layers.misses(d) for d in part.diff_ids))
    ]
    if not missing:
        return
    engine = outside.required_engine("images")
    documents = saved.receive(engine.save(sorted({str(part.id) for part in missing})), layers, _WHAT)
    for part in missing:
        if part.config is None and part.id is not None:
            part.config = saved.config_of(documents, part.id, part.platform, part.diff_ids, _WHAT)


def _recall_config(part: OwnPart, record: Record, previous: ArchiveReader | None) -> None:
    """Take an engine image's config out of the previous bundle, where that is certainly the one."""
    if part.config is not None or part.id is None or previous is None:
        return
    digest = Digest(record.configs.get(_key(part), part.id.text))
    if digest in previous:
        size = previous.members[blob_name(digest)].size_bytes
        data = previous.read(Descriptor(IMAGE_CONFIG, digest, size))
        if b'"rootfs"' in data and image_config(data, _WHAT).diff_ids == part.diff_ids:
            part.config = data


def _key(part: OwnPart) -> str:
    return f"{part.id} {part.platform}"


class _Users:
    """Whom each workload runs as."""

    def __init__(self, union: Union, images: list[Image], known: dict[str, str]) -> None:
        by_name = {image.source.name: image for image in images}
        self._wanted: dict[tuple[str, str], tuple[Image, str, str]] = {}
        self.watched: set[Digest] = set()
        self.known: dict[str, str] = {}
        for variant, graph in union.graphs.items():
            images_of = union.images_of(variant)
            for workload in (*graph.services, *graph.jobs):
                image = by_name[images_of[workload.name]]
                user = workload.user if workload.user is not None else image.user
                key = _user_key(image, user)
                self._wanted[variant, workload.name] = (image, user, key)
                if key in known:
                    self.known[key] = known[key]
                elif accounts.needs_files(user):
                    self.watched |= set(image.layers)

    def resolved(self, seen: dict[Digest, accounts.LayerAccounts]) -> dict[str, dict[str, str]]:
        users: dict[str, dict[str, str]] = {}
        for (variant, name), (image, user, key) in sorted(self._wanted.items(), key=lambda item: item[0]):
            if key not in self.known:
                layers = [seen[digest] for digest in image.layers] if accounts.needs_files(user) else []
                self.known[key] = accounts.resolve(user, layers, f"user of {name}")
            users.setdefault(variant, {})[name] = self.known[key]
        return users


def _user_key(image: Image, user: str) -> str:
    """The answer is a function of these."""
    return hashlib.sha256(json.dumps([user, *(digest.text for digest in image.layers)]).encode()).hexdigest()
