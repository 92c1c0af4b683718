"""bundle completion: the shell completes what is known without asking anything outside this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli.main import VERBS, run
from bundler.discovery import names
from bundler.graphfile.library import Library

MAIN = "import sys; sys.argv[0] = 'bundle'; from bundler.cli.main import main; main()"


def completed(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    asked = {"_BUNDLE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([sys.executable, "-c", MAIN], capture_output=True, text=True, env={**os.environ, **asked})
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


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
