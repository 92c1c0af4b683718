"""A library: a folder of components, each version a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.graphfile.library import Libraries, Library


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, "170"), ("17", "17.5.2"), ("17.5", "17.5.2"), ("17.5.1", "17.5.1"), ("170", "170"), ("9", "9.10"),
        ("9.9", "9.9"), ("1", None), ("7", None), ("18", None), ("18-rc1", "18-rc1"), ("17.5.2.1", None),
    ],
)  # fmt: skip
def test_a_version_is_the_newest_that_begins_with_it(tmp_path: Path, asked: str | None, found: str | None) -> None:
    for version in ("9.9", "9.10", "17", "17.4", "17.5.1", "17.5.2", "170", "18-rc1"):
        (tmp_path / f"x@{version}.yaml").touch()
    entry = Library.of(tmp_path, "own").find("x", asked)
    assert (entry and entry.version) == found


def test_a_library_is_its_files_of_the_form_name_at_version(tmp_path: Path) -> None:
    for name in (
        "a@1.yaml",
        "b.yaml",
        "c@1.yml",
        "@1.yaml",
        "D@1.yaml",
        "README.md",
        "e@.yaml",
        "z@2.yaml",
        "z@10.yaml",
    ):
        (tmp_path / name).touch()
    (tmp_path / "folder@1.yaml").mkdir()
    (tmp_path / "gone@1.yaml").symlink_to("nowhere")
    library = Library.of(tmp_path, "own")
    assert library.names == ("a", "z")
    assert library.versions("z") == ("10", "2")


def test_a_library_lies_in_the_folder_of_the_graph(tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "graph" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "graph" / "inside").mkdir()
    libraries = Libraries(tmp_path / "graph")
    assert libraries.named("link") is None
    assert libraries.named("../outside") is None
    (tmp_path / "graph" / "loop").symlink_to("loop")
    assert libraries.named("loop") is None
    assert libraries.named("a" * 300) is None
    assert libraries.named("inside") is not None
