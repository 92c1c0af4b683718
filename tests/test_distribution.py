"""What people install: the wheel's files, and that the sdist can make the same wheel."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(source: Path, kind: str, out: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    with zipfile.ZipFile(build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        return set(archive.namelist())


def tracked(*places: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *places], cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.split() if name != "bundler/schemas"}


def test_the_wheel_holds_the_two_packages_the_schemas_and_nothing_else(wheel: set[str]) -> None:
    schemas = {f"bundler/schemas/{Path(name).name}" for name in tracked("schemas") if name.endswith(".json")}
    assert schemas
    code = {name for name in wheel if not name.split("/")[0].endswith(".dist-info")}
    assert {name for name in code if "/schemas/" not in name} == tracked("bundler", "targets")
    assert {name for name in code if "/schemas/" in name and name.endswith(".json")} == schemas


def test_the_wheel_names_the_command_and_the_targets(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(ROOT, "wheel", tmp_path)) as archive:
        name = next(one for one in archive.namelist() if one.endswith("entry_points.txt"))
        points = archive.read(name).decode()
    assert "bundle = bundler.cli.main:main" in points
    for target in ("docker", "compose"):
        assert f"{target} = targets.{target}.target:create" in points


def test_the_sdist_makes_the_same_wheel(wheel: set[str], tmp_path: Path) -> None:
    sdist = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
        archive.extractall(tmp_path / "tree")
    tree = next((tmp_path / "tree").iterdir())
    with zipfile.ZipFile(build(tree, "wheel", tmp_path / "again")) as archive:
        assert set(archive.namelist()) == wheel
