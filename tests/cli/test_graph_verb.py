"""bundle graph: a picture of what is written, packed or running."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bundler.cli.main import run
from tests.cli.conftest import write_layout

GRAPH = """\
bundle: plain
version: 1.0.0
services:
  web: {image: 'oci:./layout', expose: {http: 80}, connect: {db: store.http}}
  store: {image: 'oci:./layout', expose: {http: 81}}
publish: {web: web.http}
"""
VARIANT = "variant: acme\nof: plain\nservices: {extra: {image: 'oci:./layout'}}\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle.yaml").write_text(GRAPH)
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "acme.yaml").write_text(VARIANT)
    return tmp_path


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setitem(sys.modules, "resvg_py", None)


def names(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    capsys.readouterr()
    assert run(["graph", *arguments, "--json"]) == 0
    return {node["name"] for node in json.loads(capsys.readouterr().out)["nodes"]}


def test_without_words_the_graph_here_is_mermaid(capsys: pytest.CaptureFixture[str], without_packages: None) -> None:
    assert run(["graph"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("flowchart LR\n")
    assert 'service_web -->|"db"| service_store' in said.out
    assert said.err == ""


def test_nothing_that_the_graph_names_need_be_there_and_a_variant_is_another_picture(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert names(capsys) == {"web", "store"}
    assert names(capsys, "--variant", "acme") == {"web", "store", "extra"}
    assert names(capsys, "bundle.yaml") == {"web", "store"}


def test_a_bundle_is_drawn_with_the_digests_of_its_images(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "layout")
    assert run(["build", "--variant", "acme", "-o", "plain.tar"]) == 0
    assert names(capsys, "plain.tar", "--variant", "acme") == {"web", "store", "extra"}
    assert run(["graph", "plain.tar", "--json"]) == 0
    nodes = {node["id"]: node for node in json.loads(capsys.readouterr().out)["nodes"]}
    assert len(nodes["service/web"]["facts"]["digest"]) == 12
    assert run(["graph", "plain.tar", "--variant", "other"]) == 2
    assert "holds no variant 'other'" in capsys.readouterr().err


def test_the_name_of_the_file_says_the_format(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.svg", "a.html", "a.png", "a.mmd", "a.gv", "a.json"):
        assert run(["graph", "-o", name]) == 0
        assert capsys.readouterr().err == f"wrote {name}\n"
    ElementTree.fromstring((home / "a.svg").read_text())
    assert (home / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert (home / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (home / "a.gv").read_text().startswith('digraph "plain 1.0.0" {')
    assert json.loads((home / "a.json").read_text())["title"] == "plain 1.0.0"
    assert run(["graph", "-o", "a.txt"]) == 2
    assert "--format svg or --format html" in capsys.readouterr().err


def test_the_graph_itself_is_not_written_over(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "bundle.yaml", "-o", "bundle.yaml", "--format", "json"]) == 2
    assert "is what is drawn" in capsys.readouterr().err
    assert run(["graph", "-o", "bundle.yaml", "--format", "json"]) == 2
    assert (home / "bundle.yaml").read_text() == GRAPH


def test_what_is_missing_for_a_layout_or_a_png_is_told_and_how_to_get_it(
    home: Path, without_packages: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home))
    for form in ("svg", "html", "png"):
        assert run(["graph", "--format", form, "-o", "out"]) == 2
        said = capsys.readouterr().err
        assert "dot is not installed" in said
        assert "pip install 'graphbundle[pictures]'" in said
    for form in ("json", "dot", "mermaid"):
        assert run(["graph", "--format", form]) == 0
    assert not (home / "out").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not there: apt-get install graphviz")
def test_the_program_dot_serves_as_well(home: Path, without_packages: None) -> None:
    assert run(["graph", "-o", "a.svg"]) == 0
    ids = {one.get("data-id") for one in ElementTree.fromstring((home / "a.svg").read_text()).iter()}
    assert {"service/web", "service/store", "door/web"} <= ids


@pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not there: apt-get install graphviz")
def test_a_layout_that_does_not_end_is_told_with_the_formats_that_need_none(
    home: Path, without_packages: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bundler.edges.graphviz._TIMEOUT_S", 0.0001)
    assert run(["graph", "-o", "a.svg"]) == 2
    said = capsys.readouterr().err
    assert "did not end within 0.0001 s\n  --format mermaid and --format dot need no layout" in said


@pytest.mark.skipif(
    shutil.which("rsvg-convert") is None, reason="rsvg-convert is not there: apt-get install librsvg2-bin"
)
def test_the_program_rsvg_convert_serves_as_well(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    assert run(["graph", "-o", "a.png"]) == 0
    assert (home / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_png_goes_to_standard_output_too(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["graph", "--format", "png"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")


def test_a_place_that_is_nothing_says_how_an_app_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "shop"]) == 2
    said = capsys.readouterr().err
    assert "there is no directory or file shop" in said
    assert "--target docker" in said


def test_json_and_another_format_are_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "--json", "--format", "dot"]) == 2
    assert run(["graph", "shop", "--target", "docker", "--variant", "acme"]) == 2
    assert "leave --variant out" in capsys.readouterr().err
