"""What `bundle init` writes, and the README's tour, at work on Docker."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..e2e.conftest import get
from ..parity.command import Command

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.xdist_group("small")]


@pytest.fixture
def up(bundle: Command, mirror: tuple[str, ...], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Begins an app with a template, changes it as a command of more words says, and brings it up; its name."""
    apps = []

    def begun(template: str, *more: str) -> str:
        folder = tmp_path / f"{template}-{uuid.uuid4().hex[:6]}"
        bundle("init", folder, "--template", template)
        if more:
            bundle(*more, folder)
        apps.append(folder.name)
        bundle("up", folder, *mirror, "--yes")
        return folder.name

    yield begun
    for app in apps:
        bundle("remove", app, "-t", "docker", "--volumes", "--yes")


def door(bundle: Command, app: str, *name: str) -> str:
    return bundle("open", app, *name, "-t", "docker", "--print").out.split()[-1]


def test_the_tour_ends_at_a_page_a_database_and_tensorboard(bundle: Command, up: Callable[..., str]) -> None:
    app = up("web", "add", "tensorboard", "--connect", "logs=runs", "--publish")
    page = door(bundle, app, "page")
    assert "visitor number 1" in get(page)
    assert "visitor number 2" in get(page)
    assert "TensorBoard" in get(door(bundle, app, "tensorboard"))


def test_the_search_finds_a_passage(bundle: Command, up: Callable[..., str]) -> None:
    place = door(bundle, up("nlp"))
    assert "wound up the clockwork" in get(urllib.parse.urljoin(place, "/search?q=the%20lamp%20at%20dusk"))


def test_the_training_runs_and_tensorboard_is_there(bundle: Command, up: Callable[..., str]) -> None:
    app = up("train")
    assert "after 50 epochs: y = " in bundle("run", app, "train", "-t", "docker").out
    assert "TensorBoard" in get(door(bundle, app))
