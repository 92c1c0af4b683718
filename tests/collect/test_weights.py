from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.collect import configs, tarheader, weights
from bundler.collect.paths import SourceFile, SourceTree
from bundler.errors import SourceError
from bundler.layout import assembly
from bundler.layout.documents import METADATA_LIMIT_BYTES
from bundler.model.bundle import ModelFile
from bundler.model.graph import Config, Model
from bundler.model.oci import LAYER_TAR, Descriptor, Digest
from bundler.model.progress import Silent

MIB = 1 << 20


@dataclass
class Kept:
    digest: Digest
    size_bytes: int


class Memory:
    """A store that keeps what it gets."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []

    def add_stream(self, chunks: Iterable[bytes], *, expected: Digest | None = None) -> Kept:
        data = b"".join(chunks)
        self.blobs.append(data)
        return Kept(Digest.of(data), len(data))


def packed(tree: SourceTree, source: str = "./w") -> tuple[weights.PackedModel, list[bytes]]:
    store = Memory()
    plan = weights.plan(tree, Model("m", source))
    model = weights.pack(plan, store, Silent())
    assert plan.size_bytes == sum(len(blob) for blob in store.blobs)
    return model, store.blobs


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def fake(path: str, size: int) -> SourceFile:
    return SourceFile(path, Path("/nowhere"), size, 0, 0)


def test_every_file_is_found_again_at_its_offset_with_its_digest(tree: SourceTree) -> None:
    files = {
        "config.json": b"{}",
        "deep/er/vocab.txt": b"a\nb\n" * 1000,
        "model.bin": os.urandom(3 * MIB),
        "empty": b"",
    }
    for name, data in files.items():
        (tree.root / "w" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / "w" / name).write_bytes(data)
    model, blobs = packed(tree)
    assert [file.path for file in model.files] == sorted(files)
    for file in model.files:
        blob = next(blob for blob in blobs if Digest.of(blob) == file.layer)
        assert blob[file.offset_bytes : file.offset_bytes + file.size_bytes] == files[file.path]
        assert file.digest.hex == hashlib.sha256(files[file.path]).hexdigest()


def test_layers_are_what_tarfile_reads_without_owner_time_or_extension(tree: SourceTree) -> None:
    (tree.root / "w/sub").mkdir(parents=True)
    (tree.root / "w/sub/b").write_bytes(b"b")
    (tree.root / "w/a").write_bytes(b"a")
    (tree.root / "w/a").chmod(0o4777)
    _, (blob,) = packed(tree)
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        seen = [(m.name, m.isdir(), m.mode, m.mtime, m.uid, m.gid, m.uname, m.pax_headers) for m in archive]
    assert seen == [
        ("a", False, 0o644, 0, 0, 0, "", {}),
        ("sub", True, 0o755, 0, 0, 0, "", {}),
        ("sub/b", False, 0o644, 0, 0, 0, "", {}),
    ]
    assert blob.endswith(bytes(1024))


def test_a_single_file_keeps_its_name(tree: SourceTree) -> None:
    (tree.root / "model.gguf").write_bytes(b"weights")
    model, _ = packed(tree, "model.gguf")
    assert [file.path for file in model.files] == ["model.gguf"]


def test_large_files_come_first_each_alone_then_the_rest_by_path() -> None:
    large = weights.LARGE_BYTES
    files = (fake("a", 1), fake("b", large), fake("c", large + 1), fake("d", 2), fake("e", large))
    assert [[f.path for f in layer] for layer in weights.layer_plan(files)] == [["c"], ["b"], ["e"], ["a", "d"]]


@pytest.mark.parametrize(("large", "small", "expected"), [(100, 0, 100), (101, 0, 100), (99, 5, 100), (140, 3, 100)])
def test_there_are_at_most_a_hundred_layers(large: int, small: int, expected: int) -> None:
    files = [fake(f"l{n:03}", weights.LARGE_BYTES) for n in range(large)] + [fake(f"s{n}", 1) for n in range(small)]
    layers = weights.layer_plan(tuple(files))
    assert len(layers) == expected
    assert sorted(f.path for layer in layers for f in layer) == sorted(f.path for f in files)


def test_what_a_download_keeps_for_itself_is_left_out(tree: SourceTree) -> None:
    for name in ("model.bin", ".git/config", ".cache/huggingface/x.metadata", ".cache/other"):
        (tree.root / "w" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / "w" / name).write_bytes(b"x")
    assert [f.path for f in weights.plan(tree, Model("m", "./w")).files] == [".cache/other", "model.bin"]


def test_links_of_a_hugging_face_snapshot_are_followed_to_its_blobs(tmp_path: Path) -> None:
    repository = tmp_path / "models--acme--m"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs/123").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/123")
    model, _ = packed(SourceTree(snapshot.resolve()), ".")
    assert [(f.path, f.size_bytes) for f in model.files] == [("model.safetensors", 7)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("../outside", "leads out of"),
        ("w/../../outside", "leads out of"),
        ("/etc", "not relative"),
        ("~/models", "not relative"),
        ("nothing", "is not there"),
        ("empty", "holds no file"),
        ("oci://registry.example/models/m:1", "not supported yet"),
        ("registry.example/models/m:1", "not supported yet"),
        ("link", "a link out of"),
        ("linked-dir", "not a regular file"),
        ("escape", "a link out of"),
        ("dangling", "leads nowhere"),
        ("fifo", "not a regular file"),
    ],
)
def test_what_may_not_be_packed_is_refused(tree: SourceTree, source: str, expected: str) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    for name in ("empty", "linked-dir", "escape", "dangling", "fifo", "w"):
        (tree.root / name).mkdir()
    (tree.root / "link").symlink_to(outside)
    (tree.root / "linked-dir/d").symlink_to(tree.root / "w")
    (tree.root / "escape/x").symlink_to(outside / "secret")
    (tree.root / "dangling/x").symlink_to("nowhere")
    os.mkfifo(tree.root / "fifo/x")
    with pytest.raises(SourceError, match=expected):
        weights.plan(tree, Model("m", source))


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\u200bb", "a\u00a0b", "\x1b[2J"])
def test_a_name_that_no_bundle_is_read_with_is_not_packed(tree: SourceTree, name: str) -> None:
    (tree.root / "w").mkdir()
    (tree.root / "w" / name).write_bytes(b"x")
    for look in (
        lambda: weights.plan(tree, Model("m", "./w")),
        lambda: weights.plan(tree, Model("m", f"./w/{name}")),
        lambda: configs.pack(tree, Config("c", None, "w", None, template=False)),
    ):
        with pytest.raises(SourceError, match="in the name") as refused:
            look()
        assert str(refused.value).isprintable()


def test_more_files_than_a_manifest_can_list_are_told_before_they_are_read() -> None:
    def listed(count: int) -> tuple[SourceFile, ...]:
        return tuple(fake(f'a-directory/"file"-{n:06}', 5_000_000) for n in range(count))

    weights._require_listable(listed(20_000), "model m")
    with pytest.raises(SourceError, match="30,000 files"):
        weights._require_listable(listed(30_000), "model m")
    layer = Digest.of(b"layer")
    for count in (20_000, 22_500):  # what is let through is what can be read
        files = listed(count)
        packed = weights.PackedModel(
            "m",
            None,
            tuple(ModelFile(f.path, f.size_bytes, layer, layer, 10**11) for f in files),
            (Descriptor(LAYER_TAR, layer, 10**12),),
        )
        size = int(str(assembly._model_pack(packed, assembly._Blobs())["size"]))
        try:
            weights._require_listable(files, "model m")
        except SourceError:
            assert size > 0.95 * METADATA_LIMIT_BYTES
        else:
            assert size <= METADATA_LIMIT_BYTES


def test_a_disk_that_fails_is_a_source_error(tree: SourceTree, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1000, 3 * MIB):
        sparse(tree.root / "w/model.bin", size)
        plan = weights.plan(tree, Model("m", "./w"))

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "read", fail)
            with pytest.raises(SourceError, match=r"model m: model\.bin cannot be read: Input/output error"):
                weights.pack(plan, Memory(), Silent())


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_file_that_changes_while_it_is_read_is_refused(tree: SourceTree, size: int) -> None:
    file = tree.root / "w/model.bin"
    sparse(file, size)
    plan = weights.plan(tree, Model("m", "./w"))
    file.write_bytes(b"y" * size)
    with pytest.raises(SourceError, match="changed while"):
        weights.pack(plan, Memory(), Silent())


def test_a_file_that_changes_half_way_is_refused(tree: SourceTree) -> None:
    file = tree.root / "w/model.bin"
    sparse(file, 3 * MIB)
    plan = weights.plan(tree, Model("m", "./w"))

    class Meddling(Memory):
        def add_stream(self, chunks: Iterable[bytes], *, expected: Digest | None = None) -> Kept:
            stream = iter(chunks)
            next(stream), next(stream)
            os.utime(file, ns=(1, 1))
            return super().add_stream(stream)

    with pytest.raises(SourceError, match="changed while"):
        weights.pack(plan, Meddling(), Silent())


@pytest.mark.parametrize(
    "path", ["a" * 100, "d/" * 70 + "f", f"{'d' * 155}/{'n' * 100}", f"{'d' * 50}/{'e' * 60}/{'f' * 90}"]
)
def test_long_names_are_split_as_tarfile_reads_them(path: str) -> None:
    header = tarheader.file_header(path, 0, "test")
    member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert member.name == path


@pytest.mark.parametrize("path", ["a" * 101, f"{'d' * 156}/n", f"d/{'n' * 101}", "d/" * 140 + "f"])
def test_names_too_long_for_a_tar_are_refused(path: str) -> None:
    with pytest.raises(SourceError, match="too long"):
        tarheader.file_header(path, 0, "test")


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 1 << 40])
def test_sizes_are_what_tarfile_reads(size: int) -> None:
    assert tarfile.TarInfo.frombuf(tarheader.file_header("f", size, "test"), "utf-8", "strict").size == size
