"""bundle completion: the shell completes what this machine knows, and the apps of a target that answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli.main import VERBS, run
from bundler.discovery import names
from bundler.graphfile.library import Library
from tests.cli.conftest import GRAPH, write_layout
from tests.cli.terminal import away_from_one

MAIN = "import sys; sys.argv[0] = 'bundle'; from bundler.cli.main import main; main()"


def completed(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    asked = {"_BUNDLE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    environment = {**os.environ, **asked}
    done = subprocess.run([sys.executable, "-c", MAIN], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_verbs_are_completed() -> None:
    assert completed("bundle", "") == list(VERBS)
    assert completed("bundle", "de") == ["deploy"]
    assert completed("bundle", "--d") == ["--debug"]


def test_no_verb_is_loaded_to_complete_their_names() -> None:
    code = (
        "import sys; from bundler.cli.main import bundle; import click;"
        "bundle.shell_complete(click.Context(bundle), '');"
        "print(sorted(name for name in sys.modules if name.startswith('bundler.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['bundler.cli.main', 'bundler.cli.output']"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("deploy", "file", "--target", ""), names()),
        (("status", "app", "-t", "com"), ("compose",)),
        (("add", ""), Library.own().names),
        (("components", "show", "postg"), ("postgres",)),
        (("explain", "services.health"), ("services.healthcheck",)),
        (("explain", "serv"), ("services",)),
        (("explain", "types.post"), ("types.postgres",)),
        (("init", "--template", ""), ("web", "nlp", "train", "empty")),
        (("completion", ""), ("bash", "zsh", "fish")),
        (("secrets", "s"), ("set",)),
        (("site", ""), ("init", "schema")),
    ],
)
def test_names_are_completed(words: tuple[str, ...], offered: tuple[str, ...]) -> None:
    assert sorted(completed("bundle", *words)) == sorted(offered)


@pytest.fixture
def shop(tmp_path: Path, kept_target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph with variants, its bundle with one of them, and the app "shop" of that."""
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    (tmp_path / "graph" / "variants").mkdir()
    for name in ("acme", "other"):
        (tmp_path / "graph" / "variants" / f"{name}.yaml").write_text(f"variant: {name}\nof: plain\n")
    bundle = tmp_path / "shop.tar"
    assert run(["build", str(tmp_path / "graph"), "-o", str(bundle), "--variant", "acme"]) == 0
    assert away_from_one("deploy", str(bundle), "-t", "kept", "--app", "shop", "--yes").returncode == 0
    monkeypatch.chdir(tmp_path / "graph")
    return bundle


def test_variants_are_those_of_what_is_named(shop: Path) -> None:
    assert completed("bundle", "deploy", str(shop), "--variant", "") == ["acme"]
    assert completed("bundle", "build", "..", "--variant", "") == []
    for words in (("build",), ("build", "../graph"), ("diff",), ("graph", "."), ("site", "init")):
        assert completed("bundle", *words, "--variant", "") == ["acme", "other"]
    assert completed("bundle", "up", "--variant", "o") == ["other"]
    assert completed("bundle", "deploy", str(shop), "--variant=") == ["acme"]
    (shop.parent / "graph" / "bundle.yaml").write_text("a: [")
    assert completed("bundle", "build", "--variant", "") == []


def test_apps_are_those_of_the_target_that_is_named(shop: Path) -> None:
    for words in (("status",), ("secrets", "set"), ("deploy", str(shop))):
        app = ("--app",) if words[0] == "deploy" else ()
        assert completed("bundle", *words, "-t", "kept", *app, "") == ["shop"]
        assert completed("bundle", *words, "-t", "kept", *app, "x") == []
    assert completed("bundle", "status", "") == []
    assert completed("bundle", "status", "-t", "nowhere", "") == []


def test_a_target_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("{")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert completed("bundle", "status", "-t", "k8s", "") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert completed("bundle", "status", "-t", "docker", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_that_shell(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    said = capsys.readouterr()
    assert f"_BUNDLE_COMPLETE={shell}_complete" in said.out
    assert said.err == ""
    if shutil.which(shell):
        (tmp_path / "script").write_text(said.out)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_bash_takes_it_in_and_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    program = tmp_path / "bundle"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{MAIN}" "$@"\n')
    program.chmod(0o755)
    script = f"{capsys.readouterr().out}\nCOMP_WORDS=(bundle ver) COMP_CWORD=1\n_bundle_completion bundle\n"
    script += 'echo "${COMPREPLY[@]}"\n'
    where = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=where, check=True)
    assert done.stdout.split() == ["verify"]
