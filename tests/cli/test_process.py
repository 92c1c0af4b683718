"""The command as a process: outputs that are closed or full, signals, and a question to nobody or to a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import GRAPH
from tests.cli.terminal import BUNDLE, talk


def program(*arguments: str, shell: str = '"$@"', **changes: Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, run by a line of the shell."""
    argv = ["bash", "-c", shell, "bash", *BUNDLE, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **changes)


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ('"$@" >/dev/full', 7, "standard output: writing failed: No space left on device"),
        ('"$@" >&-', 2, "standard output is closed"),
        ('"$@" 2>/dev/full >/dev/null', 0, ""),
        ('"$@" 2>&- >/dev/null', 0, ""),
        ('"$@" <&- >/dev/null', 0, ""),
    ],
)
def test_an_output_that_takes_nothing_more_has_an_exit_status(
    bundle: Path, home: Path, shell: str, status: int, said: str
) -> None:
    done = program("inspect", str(bundle), "--json", shell=shell)
    assert (done.returncode, "Traceback" in done.stderr, "defect" in done.stderr) == (status, False, False)
    assert said in done.stderr


@pytest.mark.parametrize(
    "arguments", [["inspect", "FILE"], ["inspect", "FILE", "--json"], ["keys", "export"], ["--help"]]
)
def test_a_reader_that_has_gone_is_told_nothing(bundle: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [*BUNDLE, *(str(bundle) if one == "FILE" else one for one in arguments)]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_error_has_its_status_though_nobody_can_be_told(home: Path) -> None:
    assert program("verify", "/nowhere.tar", shell='"$@" 2>/dev/full').returncode == 2
    assert program("verify", "/nowhere.tar", shell='"$@" 2>&-').returncode == 2


def test_a_terminal_of_another_encoding_lacks_no_answer(home: Path, bundle: Path) -> None:
    (home / "graph" / "bundle.yaml").write_text(GRAPH + "  two: {image: 'oci:./layout', connect: {w: web.http}}\n")
    done = program("check", str(home / "graph"), env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, r"starts in this order: web \u2192 two")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_terminated_cleans_up(bundle: Path, home: Path, ending: signal.Signals) -> None:
    text = GRAPH.replace("services:", "models: {m: {from: ./weights}}\nservices:").replace(
        "expose", "models: [m:/m], expose"
    )
    (home / "graph" / "bundle.yaml").write_text(text)
    (home / "graph" / "weights").mkdir()
    with (home / "graph" / "weights" / "w.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    before = bundle.read_bytes()
    line = f"import signal; signal.signal({ending:d}, signal.SIG_DFL); from bundler.cli.main import main; main()"
    argv = [sys.executable, "-c", line, "build", str(home / "graph"), "-o", str(bundle)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as building:
        while building.poll() is None and not list(home.glob(".plain.tar.*.part")):
            time.sleep(0.01)
        building.send_signal(ending)
        _, said = building.communicate()
    assert building.returncode == 128 + ending
    assert said == "error: terminated; nothing half-written is left, and the same command goes on from here\n"
    assert bundle.read_bytes() == before
    assert not list(home.glob(".plain.tar.*"))


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("n\n", 9, "not done; nothing was changed"),
        ("\n", 9, "not done; nothing was changed"),
        ("\x04", 9, "not done; nothing was changed"),
        ("\x03", 130, "interrupted"),
        ("y\n", 0, "removed default"),
    ],
    ids=["n", "enter", "ctrl-d", "ctrl-c", "y"],
)
def test_an_answer_of_no_is_no_interruption(bundle: Path, home: Path, answer: str, status: int, said: str) -> None:
    found, seen = talk([("[y/N]: ", answer)], "keys", "remove", "default")
    assert said in seen
    assert found == status
    assert (home / "data/graphbundle/keys/default.key").exists() == (status != 0)


def test_where_nobody_can_be_asked_the_way_on_is_named(bundle: Path, home: Path) -> None:
    done = program("keys", "remove", "default", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "add --yes" in done.stderr
    assert (home / "data/graphbundle/keys/default.key").exists()
