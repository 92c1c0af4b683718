"""bundle check: what it says of graphs that are right, and of files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.cli.main import run

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
