"""Where an answer is to be written and cannot be: what is said, and that it is said before the work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import GRAPH, write_layout

VERBS = (
    ["graph", "GRAPH", "-o", "PLACE/x.mmd"],
    ["build", "GRAPH", "-o", "PLACE/x.tar"],
    ["site", "init", "GRAPH", "-o", "PLACE/site.yaml"],
)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that every user may enter, with a graph in it."""
    with tempfile.TemporaryDirectory() as name:
        for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(variable, f"{name}/home")
        write_layout(Path(name, "graph", "layout"))
        Path(name, "graph", "bundle.yaml").write_text(GRAPH)
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_directory_that_is_missing_is_made_by_one_command(
    place: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    argv = [word.replace("GRAPH", f"{place}/graph").replace("PLACE", f"{place}/a b/c") for word in verb]
    assert run(argv) == 2
    said = "".join(capsys.readouterr().err.partition("error: ")[1:])
    assert said == f"error: there is no directory {place}/a b/c\n  make it: mkdir -p '{place}/a b/c'\n"
    assert os.system(said.splitlines()[1].partition(": ")[2]) == 0
    assert run(argv) == 0
    assert Path(argv[-1]).is_file()


@pytest.mark.parametrize(
    "verb", [*VERBS, ["render", "BUNDLE", "-t", "k8s", "-o", "PLACE/new"]], ids=lambda verb: verb[0]
)
def test_a_directory_that_others_alone_may_write_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    bundle, closed, open_ = place / "x.tar", place / "closed", place / "open"
    assert run(["build", f"{place}/graph", "-o", str(bundle)]) == 0
    closed.mkdir(0o555)
    open_.mkdir()
    verb = [word.replace("GRAPH", f"{place}/graph").replace("BUNDLE", str(bundle)) for word in verb]
    argv = [word.replace("PLACE", str(closed)) for word in verb]
    assert run([word.replace("PLACE", str(open_)) for word in verb]) == 0  # all modules are loaded now
    for one in (place / "home").rglob("*"):
        os.chown(one, 65534, 65534)
    capsys.readouterr()
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        status = run(argv)
    finally:
        if root:
            os.seteuid(0)
    said = capsys.readouterr().err
    assert status == 2, said
    assert str(closed) in said
    assert said.endswith("\n  name another place, or change its rights\n")


def test_a_file_in_the_place_of_a_directory_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place / "graph" / "bundle.yaml"
    assert run(["graph", f"{place}/graph", "-o", f"{file}/x.mmd"]) == 2
    assert capsys.readouterr().err == f"error: {file} is no directory\n  name another place\n"
