"""bundle build: a second one does what has changed alone, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import GRAPH, write_layout


def test_a_build_verifies_and_a_second_one_has_nothing_to_do(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(bundle)]) == 0
    before = bundle.stat()
    capsys.readouterr()
    assert run(["build", str(home / "graph"), "-o", str(bundle), "--detached", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] is True
    assert (bundle.stat().st_mtime_ns, bundle.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert bundle.with_name("plain.tar.sig").is_file()


def test_a_rebuild_says_what_was_another(bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "graph" / "c.yaml").write_text("a: 1")
    text = GRAPH.replace("services:", "configs: {c: {file: ./c.yaml}}\nservices:").replace(
        "expose", "configs: [c:/c], expose"
    )
    (home / "graph" / "bundle.yaml").write_text(text)

    def said() -> list[str]:
        capsys.readouterr()
        assert run(["build", str(home / "graph"), "-o", str(bundle), "--detached"]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed")]

    assert said() == ["changed since the last build: the graph, c.yaml"]
    (home / "graph" / "c.yaml").write_text("a: 2")
    assert said() == ["changed since the last build: c.yaml"]
    assert said() == []


def test_a_build_warns_of_lints_where_something_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "wrong.yaml").write_text("of no interest to a build without it: x\n")
    file = str(home / "plain.tar")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert "B107" not in capsys.readouterr().err  # what a variant may use is not known
    (home / "graph" / "variants" / "wrong.yaml").unlink()
    (home / "graph" / "bundle.yaml").write_text(GRAPH + "# changed\n")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    warning = f"warning: {home}/graph/bundle.yaml:4:3: B107 nothing reaches the service web\n"
    assert warning in capsys.readouterr().err
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert "warning" not in capsys.readouterr().err
