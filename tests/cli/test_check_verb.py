"""bundle check: what it says of graphs that are right, of those that are wrong, and of files that are none."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import GRAPH

pytestmark = pytest.mark.usefixtures("home")

ROOT = Path(__file__).parents[2]


def chain(file: Path, services: int, steps: int) -> None:
    """A graph of so many services, each waiting for one of the step before."""
    lines = ["bundle: many", 'version: "1"', "services:"]
    for number in range(services):
        waits = f", depends_on: [s{number - services // steps:03}]" if number >= services // steps else ""
        health = "healthcheck: {test: [x]}"
        lines.append(f"  s{number:03}: {{image: a@sha256:{'0' * 64}, {health}{waits}}}")
    file.write_text("\n".join(lines) + "\n")


def test_the_start_order_of_many_is_told_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bundle.yaml"
    chain(file, 40, 20)
    assert run(["check", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[1].count("s0") == 40
    chain(file, 400, 4)
    assert run(["check", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "starts in this order: s000, s001, s002 and 97 more → s100, s101, s102 and 97 more"
        " → s200, s201, s202 and 97 more → s300, s301, s302 and 97 more (--json tells all)"
    )
    chain(file, 60, 20)
    assert run(["check", str(file)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith(" → s027, s028, s029 → 30 more (--json tells all)")
    assert run(["check", str(file), "--json"]) == 0
    assert sum(map(len, json.loads(capsys.readouterr().out)["waves"])) == 60


@pytest.mark.parametrize("verb", ["check", "build", "graph"])
@pytest.mark.parametrize("name", ["docker-compose.yml", "my stack.yaml"])
def test_a_compose_file_is_told_how_it_becomes_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, verb: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes((ROOT / "fixtures/compose/langfuse/docker-compose.yml").read_bytes())
    assert run([verb, name]) == 2
    said = "".join(capsys.readouterr().err.partition("error: ")[1:])
    quoted = f"'{name}'" if " " in name else name
    assert said == (
        f"error: {name} is a Compose file, not a graph\n  make a graph of it: bundle import compose {quoted}\n"
    )


@pytest.mark.parametrize("first", ["bundle: a", "variant: a", "component: a"])
def test_what_is_one_of_ours_is_no_compose_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{first}\nservices: {{}}\n")
    assert run(["check", str(tmp_path / "a.yaml")]) == 3
    assert "Compose file" not in capsys.readouterr().err


def test_the_check_of_a_broken_graph_is_json_on_request(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "bundle.yaml").write_text(GRAPH.replace("expose", "expos"))
    assert run(["check", str(home), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert told["problems"][0]["line"] == 4


def test_a_check_tells_of_everything_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "empty").mkdir()
    (home / "there").write_text("x")
    (home / "bundle.yaml").write_text(
        """bundle: a
version: "1"
models:
  m: {from: ./weights}
  e: {from: ./empty}
configs:
  c: {file: ./c.yaml}
  d: {dir: ./there}
  f: {file: ./there}
services:
  web:
    build: ./empty
    models: [m:/m, e:/e]
    configs: [c:/c, d:/d, f:/f]
  disk: {image: "oci:./layout"}
jobs:
  seed: {build: ./nothing, run: manual}
"""
    )
    assert run(["check", str(home), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)["problems"]
    assert [(one["line"], one["message"]) for one in told] == [
        (4, "model m: ./weights is not there"),
        (5, "model e: ./empty holds no file"),
        (7, "config c: c.yaml is not there"),
        (8, "config d: there is not a directory"),
        (12, "build of web: empty holds no Dockerfile"),
        (15, "image of disk: ./layout is not there"),
        (17, "build of seed: nothing is not there"),
    ]
    assert all(one["hint"] for one in told)
    assert all(one["file"] == str(home / "bundle.yaml") for one in told)


def test_what_may_not_be_read_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "variants"
        folder.mkdir()
        (Path(name) / "bundle.yaml").write_text('bundle: a\nversion: "1"\n')
        assert run(["check", name]) == 0
        capsys.readouterr()
        Path(name).chmod(0o755)
        folder.chmod(0o000)
        if root:
            os.seteuid(65534)
        try:
            status = run(["check", name])
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
        said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith(f"error: {folder}: Permission denied\n")


def test_a_folder_with_a_compose_file_alone_is_told_how_it_becomes_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker-compose.yml").write_text("services: {a: {image: b}}\n")
    assert run(["check", str(tmp_path)]) == 2
    assert f"bundle import compose {tmp_path}\n" in capsys.readouterr().err
    assert run(["import", "compose", str(tmp_path)]) == 0
    assert run(["check", str(tmp_path)]) == 0


def test_a_variant_whose_file_has_another_end_is_not_passed_over(
    home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "acme.yml").write_text("variant: acme\nof: plain\n")
    assert run(["check", str(home / "graph")]) == 2
    assert "a variant's file ends in .yaml\n  rename it acme.yaml\n" in capsys.readouterr().err
