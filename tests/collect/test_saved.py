"""Streams as the engines of three generations write them, and layers that come in any order."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tars import make_tar

from bundler.collect import saved
from bundler.collect.layers import LayerWriter
from bundler.errors import SourceError
from bundler.model.oci import MANIFEST, Digest, Platform
from bundler.model.progress import Silent

AMD64 = Platform("linux", "amd64")


@dataclass
class Kept:
    digest: Digest
    size_bytes: int


class Memory:
    """Keeps blobs in the order in which they were written."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def add_stream(self, chunks: Iterable[bytes], *, expected: Digest | None = None) -> Kept:
        data = b"".join(chunks)
        if expected is not None and Digest.of(data) != expected:
            raise SourceError(f"{expected}: other bytes")
        self.blobs[Digest.of(data)] = data
        return Kept(Digest.of(data), len(data))


LAYERS = [make_tar({f"file-{n}": bytes([n]) * n * 1000}) for n in range(6)]
DIFF_IDS = tuple(Digest.of(layer) for layer in LAYERS)
CONFIG = json.dumps(
    {
        "os": "linux",
        "architecture": "amd64",
        "config": {"User": "app"},
        "rootfs": {"type": "layers", "diff_ids": [d.text for d in DIFF_IDS]},
    }
).encode()


def classic() -> tuple[dict[str, bytes | str | None], Digest]:
    """Docker 25 and newer: an OCI layout, sorted, the image known by its config."""
    blobs = {f"blobs/sha256/{Digest.of(blob).hex}": blob for blob in (*LAYERS, CONFIG)}
    manifest = [{"Config": f"blobs/sha256/{Digest.of(CONFIG).hex}", "Layers": []}]
    entries: dict[str, bytes | str | None] = {"blobs/": None, **dict(sorted(blobs.items()))}
    return {**entries, "manifest.json": json.dumps(manifest).encode()}, Digest.of(CONFIG)


def containerd() -> tuple[dict[str, bytes | str | None], Digest]:
    """The containerd store: compressed layers, the image known by its index, other platforms listed and absent."""
    layers = [gzip.compress(layer, mtime=0) for layer in LAYERS]
    descriptors = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Digest.of(b).text, "size": len(b)}
        for b in layers
    ]
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": Digest.of(CONFIG).text,
        "size": len(CONFIG),
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors}).encode()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 5},
                {"mediaType": MANIFEST, "digest": Digest.of(manifest).text, "size": len(manifest)},
            ],
        }
    ).encode()
    blobs = {f"blobs/sha256/{Digest.of(blob).hex}": blob for blob in (*layers, CONFIG, manifest, index)}
    return dict(sorted(blobs.items())), Digest.of(index)


def legacy() -> tuple[dict[str, bytes | str | None], Digest]:
    """Docker 20.10: directories by random-looking ids, layers shared through links."""
    entries: dict[str, bytes | str | None] = {}
    for number, layer in enumerate(LAYERS):
        entries |= {f"{number:064x}/": None, f"{number:064x}/json": b'{"id": 1}', f"{number:064x}/layer.tar": layer}
    entries["a" * 64 + "/layer.tar"] = f"../{0:064x}/layer.tar"
    entries[f"{Digest.of(CONFIG).hex}.json"] = CONFIG
    entries["manifest.json"] = json.dumps([{"Config": f"{Digest.of(CONFIG).hex}.json"}]).encode()
    return entries, Digest.of(CONFIG)


def received(
    entries: dict[str, bytes | str | None], wanted: Iterable[Digest], tmp_path: Path
) -> tuple[Memory, dict[Digest, bytes]]:
    data = make_tar(entries)
    memory = Memory()
    with LayerWriter(
        memory,
        wanted,
        watched=(),
        previous=None,
        directory=tmp_path,
        progress=Silent(),  # type: ignore[arg-type]
    ) as layers:
        found = saved.receive((data[n : n + 3000] for n in range(0, len(data), 3000)), layers, "test")
        layers.finish()
    return memory, found


@pytest.mark.parametrize("made", [classic, containerd, legacy])
def test_every_generation_of_engines_gives_the_same_image(made, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    entries, image = made()
    memory, found = received(entries, DIFF_IDS, tmp_path)
    assert list(memory.blobs) == sorted(DIFF_IDS)
    assert saved.config_of(found, image, AMD64, DIFF_IDS, "test") == CONFIG
    assert list(tmp_path.iterdir()) == []


def test_layers_in_any_order_are_written_sorted(tmp_path: Path) -> None:
    chance = random.Random(4)
    for _ in range(20):
        shuffled = list(classic()[0].items())
        chance.shuffle(shuffled)
        memory, _ = received(dict(shuffled), DIFF_IDS, tmp_path)
        assert list(memory.blobs) == sorted(DIFF_IDS)


def test_layers_that_nobody_wants_are_passed_over(tmp_path: Path) -> None:
    for made in (classic, containerd, legacy):
        memory, _ = received(made()[0], DIFF_IDS[2:4], tmp_path)
        assert list(memory.blobs) == sorted(DIFF_IDS[2:4])


def test_a_blob_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    entries, _ = classic()
    entries[f"blobs/sha256/{DIFF_IDS[3].hex}"] = make_tar({"evil": b"x"})
    with pytest.raises(SourceError):
        received(entries, DIFF_IDS, tmp_path)


def test_a_layer_that_does_not_come_is_named(tmp_path: Path) -> None:
    entries, _ = legacy()
    del entries[f"{3:064x}/layer.tar"]
    with pytest.raises(SourceError, match=DIFF_IDS[3].text):
        received(entries, DIFF_IDS, tmp_path)


def test_an_image_that_is_not_in_the_stream_is_named(tmp_path: Path) -> None:
    _, found = received(classic()[0], DIFF_IDS, tmp_path)
    with pytest.raises(SourceError, match="does not hold"):
        saved.config_of(found, Digest.of(b"other"), AMD64, DIFF_IDS, "test")
    with pytest.raises(SourceError, match="does not hold"):
        saved.config_of(found, Digest.of(CONFIG), Platform("linux", "arm64"), DIFF_IDS, "test")


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    entries, _ = containerd()
    name = next(n for n, data in entries.items() if isinstance(data, bytes) and data.startswith(b"\x1f\x8b"))
    data = entries[name]
    assert isinstance(data, bytes)
    entries[name] = data[:-20]
    with pytest.raises(SourceError, match="gzip"):
        received(entries, DIFF_IDS, tmp_path)
