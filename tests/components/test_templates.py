"""What `bundle init` writes, at work on Docker: its programs on the Debian that the fixtures have, in place of a public
image of Python."""

from __future__ import annotations

import subprocess
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..e2e.conftest import ROOT, docker, get
from ..parity.command import Command

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.xdist_group("small")]

BASE = "graphbundle/base:12"


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file system's root, in a tar."""
    made = subprocess.run([ROOT / "scripts/base-image", BASE], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    file = tmp_path_factory.mktemp("debian") / "debian.tar"
    container = docker("create", BASE).strip()
    try:
        docker("export", "-o", str(file), container)
    finally:
        docker("rm", container)
    return file


@pytest.fixture
def up(bundle: Command, mirror: tuple[str, ...], debian: Path, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Begins an app with a template and brings it up; its name."""
    apps = []

    def begun(template: str) -> str:
        folder = tmp_path / f"{template}-{uuid.uuid4().hex[:6]}"
        bundle("init", folder, "--template", template)
        (folder / debian.name).hardlink_to(debian)
        graph = folder / "bundle.yaml"
        text = graph.read_text().replace("python3.13", "python3.11")
        graph.write_text(text.replace("build: {", f'build: {{base: "rootfs:./{debian.name}", version: "3.11", '))
        apps.append(folder.name)
        bundle("up", folder, *mirror, "--yes")
        return folder.name

    yield begun
    for app in apps:
        bundle("remove", app, "-t", "docker", "--volumes", "--yes")


def door(bundle: Command, app: str) -> str:
    return bundle("open", app, "-t", "docker", "--print").out.split()[-1]


def test_the_page_counts_its_visitors(bundle: Command, up: Callable[[str], str]) -> None:
    page = door(bundle, up("web"))
    assert "visitor number 1" in get(page)
    assert "visitor number 2" in get(page)


def test_the_search_finds_a_passage(bundle: Command, up: Callable[[str], str]) -> None:
    place = door(bundle, up("nlp"))
    assert "wound up the clockwork" in get(urllib.parse.urljoin(place, "/search?q=the%20lamp%20at%20dusk"))


def test_the_training_runs_and_tensorboard_is_there(bundle: Command, up: Callable[[str], str]) -> None:
    app = up("train")
    assert "after 50 epochs: y = " in bundle("run", app, "train", "-t", "docker").out
    assert "TensorBoard" in get(door(bundle, app))
