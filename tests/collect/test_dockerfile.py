from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.collect import dockerfile
from bundler.collect.dockerfile import UncertainError, base_images, context_stamp


def bases(tmp_path: Path, text: str) -> set[str]:
    (tmp_path / "Dockerfile").write_text(text)
    return set(base_images(tmp_path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch\nCOPY x /x\n", set()),
        ("from alpine:3\n", {"alpine:3"}),
        ("ARG BASE=acme/base:1\nFROM ${BASE}\n", {"acme/base:1"}),
        ('ARG V="3"\nARG BASE=alpine:$V\nFROM $BASE AS build\nFROM build\n', {"alpine:3"}),
        ("FROM ${BASE:-alpine}\n", {"alpine"}),
        ("FROM --platform=linux/amd64 a AS one\nFROM b\nCOPY --from=one /x /x\nCOPY --from=0 /y /y\n", {"a", "b"}),
        ("FROM scratch\nCOPY --from=busybox:1 /bin /bin\n", {"busybox:1"}),
        ("FROM scratch\nRUN --mount=type=bind,from=tools,target=/t \\\n  true\n", {"tools"}),
        ("# FROM nothing\nFROM \\\n# between\n  alpine\n", {"alpine"}),
    ],
)
def test_the_images_a_build_reads_are_known(tmp_path: Path, text: str, expected: set[str]) -> None:
    assert bases(tmp_path, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ARG BASE\nFROM $BASE\n",
        "# escape=`\nFROM a\n",
        "FROM a\nADD https://example.org/x /x\n",
        "FROM\n",
        "FROM $TARGETOS\n",
    ],
)
def test_what_only_buildkit_can_tell_is_said_to_be_uncertain(tmp_path: Path, text: str) -> None:
    with pytest.raises(UncertainError):
        bases(tmp_path, text)


def test_a_directory_without_dockerfile_is_uncertain(tmp_path: Path) -> None:
    with pytest.raises(UncertainError):
        base_images(tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("Dockerfile", "sub/a"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    return tmp_path


def test_a_stamp_stays_while_nothing_changes(context: Path) -> None:
    assert context_stamp(context, "x") == context_stamp(context, "x") != ""


@pytest.mark.parametrize(
    "change",
    [
        lambda c: (c / "sub/b").symlink_to("a"),
        lambda c: (c / "sub/a").chmod(0o755),
        lambda c: os.utime(c / "sub/a", ns=(1, 1)),
        lambda c: (c / "sub/a").rename(c / "sub/c"),
        lambda c: (c / "sub/a").unlink(),
        lambda c: (c / "new").mkdir(),
    ],
)
def test_every_change_changes_the_stamp(context: Path, change) -> None:  # type: ignore[no-untyped-def]
    before = context_stamp(context, "x")
    change(context)
    assert context_stamp(context, "x") != before


def test_a_file_changed_this_very_moment_gives_no_stamp(context: Path) -> None:
    later = (context / "sub/a").stat().st_mtime_ns + 10**19 // 10
    os.utime(context / "sub/a", ns=(later, later))
    assert context_stamp(context, "x") == ""


def test_tags_stay_out_of_everybodys_way() -> None:
    assert dockerfile.tag("suite", "api", "linux/arm/v7") == "bundle.local/build/suite/api:linux-arm-v7"
