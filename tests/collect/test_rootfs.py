"""A root of a file system in a tar, as the base of a Python project."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from tars import make_tar

from bundler.collect import ondisk, rootfs
from bundler.collect.paths import SourceTree
from bundler.collect.sources import ImageSource, OwnImage
from bundler.errors import SourceError
from bundler.model.oci import Digest, Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
Entries = dict[str, bytes | str | None]


def elf(machine: int, *, bits: int = 2, order: int = 1) -> bytes:
    """As much of a program as tells what it is for."""
    return b"\x7fELF" + bytes([bits, order, 1]) + bytes(9) + b"\2\0" + machine.to_bytes(2, "little") + bytes(3000)


X86, ARM = elf(62), elf(183)


def find(tree: SourceTree, data: bytes, version: str = "3.11", platform: Platform = AMD64) -> tuple[OwnImage, bytes]:
    (tree.root / "base.tar").write_bytes(data)
    source = ImageSource("web", ("web",), "rootfs:./base.tar", None)
    with ExitStack() as stack:
        image, openers = ondisk.find(tree, source, (platform,), stack, version)
        (layer,) = [b"".join(opener()) for opener in openers.values()]
        assert isinstance(image, OwnImage)
        assert [Digest.of(layer)] == list(openers)
        return image, layer


def refused(tree: SourceTree, entries: Entries, version: str = "3.11", platform: Platform = AMD64) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        find(tree, make_tar(entries), version, platform)
    return caught.value.what.removeprefix("web: image rootfs:./base.tar: "), caught.value.hint or ""


@pytest.mark.parametrize("pressed", [bytes, gzip.compress])
def test_it_is_an_image_of_one_layer_pinned_by_the_digest_of_its_tar(
    tree: SourceTree, pressed: Callable[[bytes], bytes]
) -> None:
    tar = make_tar({"./": None, "./usr/bin/python3.11": X86, "./dev/console": b""})
    image, layer = find(tree, pressed(tar))
    assert layer == tar
    (part,) = image.parts
    assert part.config is not None
    assert json.loads(part.config) == {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
    }


@pytest.mark.parametrize(
    "entries",
    [
        {"usr/local/bin/python3.11": X86},
        {"bin": "usr/bin", "usr/bin/python3.11": X86},
        {"opt/py/bin/python": X86, "etc/py": "/opt/py", "usr/bin/python3.11": "../../etc/./py/bin/python"},
        {"usr/bin/python3.11": "/etc/alternatives/py", "etc/alternatives/py": "/bin/real", "bin/real": X86},
        {"usr/bin/python3.11": b"#!/bin/sh\n", "bin/python3.11": X86},
        {"usr/bin/python3.11": ARM, "./usr/bin/python3.11": X86},
        {"usr/bin/python3.11": X86, "manifest.json": b"{}"},
    ],
    ids=["as it is", "merged usr", "links", "alternatives", "a script before", "written twice", "a file at the top"],
)
def test_the_interpreter_is_found_as_a_path_is_searched(tree: SourceTree, entries: Entries) -> None:
    assert find(tree, make_tar(entries))[0].parts[0].platform == AMD64


def test_a_hard_link_is_the_program_too(tree: SourceTree) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("./usr/bin/python3")
        member.size = len(ARM)
        archive.addfile(member, io.BytesIO(ARM))
        member = tarfile.TarInfo("./usr/bin/python3.11")
        member.type, member.linkname = tarfile.LNKTYPE, "./usr/bin/python3"
        archive.addfile(member)
    assert find(tree, buffer.getvalue(), platform=ARM64)[0].parts[0].platform == ARM64


def test_its_platform_is_that_of_its_python(tree: SourceTree) -> None:
    entries: Entries = {"usr/bin/python3.11": ARM}
    assert refused(tree, entries) == ("it is for linux/arm64, not for linux/amd64", "--platform linux/arm64")


@pytest.mark.parametrize("program", [elf(40, bits=1), elf(0x1234), elf(62, bits=1), elf(62, order=2)])
def test_a_machine_that_is_not_known_is_refused(tree: SourceTree, program: bytes) -> None:
    what, hint = refused(tree, {"usr/bin/python3.11": program})
    assert what.startswith("nothing is known of the machine that its python3.11 is for")
    assert hint == "there are: amd64, arm64, ppc64le, riscv64, s390x"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            {"usr/bin/python3.12": X86, "bin": "usr/bin", "o/python3.13": X86},
            'it has python3.12: write version: "3.12"',
        ),
        ({"usr/bin/sh": X86}, "make it with one: mmdebstrap --include=python3 bookworm base.tar"),
        ({"usr/bin/python3.11": X86[:19]}, "make it with one: mmdebstrap --include=python3 bookworm base.tar"),
        ({"usr/bin/python3.11": "python3.11"}, "make it with one: mmdebstrap --include=python3 bookworm base.tar"),
    ],
)
def test_a_rootfs_without_that_python_is_refused(tree: SourceTree, entries: Entries, said: str) -> None:
    what, hint = refused(tree, entries)
    assert what.startswith("no program python3.11 is on its PATH, /usr/local/sbin:")
    assert hint == said


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"etc/alpine-release": b"3.22\n", "usr/bin/python3.11": X86}, "it is an Alpine Linux"),
        ({"manifest.json": b"[]"}, "it holds images"),
        ({"oci-layout": b"{}", "manifest.json": b"[]"}, "it holds images"),
    ],
)
def test_what_is_something_else_is_told(tree: SourceTree, entries: Entries, said: str) -> None:
    assert refused(tree, entries)[0].startswith(said)


def test_a_file_that_is_no_tar_is_refused(tree: SourceTree) -> None:
    with pytest.raises(SourceError, match="not a tar archive, or damaged") as raised:
        find(tree, b"x" * 1024)
    assert str(raised.value.hint).startswith("rootfs: wants the tar of a file system's root")
    whole = make_tar({"usr/bin/python3.11": X86})
    with pytest.raises(SourceError, match="ends too early"):
        find(tree, whole[:1024])
    with pytest.raises(SourceError, match="gzip data ends too early"):
        find(tree, gzip.compress(whole)[:-9])


def test_names_without_end_are_refused(tree: SourceTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_KEPT", 30)
    find(tree, make_tar({"usr/bin/python3.11": X86, "a": b"x" * 40}))
    assert refused(tree, {"usr/bin/python3.11": X86, "a": "x" * 40})[0].startswith("no root of a file system: too many")


def test_what_follows_the_end_of_the_archive_is_part_of_the_digest(tree: SourceTree) -> None:
    whole = make_tar({"usr/bin/python3.11": X86}) + bytes(1 << 20)
    assert find(tree, whole)[1] == whole
