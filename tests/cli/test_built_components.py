"""A graph with components is built like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import write_layout

COMPONENT = """\
component: web
version: "1"
summary: A page
services:
  web: {image: registry.example/web:1, expose: {http: 80}, volumes: [data:/data], secrets: [key]}
volumes: {data: {}}
secrets: {key: {generate: 8}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_layout(tmp_path / "layout")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "web@1.yaml").write_text(COMPONENT)
    (tmp_path / "bundle.yaml").write_text(
        'bundle: a\nversion: "1"\nlibraries: {own: ./own}\nservices: {page: {use: own/web, image: "oci:./layout"}}\n'
    )
    return tmp_path


def test_a_bundle_holds_the_nodes_of_components(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["build", "-o", "a.tar"]) == 0
    capsys.readouterr()
    assert run(["inspect", "a.tar"]) == 0
    page = capsys.readouterr().out
    assert "page-data" in page
    assert "page-key" in page
    assert run(["verify", "a.tar"]) == 0


def test_a_changed_component_is_another_bundle(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def built() -> tuple[bool, str]:
        capsys.readouterr()
        assert run(["build", "-o", "a.tar", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        return said["unchanged"], said["root"]

    first = built()
    assert built() == (True, first[1])
    (home / "own" / "web@1.yaml").write_text(COMPONENT.replace("generate: 8", "generate: 9"))
    changed = built()
    assert changed[0] is False
    assert changed[1] != first[1]
    (home / "own" / "web@1.1.yaml").write_text(COMPONENT.replace('"1"', '"1.1"').replace("generate: 8", "generate: 10"))
    assert built()[1] != changed[1]
