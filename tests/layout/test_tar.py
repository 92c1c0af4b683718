import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.layout import tar
from bundler.layout.tar import TarFormError, header, parse
from bundler.model.oci import Digest

BLOB = "blobs/sha256/" + "0a" * 32
NAMES = st.sampled_from(["oci-layout", "index.json", "manifest.json"]) | st.binary(min_size=32, max_size=32).map(
    lambda raw: "blobs/sha256/" + raw.hex()
)
SIZES = st.integers(0, (1 << 62) - 1) | st.integers(8**11 - 2, 8**11 + 2)


@given(NAMES, SIZES)
def test_a_header_is_read_back_as_it_was_written(name: str, size_bytes: int) -> None:
    block = header(name, size_bytes)
    assert len(block) == 512
    assert parse(block) == (name, size_bytes)


@given(NAMES, SIZES)
def test_python_reads_the_same_out_of_a_header(name: str, size_bytes: int) -> None:
    entry = tarfile.TarInfo.frombuf(header(name, size_bytes), "utf-8", "strict")
    assert (entry.name, entry.size, entry.mode, entry.mtime) == (name, size_bytes, 0o644, 0)
    assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", "")
    assert (entry.type, entry.linkname, entry.devmajor, entry.devminor) == (tarfile.REGTYPE, "", 0, 0)


def test_a_header_is_what_python_writes_as_ustar() -> None:
    entry = tarfile.TarInfo(BLOB)
    entry.size = 8**11 - 1
    assert header(BLOB, 8**11 - 1) == entry.tobuf(tarfile.USTAR_FORMAT)


def test_eight_gibibytes_are_written_in_base_256() -> None:
    assert header(BLOB, 8**11 - 1)[124:136] == b"77777777777\0"
    assert header(BLOB, 8**11)[124:136] == b"\x80" + (8**11).to_bytes(11, "big")


@pytest.mark.parametrize("size_bytes", [0, 4096, 8**11])
def test_every_flipped_bit_of_a_header_is_refused(size_bytes: int) -> None:
    block = header(BLOB, size_bytes)
    for place in range(512 * 8):
        flipped = bytearray(block)
        flipped[place // 8] ^= 1 << place % 8
        # A flip in the name alone can never be right either: the checksum is wrong.
        with pytest.raises(TarFormError):
            parse(bytes(flipped))


def changed(**fields: object) -> bytes:
    """A header of tarfile's making, with the right checksum."""
    entry = tarfile.TarInfo(BLOB)
    for name, value in fields.items():
        setattr(entry, name, value)
    return entry.tobuf(tarfile.GNU_FORMAT if entry.size < 0 else tarfile.USTAR_FORMAT)[:512]


@pytest.mark.parametrize(
    "field",
    [
        {"mode": 0o600},
        {"mode": 0o4755},
        {"uid": 1},
        {"gid": 1},
        {"mtime": 1},
        {"uname": "root"},
        {"gname": "root"},
        {"linkname": "x"},
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "x"},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.CHRTYPE},
        {"type": tarfile.BLKTYPE},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.CONTTYPE},
        {"type": tarfile.AREGTYPE},
        {"type": tarfile.GNUTYPE_SPARSE},
        {"type": tarfile.GNUTYPE_LONGNAME},
        {"type": tarfile.XHDTYPE},
        {"type": tarfile.XGLTYPE},
        {"devmajor": 1, "type": tarfile.CHRTYPE},
        {"size": -1},
    ],
    ids=str,
)
def test_any_other_value_of_any_field_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(TarFormError):
        parse(changed(**field))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../x",
        "a/../../x",
        "/etc/passwd",
        "//x",
        "./index.json",
        "INDEX.JSON",
        "index.json ",
        "index.json.",
        "index.json\n",
        "blobs/sha256/" + "0A" * 32,
        "blobs/sha256/" + "0a" * 31,
        "blobs/sha256/" + "0a" * 33,
        "blobs/sha512/" + "0a" * 32,
        "blobs/sha256/",
        "blobs/",
        "blobs\\sha256\\" + "0a" * 32,
        "CON",
        "C:x",
        "repositories",
        "x\x1b[31m",
        "oci-layout\u0301",
    ],
)
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a member"):
        header(name, 0)
    with pytest.raises(TarFormError) as refused:
        parse(changed(name=name))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("size_bytes", [-1, 1 << 62, 1 << 80])
def test_a_size_out_of_bounds_is_not_written(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="not a size"):
        header(BLOB, size_bytes)


@pytest.mark.parametrize(
    "size",
    [b"00000000000 ", b" 0000000000\0", b"0000000000 \0", b"-0000000001\0", b"00000000008\0", b"\0" * 12,
     b"\x80" + bytes(11), b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\xc0" + bytes(10) + b"\1"],
)  # fmt: skip
def test_a_size_written_in_any_other_way_is_refused(size: bytes) -> None:
    block = bytearray(header(BLOB, 0))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(TarFormError):
        parse(bytes(block))


@given(st.binary(min_size=512, max_size=512))
def test_bytes_are_a_header_only_if_they_are_the_one_that_is_written(block: bytes) -> None:
    try:
        name, size_bytes = parse(block)
    except TarFormError:
        return
    assert header(name, size_bytes) == block


def test_a_short_block_is_refused() -> None:
    with pytest.raises(TarFormError):
        parse(header(BLOB, 0)[:-1])


def test_the_whole_is_a_tar_for_python() -> None:
    body = b"x" * 700
    data = header(BLOB, 700) + body + bytes(tar.padding_bytes(700)) + tar.TRAILER
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (entry,) = archive.getmembers()
        file = archive.extractfile(entry)
        assert file is not None
        assert file.read() == body


def test_names_of_blobs_are_their_digests() -> None:
    digest = Digest.of(b"")
    assert tar.blob_digest(tar.blob_name(digest)) == digest
    assert tar.blob_digest("index.json") is None
