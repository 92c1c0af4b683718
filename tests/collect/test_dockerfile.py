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
        ("# syntax=docker/dockerfile:1\nFROM alpine\nADD ./x /x\n", {"alpine"}),
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
        "ARG URL=https://example.org/x\nFROM a\nADD $URL /x\n",
        "FROM a\nARG URL=https://example.org/x\nADD --chmod=644 ${URL} /x\n",
        "# syntax=example.org/other/frontend:1\nFROM a\n",
        "#syntax = docker/dockerfile-upstream:master\nFROM a\n",
        "FROM a\nRUN <<EOF\nFROM x AS tools\nEOF\nCOPY --from=tools /x /x\n",
        "FROM a\n" + "#" * (1 << 20) + "\nCOPY --from=b /x /x\n",
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
    assert context_stamp(context) == context_stamp(context) != ""


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
    before = context_stamp(context)
    change(context)
    assert context_stamp(context) != before


def test_changes_at_any_pace_under_one_size_and_time_are_seen(context: Path) -> None:
    seen = set()
    for number in range(50):
        (context / "sub/a").write_text(f"{number:02}")
        os.utime(context / "sub/a", ns=(10**18, 10**18))
        seen.add(context_stamp(context))
    assert len(seen) == 50
    assert "" not in seen


def test_a_clock_that_was_set_back_gives_no_stamp(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 10**18)
    assert context_stamp(context) == ""


def test_buildkit_knows_a_directory_by_its_place_and_by_files_whose_time_was_set(context: Path) -> None:
    known_as = dockerfile.sync_name(context)
    (context / "sub/new").write_text("made here and now")
    os.utime(context / "sub/new", ns=(1, 10**18 + 1))
    assert dockerfile.sync_name(context) == known_as
    (context / "sub/a").write_text("sub/b")
    os.utime(context / "sub/a", ns=(10**18, 10**18))
    assert dockerfile.sync_name(context) != known_as
    assert dockerfile.sync_name(context / "sub") != dockerfile.sync_name(context)
    assert dockerfile.sync_name(context / "none") != dockerfile.sync_name(context / "none")


def test_tags_stay_out_of_everybodys_way() -> None:
    assert dockerfile.tag("suite", "api", "linux/arm/v7") == "bundle.local/build/suite/api:linux-arm-v7"


def test_a_directory_that_cannot_be_read_gives_no_stamp(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a database's data, left out by .dockerignore: only BuildKit knows whether it wants it."""
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert context_stamp(context) == ""
