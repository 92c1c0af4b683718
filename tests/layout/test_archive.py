import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundler.errors import SourceError, StoppedError, TrustError, UsageError
from bundler.layout import tar
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.hashing import CHUNK_BYTES
from bundler.layout.read import read_bundle
from bundler.model.oci import LAYER_TAR, Descriptor, Digest


def layer(data: bytes) -> Descriptor:
    return Descriptor(LAYER_TAR, Digest.of(data), len(data))


def big_sample(*bodies: bytes) -> sample.Sample:
    web = sample.image("web", ["web"], [{f"f{n}": body} for n, body in enumerate(bodies)])
    return sample.sample({"services": {"web": {"image": "acme/web:1"}}}, [web])


def test_the_same_blobs_make_the_same_file(tmp_path: Path) -> None:
    first = sample.whole().write(tmp_path / "first", sample.key())
    second = sample.whole().write(tmp_path / "second", sample.key())
    assert first.read_bytes() == second.read_bytes()


def test_every_blob_is_read_back(tmp_path: Path) -> None:
    made = sample.whole()
    with ArchiveReader(made.write(tmp_path / "b")) as reader:
        for digest, data in {**made.assembly.metadata, **made.data}.items():
            described = Descriptor("", digest, len(data))
            assert digest in reader
            assert reader.read(described) == data
            assert b"".join(reader.stream(described)) == data
        assert set(map(tar.blob_digest, reader.members)) - {None} == {*made.assembly.metadata, *made.data}


def test_members_stand_in_canonical_order(tmp_path: Path) -> None:
    made = sample.whole()
    with ArchiveReader(made.write(tmp_path / "b")) as reader:
        names = list(reader.members)
    model_layers = [
        tar.blob_name(layer.digest) for layer in read_bundle(ArchiveReader(tmp_path / "b")).models[0].layers
    ]
    metadata = sorted(map(tar.blob_name, made.assembly.metadata))
    images = sorted(set(map(tar.blob_name, made.data)) - set(model_layers))
    assert names == ["oci-layout", *model_layers, *images, *metadata, "manifest.json", "index.json"]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_the_order_of_storing_does_not_matter(tmp_path: Path, data: st.DataObject) -> None:
    made = sample.whole()
    expected = made.write(tmp_path / "expected").read_bytes()
    extra = [b"stored for nothing", b""]
    bodies = data.draw(st.permutations([*made.data.values(), *extra, *list(made.data.values())[:2]]))
    with ArchiveWriter(tmp_path / "other") as writer:
        for body in bodies:
            writer.add_stream([body[:100], body[100:]])
        writer.finish(made.assembly)
    assert (tmp_path / "other").read_bytes() == expected


def test_a_blob_that_is_there_already_is_kept_once(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "b") as writer:
        first = writer.add_stream([b"abc"])
        assert first.digest in writer
        assert writer.add_stream([b"a", b"bc"]) == first
        assert (first.digest, first.size_bytes) == (Digest.of(b"abc"), 3)


def test_another_digest_than_expected_is_refused_and_the_writer_goes_on(tmp_path: Path) -> None:
    made = sample.smallest()
    with ArchiveWriter(tmp_path / "b") as writer:
        with pytest.raises(SourceError, match="another digest"):
            writer.add_stream([b"damaged"], expected=Digest.of(b"sound"))
        with pytest.raises(ZeroDivisionError):
            writer.add_stream(bytes(1 // place) for place in (1, 0))
        for blob in made.assembly.data:
            writer.add_stream([made.data[blob.digest]])
        writer.finish(made.assembly)
    assert (tmp_path / "b").read_bytes() == made.write(tmp_path / "c").read_bytes()


def test_blobs_are_copied_out_of_another_bundle(tmp_path: Path) -> None:
    made = sample.whole()
    old = made.write(tmp_path / "old")
    with ArchiveReader(old) as reader, ArchiveWriter(tmp_path / "new") as writer:
        for blob in made.assembly.data:
            assert writer.add_copy(reader, blob.digest, blob.size_bytes).digest == blob.digest
            writer.add_copy(reader, blob.digest, blob.size_bytes)
        writer.finish(made.assembly)
    assert (tmp_path / "new").read_bytes() == old.read_bytes()


def test_a_damaged_blob_is_not_copied(tmp_path: Path) -> None:
    made = sample.smallest()
    old = made.write(tmp_path / "old")
    blob = made.assembly.data[0]
    flip(old, blob)
    with ArchiveReader(old) as reader, ArchiveWriter(tmp_path / "new") as writer:
        with pytest.raises(TrustError, match="damaged"):
            writer.add_copy(reader, blob.digest, blob.size_bytes)
        assert blob.digest not in writer


def flip(path: Path, blob: Descriptor) -> None:
    with ArchiveReader(path) as reader:
        offset = reader.members[tar.blob_name(blob.digest)].offset_bytes
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_a_bundle_without_a_blob_that_is_named_is_our_defect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not stored"), ArchiveWriter(tmp_path / "b") as writer:
        writer.finish(sample.smallest().assembly)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_nothing_is_left_behind_and_the_old_file_stays(tmp_path: Path, stop: type[BaseException]) -> None:
    (tmp_path / "b").write_bytes(b"old")

    def chunks() -> Iterator[bytes]:
        yield bytes(CHUNK_BYTES)
        raise stop

    with pytest.raises(stop), ArchiveWriter(tmp_path / "b") as writer:
        writer.add_stream(chunks())
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"old"


def test_what_a_killed_writer_left_is_swept_and_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        ArchiveWriter(tmp_path / "b").__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    with ArchiveWriter(tmp_path / "b"):
        assert not left.exists()
        (living,) = tmp_path.iterdir()
        with ArchiveWriter(tmp_path / "b"):
            assert living.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_private_until_it_is_whole(tmp_path: Path) -> None:
    made = sample.smallest()
    old = os.umask(0o027)
    try:
        with ArchiveWriter(tmp_path / "b") as writer:
            (temporary,) = tmp_path.iterdir()
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
            for blob in made.assembly.data:
                writer.add_stream([made.data[blob.digest]])
            writer.finish(made.assembly)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o640


def test_what_is_not_a_regular_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError, match="not a regular file"):
            ArchiveWriter(path).__enter__()
    with pytest.raises(UsageError):
        ArchiveWriter(tmp_path / "missing" / "b").__enter__()


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/b")
    sample.smallest().write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "b").stat().st_size > 0
    read_bundle(ArchiveReader(tmp_path / "link"))


def test_no_room_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write() -> None:
        with ArchiveWriter(tmp_path / "b") as writer:
            monkeypatch.setattr(os, "write", full)
            writer.add_stream([b"x"])

    with pytest.raises(StoppedError, match="No space left"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_sizes_around_a_block_and_a_chunk_are_read_back(tmp_path: Path) -> None:
    sizes = [0, 1, 511, 512, 513, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7]
    made = big_sample(*(os.urandom(size) for size in sizes))
    with ArchiveReader(made.write(tmp_path / "b")) as reader:
        seen: list[int] = []
        reader.check_every_byte(seen.append)
        assert sum(seen) == reader.size_bytes
        for digest, data in made.data.items():
            assert b"".join(reader.stream(Descriptor("", digest, len(data)))) == data


# --- reading what may be anything


def test_the_last_piece_is_held_back_until_the_digest_is_right(tmp_path: Path) -> None:
    made = big_sample(os.urandom(3 * CHUNK_BYTES))
    path = made.write(tmp_path / "b")
    (blob,) = made.assembly.data
    flip(path, blob)
    got: list[bytes] = []
    with ArchiveReader(path) as reader, pytest.raises(TrustError, match=blob.digest.hex):
        got.extend(reader.stream(blob))
    assert sum(map(len, got)) < blob.size_bytes


def test_a_small_damaged_blob_is_not_handed_out_at_all(tmp_path: Path) -> None:
    made = sample.smallest()
    path = made.write(tmp_path / "b")
    (blob,) = made.assembly.data
    flip(path, blob)
    with ArchiveReader(path) as reader:
        with pytest.raises(TrustError):
            next(reader.stream(blob))
        with pytest.raises(TrustError):
            reader.read(blob)


def test_another_size_than_the_descriptor_says_is_refused(tmp_path: Path) -> None:
    made = sample.smallest()
    (blob,) = made.assembly.data
    with ArchiveReader(made.write(tmp_path / "b")) as reader:
        for size_bytes in (blob.size_bytes - 1, blob.size_bytes + 1, 0):
            with pytest.raises(TrustError, match="descriptor says"):
                reader.read(Descriptor("", blob.digest, size_bytes))
        with pytest.raises(TrustError, match="missing"):
            reader.read(layer(b"not in it"))


def test_more_than_4_mib_is_not_read_as_one(tmp_path: Path) -> None:
    made = big_sample(bytes(5 * CHUNK_BYTES))
    with ArchiveReader(made.write(tmp_path / "b")) as reader, pytest.raises(TrustError, match="more than 4194304"):
        reader.read(made.assembly.data[0])


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "link to a device", "empty", "zeros"])
def test_what_is_no_file_of_ours_is_refused_at_once(tmp_path: Path, kind: str) -> None:  # H19
    path = tmp_path / "b"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "empty":
            path.touch()
        case "zeros":
            path.write_bytes(bytes(1 << 20))
    with pytest.raises(TrustError) as refused:
        ArchiveReader(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        ArchiveReader(tmp_path / "b")


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite", "touch"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:  # H20
    made = big_sample(os.urandom(40 * CHUNK_BYTES))
    path = made.write(tmp_path / "b")
    (blob,) = made.assembly.data
    with ArchiveReader(path) as reader:
        stream = reader.stream(blob)
        next(stream)
        match change:
            case "grow":
                with path.open("ab") as file:
                    file.write(b"x")
            case "shrink":
                os.truncate(path, 1 << 20)
            case "rewrite":
                with path.open("r+b") as file:
                    file.seek(-CHUNK_BYTES, os.SEEK_END)
                    file.write(b"x" * 1000)
            case "touch":
                os.utime(path, ns=(1, 1))
        with pytest.raises(TrustError):
            list(stream)


def test_a_file_that_is_replaced_is_still_the_one_that_was_opened(tmp_path: Path) -> None:  # H54
    made = sample.whole()
    path = made.write(tmp_path / "b")
    with ArchiveReader(path) as reader:
        sample.smallest().write(path)
        reader.check_every_byte()
        assert len(read_bundle(reader).images) == 2


def test_reading_a_header_only_takes_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "b"
    with path.open("wb") as file:  # 100 GiB, sparse
        offset = 0
        for place in range(3):
            size = (100 << 30) // 3
            file.seek(offset)
            file.write(tar.header("blobs/sha256/" + f"{place:064x}", size))
            offset += 512 + size + tar.padding_bytes(size)
        file.truncate(offset + 1024)
    with ArchiveReader(path) as reader:
        assert [member.size_bytes for member in reader.members.values()] == [(100 << 30) // 3] * 3


def open_on(path: Path) -> int:
    """Descriptors of this process that lead to the file. What other tests left may end at any moment."""
    links = Path("/proc/self/fd").iterdir()
    return sum(os.path.realpath(link) == str(path.resolve()) for link in links)


def test_readers_leave_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    made = big_sample(os.urandom(30 * CHUNK_BYTES))
    path = made.write(tmp_path / "b")
    flip(path, made.assembly.data[0])
    before = set(threading.enumerate())
    with ArchiveReader(path) as reader, pytest.raises(TrustError):
        reader.check_every_byte()
    with ArchiveReader(path) as reader:
        next(reader.stream(made.assembly.data[0]))
        assert open_on(path) > 0
    assert set(threading.enumerate()) <= before
    assert open_on(path) == 0
